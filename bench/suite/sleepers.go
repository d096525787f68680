package suite

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/report"
)

// A SleepersConfig says what [Bench.Sleepers] measures: one server, [Eventloop] or
// [Reference], under one load, whose payload has at least a byte.
type SleepersConfig struct {
	Comparison
	Sleep time.Duration // of the handler, on sleeping calls
	Share float64       // of sleeping calls among all, wanted
}

// Sleepers measures how many calls a server answers without and with other calls
// beside them whose handler sleeps. The number of sleeping callers follows from
// two runs before the first round: as many as the share needs. Runs are of the other
// calls.
func (b *Bench) Sleepers(ctx context.Context, c SleepersConfig) (*report.Report, error) {
	r := c.report("sleepers")
	r.Title = "what calls whose handler sleeps do to the others"
	r.Axis = &report.Axis{Name: "sleeping callers"}
	r.Settings = []report.Setting{{Name: "sleep", Value: c.Sleep.String()}, {Name: "share of sleeping calls, wanted", Value: fmt.Sprint(c.Share)}}
	all, err := c.servers()
	if err != nil {
		return r, err
	}
	for i := range all {
		all[i] = all[i].with("--sleep", c.Sleep.String())
	}
	competitors, err := b.enter(ctx, c.Comparison, all, r)
	if err != nil {
		return r, finish(ctx, r, err)
	}
	config := load.Config{Load: c.Loads[0], Payload: c.Payload, Duration: c.Duration}
	sleepers, err := b.sleepingCallers(ctx, c, competitors[0].child, config)
	if err != nil {
		return r, finish(ctx, r, err)
	}
	var heats []heat
	for _, n := range []int{0, sleepers} {
		config.Sleepers = n
		heats = append(heats, heat{at: float64(n), config: config, competitors: competitors, run: b.settledRun})
	}
	return r, finish(ctx, r, b.rounds(ctx, c.Comparison, heats, r))
}

// settledRun is a run on a server that has come to rest.
func (b *Bench) settledRun(ctx context.Context, s competitor, config load.Config) (*report.Run, error) {
	if err := settle(ctx); err != nil {
		return nil, err
	}
	return b.run(ctx, s, config)
}

// settleTime is how long a server is left alone between two runs. Package server
// treats all handlers with caution for a second after one took long, and a run
// without sleeping calls should not pay for the run before.
const settleTime = 1200 * time.Millisecond

// settle lets a server come to rest, or returns the context's error.
func settle(ctx context.Context) error {
	select {
	case <-time.After(settleTime):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// headroom is how much more than the share the number of sleeping callers aims
// at: the other calls' rate varies between runs, and too many sleeping calls are
// the safe side. Nobody tuned it.
const headroom = 1.15

// sleepingCallers returns how many sleeping callers make the share of c.
func (b *Bench) sleepingCallers(ctx context.Context, c SleepersConfig, server *child, config load.Config) (int, error) {
	b.Progress(0, "counting calls for the share")
	without, err := b.load(ctx, competitor{child: server}, config)
	if err != nil {
		return 0, err
	}
	// share = sleeping / (sleeping + others), and a sleeping caller makes at
	// most one call each time the handler sleeps.
	wanted := c.Share / (1 - c.Share)
	config.Sleepers = max(1, int(without.CallsPerSecond*wanted*c.Sleep.Seconds()))
	with, err := b.load(ctx, competitor{child: server}, config)
	if err != nil {
		return 0, err
	}
	if with.Sleepers.Calls == 0 || with.Calls == 0 {
		return 0, fmt.Errorf("suite: %d sleeping calls and %d others were answered", with.Sleepers.Calls, with.Calls)
	}
	obtained := with.Sleepers.CallsPerSecond / with.CallsPerSecond
	return int(math.Ceil(float64(config.Sleepers) * wanted / obtained * headroom)), nil
}

// SleepingErrors returns how many sleeping calls were not answered right.
func SleepingErrors(r *report.Report) (n uint64) {
	for i := range r.Runs {
		if sleeping := r.Runs[i].Sleepers; sleeping != nil {
			n += sleeping.Errors()
		}
	}
	return n
}

// sleepingShare is the share of sleeping calls among all.
func sleepingShare(r *report.Run) float64 {
	if r.Sleepers == nil {
		return 0
	}
	return r.Sleepers.CallsPerSecond / (r.Sleepers.CallsPerSecond + r.CallsPerSecond)
}

// sleepingAt returns the number of sleeping callers, 0 if no run had any.
func sleepingAt(r *report.Report) (n float64) {
	for i := range r.Runs {
		n = max(n, r.Runs[i].At)
	}
	return n
}

// WriteSleepers writes what [Bench.Sleepers] found as text.
func WriteSleepers(w io.Writer, c *SleepersConfig, r *report.Report) error {
	n, name := sleepingAt(r), c.Servers[0]
	with, without := place{name, r.Loads[0], n}, place{name, r.Loads[0], 0}
	throughput, latency := report.RatioOf(between(r, with, without, callsPerSecond)), report.RatioOf(timesBetween(r, with, without, p99))
	if n == 0 || throughput == nil {
		_, err := fmt.Fprintln(w, "no round was finished")
		return err
	}
	_, err := fmt.Fprintf(w, `%s under %v, beside it %.0f callers whose handler sleeps %v: %.2f %% of all calls
other calls/s without  %s
other calls/s with     %s
with by without        %s
p99 with by without    %s
errors                 %d
Medians of %d rounds (least-greatest); ratios are of the two runs of a round (95 %% confidence interval).
`, name, r.Loads[0], n, c.Sleep, report.SpreadOf(at(r, with, sleepingShare)).Median*100,
		whole(report.SpreadOf(at(r, without, callsPerSecond))), whole(report.SpreadOf(at(r, with, callsPerSecond))),
		throughput, latency, r.Errors()+SleepingErrors(r), throughput.Values)
	for _, line := range report.Legend([]*report.Interval{throughput, latency}) {
		if err == nil {
			_, err = fmt.Fprintln(w, line)
		}
	}
	return err
}

// whole shows a spread of large figures.
func whole(s *report.Spread) string {
	return fmt.Sprintf("%.0f (%.0f-%.0f)", s.Median, s.Min, s.Max)
}
