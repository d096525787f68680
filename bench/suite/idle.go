package suite

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/measure"
	"credrpc/bench/report"
)

// An IdleConfig says what [Bench.Idle] measures. Servers are [Eventloop],
// [EventloopOnLoop] and [Reference], which never ends a connection; there is one load.
type IdleConfig struct {
	Comparison
	Connections    []int         // numbers of connections that send nothing
	RequestTimeout time.Duration // of package server; a run must fit in
}

// ErrDeadline reports connections that the server did not end in time.
var ErrDeadline = errors.New("not every idle connection was ended at its deadline")

// endTolerance is how much later than its deadline a connection may be ended
// before it counts as missed: the process that watches also needs a core.
const endTolerance = 2 * time.Second

// Idle measures servers without and with connections that send nothing. Each number
// of connections has a server process of its own, so that the memory of the first
// round is that of a server that had none before.
func (b *Bench) Idle(ctx context.Context, c IdleConfig) (*report.Report, error) {
	r := c.report("idle")
	r.Title = "memory, and the calls of others, by the number of connections that send nothing"
	r.Axis = &report.Axis{Name: "connections"}
	r.Settings = []report.Setting{{Name: "request timeout", Value: c.RequestTimeout.String()}}
	if _, err := measure.KernelObjects(); err != nil {
		r.Notices = append(r.Notices, fmt.Sprintf("The kernel's memory is unknown: %v.", err))
	}
	most := strconv.Itoa(slices.Max(c.Connections) + 1000) // the callers of the load come on top
	all, err := c.servers("--max-calls", most, "--max-calls-per-uid", most, "--request-timeout", c.RequestTimeout.String())
	if err != nil {
		return r, err
	}
	var heats []heat
	for _, n := range append([]int{0}, c.Connections...) {
		competitors, err := b.enter(ctx, c.Comparison, all, r)
		if err != nil {
			return r, finish(ctx, r, err)
		}
		h := c.heats(competitors)[0]
		if n > 0 {
			h.at = float64(n)
			h.run = func(ctx context.Context, s competitor, config load.Config) (*report.Run, error) {
				return b.idleRun(ctx, &c, s, config, n)
			}
		}
		heats = append(heats, h)
	}
	return r, finish(ctx, r, b.rounds(ctx, c.Comparison, heats, r))
}

// idleRun makes a run beside n connections that send nothing.
func (b *Bench) idleRun(ctx context.Context, c *IdleConfig, s competitor, config load.Config, n int) (*report.Run, error) {
	idle := report.Idle{Waited: s.Kind != Reference}
	var err error
	if idle.Before, err = measure.MemoryOf(s.cmd.Process.Pid); err != nil {
		return nil, err
	}
	idle.KernelBefore, _ = measure.KernelObjects() // a notice says why it is 0
	var run *report.Run
	idle.Held, err = b.holding(ctx, c, s.child, n, idle.Waited, func() (err error) {
		idle.KernelDuring, _ = measure.KernelObjects()
		if run, err = b.run(ctx, s, config); err != nil {
			return err
		}
		idle.During, err = measure.MemoryOf(s.cmd.Process.Pid)
		return err
	})
	if err != nil {
		return nil, err
	}
	run.Idle = &idle
	return run, nil
}

// holding calls f while another process holds n connections that send nothing, and
// returns what became of them, if it shall wait until the server has ended them.
func (b *Bench) holding(ctx context.Context, c *IdleConfig, server *child, n int, wait bool, f func() error) (held load.Held, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*c.RequestTimeout+c.Duration+stopTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.Self, "hold", "--socket", server.socket, "--connections", strconv.Itoa(n))
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
	held.Opened = n
	if err := f(); err != nil || !wait {
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

// MissedDeadlines returns how many connections of all runs the server did not end, or
// ended before or long after their time.
func (c *IdleConfig) MissedDeadlines(r *report.Report) (missed int) {
	for i := range r.Runs {
		if idle := r.Runs[i].Idle; idle != nil && idle.Waited {
			missed += c.missed(idle, r.Runs[i].WarmUp+r.Runs[i].Seconds)
		}
	}
	return missed
}

// missed counts the connections that were not ended at their deadline. All that
// were ended count if the first was ended while the load ran, or the last much
// too late.
func (c *IdleConfig) missed(idle *report.Idle, seconds float64) int {
	if idle.FirstEnd < seconds || idle.LastEnd > (c.RequestTimeout+endTolerance).Seconds() {
		return idle.Opened
	}
	return idle.Opened - idle.Ended
}
