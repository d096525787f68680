package suite

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/measure"
	"credrpc/bench/report"
)

// An IdleConfig says what [Bench.Idle] measures.
type IdleConfig struct {
	Connections    int
	Load           load.Load
	Rounds         int
	Duration       time.Duration // of one run
	Payload        int           // bytes of a call's payload
	Loops          int           // event loops; 0 is the server's default
	OnLoop         bool          // handlers on the event loop
	RequestTimeout time.Duration // of the server; a run must fit in
}

// IdleResult says what connections that send nothing did.
type IdleResult struct {
	Machine        measure.Machine `json:"machine"`
	Connections    int             `json:"connections"`
	Load           load.Load       `json:"load"`
	RequestTimeout float64         `json:"request_timeout_seconds"`
	Rounds         []IdleRound     `json:"rounds"`
	P99            *report.Spread  `json:"p99_ratio"`        // with by without, round by round
	Throughput     *report.Spread  `json:"throughput_ratio"` // the same
	Errors         uint64          `json:"errors"`           // of calls
	MissedDeadline int             `json:"missed_deadline"`  // connections that the server did not end, or ended before their time
}

// An IdleRound is one run without and one with idle connections.
type IdleRound struct {
	Without load.Result    `json:"without"`
	With    load.Result    `json:"with"`
	Before  measure.Memory `json:"memory_before"` // of the server, with none
	During  measure.Memory `json:"memory_during"` // after the run with all
	Held    load.Held      `json:"held"`
}

// endTolerance is how much later than its deadline a connection may be ended
// before it counts as missed: the process that watches also needs a core.
const endTolerance = 2 * time.Second

// Idle measures a server without and with connections that send nothing. The
// first round's memory is that of a server that had none before. It returns the
// rounds that were finished before ctx ended.
func (b *Bench) Idle(ctx context.Context, c IdleConfig) (*IdleResult, error) {
	r := &IdleResult{Machine: measure.Describe(), Connections: c.Connections, Load: c.Load, RequestTimeout: c.RequestTimeout.Seconds()}
	name := Eventloop
	if c.OnLoop {
		name = EventloopOnLoop
	}
	all, err := variants([]string{name}, c.Loops)
	if err != nil {
		return r, err
	}
	most := strconv.Itoa(c.Connections + 1000) // the callers of the load come on top
	server, err := b.start(ctx, all[0].with("--max-calls", most, "--max-calls-per-uid", most, "--request-timeout", c.RequestTimeout.String()))
	if err != nil {
		return r, err
	}
	if _, err := b.load(ctx, server, load.Config{Load: c.Load, Payload: c.Payload, Duration: warmUp}); err != nil {
		return r, err
	}
	var p99, throughput []float64
	for i := range c.Rounds {
		b.Progress(float64(i)/float64(c.Rounds), fmt.Sprintf("round %d of %d: %d connections", i+1, c.Rounds, c.Connections))
		round, err := b.idleRound(ctx, c, server, i%2 == 0)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return r, err
		}
		r.Rounds = append(r.Rounds, *round)
		r.Errors += round.Without.Errors() + round.With.Errors()
		r.MissedDeadline += round.missed(c)
		p99 = append(p99, round.With.Latency.P99/round.Without.Latency.P99)
		throughput = append(throughput, round.With.CallsPerSecond/round.Without.CallsPerSecond)
	}
	r.P99, r.Throughput = report.SpreadOf(p99), report.SpreadOf(throughput)
	return r, nil
}

// idleRound makes both runs. The one without connections comes first or last.
func (b *Bench) idleRound(ctx context.Context, c IdleConfig, server *child, first bool) (*IdleRound, error) {
	var round IdleRound
	config := load.Config{Load: c.Load, Payload: c.Payload, Duration: c.Duration}
	without := func() error {
		result, err := b.load(ctx, server, config)
		if err == nil {
			round.Without = *result
		}
		return err
	}
	if first {
		if err := without(); err != nil {
			return nil, err
		}
	}
	var err error
	if round.Before, err = measure.MemoryOf(server.cmd.Process.Pid); err != nil {
		return nil, err
	}
	round.Held, err = b.holding(ctx, server, c, func() error {
		result, err := b.load(ctx, server, config)
		if err != nil {
			return err
		}
		round.With = *result
		round.During, err = measure.MemoryOf(server.cmd.Process.Pid)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !first {
		if err := without(); err != nil {
			return nil, err
		}
	}
	return &round, nil
}

// holding calls f while another process holds connections that send nothing,
// and returns what became of them.
func (b *Bench) holding(ctx context.Context, server *child, c IdleConfig, f func() error) (held load.Held, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*c.RequestTimeout+c.Duration+stopTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.Self, "hold", "--socket", server.socket, "--connections", strconv.Itoa(c.Connections))
	cmd.SysProcAttr = isolated()
	var stderr tail
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return held, fmt.Errorf("suite: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return held, fmt.Errorf("suite: %w", err)
	}
	defer func() {
		cancel()
		cmd.Wait()
	}()
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() { // all are open
		return held, fmt.Errorf("suite: connections could not be opened (%v; needs as many descriptors): %s", cmd.Wait(), stderr.String())
	}
	if err := f(); err != nil {
		return held, err
	}
	if !lines.Scan() {
		return held, fmt.Errorf("suite: connections were not ended in time: %s", stderr.String())
	}
	if err := json.Unmarshal(lines.Bytes(), &held); err != nil {
		return held, fmt.Errorf("suite: %w", err)
	}
	return held, nil
}

// missed counts the connections that were not ended at their deadline. All that
// were ended count if the first was ended while the load ran, or the last much
// too late.
func (round *IdleRound) missed(c IdleConfig) int {
	if round.Held.FirstEnd < round.With.Seconds || round.Held.LastEnd > (c.RequestTimeout+endTolerance).Seconds() {
		return c.Connections
	}
	return c.Connections - round.Held.Ended
}

// Write writes the result as text.
func (r *IdleResult) Write(w io.Writer) error {
	if len(r.Rounds) == 0 {
		_, err := fmt.Fprintln(w, "no round was finished")
		return err
	}
	first := r.Rounds[0]
	more := func(after, before uint64) float64 { return mib(after) - mib(before) }
	_, err := fmt.Fprintf(w, `eventloop under %v, beside it %d connections that send nothing
memory of the server  none      with all   more
  RSS MiB             %-8.2f  %-9.2f  %+.2f
  PSS MiB             %-8.2f  %-9.2f  %+.2f
  peak MiB            %-8.2f  %-9.2f  %+.2f
p99 with by without   %s
calls/s with by w/o   %s
errors                %d
`, r.Load, r.Connections,
		mib(first.Before.RSS), mib(first.During.RSS), more(first.During.RSS, first.Before.RSS),
		mib(first.Before.PSS), mib(first.During.PSS), more(first.During.PSS, first.Before.PSS),
		mib(first.Before.Peak), mib(first.During.Peak), more(first.During.Peak, first.Before.Peak),
		r.P99, r.Throughput, r.Errors)
	if err != nil {
		return err
	}
	for i, round := range r.Rounds {
		l, m := round.Without.Latency, round.With.Latency
		if _, err := fmt.Fprintf(w, "round %d: p99 %.0f µs without, %.0f with; %d ended between %.2f and %.2f s after the last was opened\n",
			i+1, l.P99, m.P99, round.Held.Ended, round.Held.FirstEnd, round.Held.LastEnd); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(w, "%d connections missed their deadline of %g s. Memory is of the first round, ratios are medians (least-greatest).\n",
		r.MissedDeadline, r.RequestTimeout)
	return err
}
