package suite

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/measure"
	"credrpc/bench/report"
)

// A SleepersConfig says what [Bench.Sleepers] measures.
type SleepersConfig struct {
	Server   string // [Eventloop] or [Reference]
	Load     load.Load
	Rounds   int
	Duration time.Duration // of one run
	Payload  int           // bytes of a call's payload, at least 1
	Loops    int           // event loops; 0 is the server's default
	Sleep    time.Duration // of the handler, on sleeping calls
	Share    float64       // of sleeping calls among all, wanted
}

// SleepersResult says what sleeping calls did to the others.
type SleepersResult struct {
	Machine measure.Machine `json:"machine"`
	Server  string          `json:"server"`
	Load    load.Load       `json:"load"`
	Sleep   float64         `json:"sleep_seconds"`
	Callers int             `json:"sleeping_callers"`
	Share   *report.Spread  `json:"sleeping_share"` // of all calls, obtained
	Without *report.Spread  `json:"calls_per_second_without"`
	With    *report.Spread  `json:"calls_per_second_with"` // of the other calls
	Ratio   *report.Spread  `json:"ratio"`                 // with by without, round by round
	P99     *report.Spread  `json:"p99_ratio"`             // of the other calls, with by without
	Errors  uint64          `json:"errors"`
	Rounds  int             `json:"rounds"` // finished
}

// Sleepers measures how many calls a server answers without and with other calls
// beside them whose handler sleeps. The number of sleeping callers follows from
// two runs before the first round: as many as the share needs. It returns what the rounds
// before ctx ended found.
func (b *Bench) Sleepers(ctx context.Context, c SleepersConfig) (*SleepersResult, error) {
	r := &SleepersResult{Machine: measure.Describe(), Server: c.Server, Load: c.Load, Sleep: c.Sleep.Seconds()}
	all, err := variants([]string{c.Server}, c.Loops)
	if err != nil {
		return r, err
	}
	v := all[0]
	server, err := b.start(ctx, v.with("--sleep", c.Sleep.String()))
	if err != nil {
		return r, err
	}
	config := load.Config{Load: c.Load, Payload: c.Payload, Duration: c.Duration}
	if r.Callers, err = b.sleepingCallers(ctx, c, server, config); err != nil {
		return r, err
	}
	var share, without, with, ratio, p99 []float64
	for round := range c.Rounds {
		var runs [2]*load.Result // without, with
		for i := range runs {
			i := (i + round) % 2
			config.Sleepers = i * r.Callers
			b.Progress(float64(round)/float64(c.Rounds), fmt.Sprintf("round %d of %d: %d sleeping callers", round+1, c.Rounds, config.Sleepers))
			if err = settle(ctx); err != nil {
				break
			}
			if runs[i], err = b.load(ctx, server, config); err != nil {
				break
			}
			r.Errors += runs[i].Errors()
		}
		if err != nil {
			break
		}
		sleeping := runs[1].Sleepers
		r.Errors += sleeping.Errors()
		share = append(share, sleeping.CallsPerSecond/(sleeping.CallsPerSecond+runs[1].CallsPerSecond))
		without = append(without, runs[0].CallsPerSecond)
		with = append(with, runs[1].CallsPerSecond)
		ratio = append(ratio, runs[1].CallsPerSecond/runs[0].CallsPerSecond)
		p99 = append(p99, runs[1].Latency.P99/runs[0].Latency.P99)
		r.Rounds++
	}
	r.Share, r.Without, r.With = report.SpreadOf(share), report.SpreadOf(without), report.SpreadOf(with)
	r.Ratio, r.P99 = report.SpreadOf(ratio), report.SpreadOf(p99)
	if ctx.Err() != nil {
		return r, nil
	}
	return r, err
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
	without, err := b.load(ctx, server, config)
	if err != nil {
		return 0, err
	}
	// share = sleeping / (sleeping + others), and a sleeping caller makes at
	// most one call each time the handler sleeps.
	wanted := c.Share / (1 - c.Share)
	config.Sleepers = max(1, int(without.CallsPerSecond*wanted*c.Sleep.Seconds()))
	with, err := b.load(ctx, server, config)
	if err != nil {
		return 0, err
	}
	if with.Sleepers.Calls == 0 || with.Calls == 0 {
		return 0, fmt.Errorf("suite: %d sleeping calls and %d others were answered", with.Sleepers.Calls, with.Calls)
	}
	obtained := with.Sleepers.CallsPerSecond / with.CallsPerSecond
	return int(math.Ceil(float64(config.Sleepers) * wanted / obtained * headroom)), nil
}

// with returns the variant with more arguments before the socket.
func (v variant) with(args ...string) variant {
	command := v.command
	v.command = func(b *Bench, ctx context.Context, socket string) ([]string, error) {
		all, err := command(b, ctx, socket)
		if err != nil {
			return nil, err
		}
		return append(append(all[:len(all)-1:len(all)-1], args...), socket), nil
	}
	return v
}

// Write writes the result as text.
func (r *SleepersResult) Write(w io.Writer) error {
	if r.Rounds == 0 {
		_, err := fmt.Fprintln(w, "no round was finished")
		return err
	}
	_, err := fmt.Fprintf(w, `%s under %v, beside it %d callers whose handler sleeps %v: %.2f %% of all calls
other calls/s without  %s
other calls/s with     %s
with by without        %s
p99 with by without    %s
errors                 %d
Medians of %d rounds (least-greatest); ratios are of the two runs of a round.
`, r.Server, r.Load, r.Callers, time.Duration(r.Sleep*float64(time.Second)), r.Share.Median*100,
		whole(r.Without), whole(r.With), r.Ratio, r.P99, r.Errors, r.Rounds)
	return err
}

// whole shows a spread of large figures.
func whole(s *report.Spread) string {
	return fmt.Sprintf("%.0f (%.0f-%.0f)", s.Median, s.Min, s.Max)
}
