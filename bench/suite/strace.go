package suite

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"credrpc/bench/floor"
	"credrpc/bench/load"
	"credrpc/bench/report"
)

// ErrNoStrace reports that strace is not installed.
var ErrNoStrace = errors.New("suite: strace is not installed")

// countedTime is the longest that the run of a scenario lasts whose system calls are
// counted. Nobody tuned it.
const countedTime = time.Second

// Strace counts the system calls of servers under a load. Each server runs twice
// under strace, with and without the load, and what it does without, starting
// and stopping, does not count. The report has what was found before ctx ended. It
// returns [ErrNoStrace] where that is missing.
func (b *Bench) Strace(ctx context.Context, servers []string, config load.Config, loops int) (*report.Report, error) {
	c := Comparison{Loads: []load.Load{config.Load}, Rounds: 1, Duration: config.Duration, Payload: config.Payload}
	r := c.report("strace")
	r.Title = "System calls a call, counted by strace, which slows everything down"
	all, err := variants(servers, loops)
	if err != nil {
		return r, err
	}
	wanted := *r
	for _, v := range all {
		wanted.Servers = append(wanted.Servers, v.Server)
	}
	if err := b.check(&wanted); err != nil {
		return r, err
	}
	for i, v := range all {
		b.Progress(float64(i)/float64(len(all)), "counting system calls of "+v.Name)
		run := report.Run{Server: v.Name}
		run.SystemCalls, err = b.counted(ctx, v, b.start, func(server *child) (*load.Result, error) {
			result, err := b.load(ctx, competitor{child: server}, config)
			if err == nil {
				run.Result = *result
			}
			return result, err
		})
		if errors.Is(err, floor.ErrNoCompiler) {
			leaveOut(r, v.Kind, err.Error())
			continue
		}
		if err != nil {
			return r, finish(ctx, r, err)
		}
		r.Servers = append(r.Servers, v.Server)
		r.Runs = append(r.Runs, run)
	}
	return r, finish(ctx, r, nil)
}

// addSystemCalls counts the system calls of a scenario's server in another run of
// its load, and adds them to the run.
func (b *Bench) addSystemCalls(ctx context.Context, s *Scenario, server *target, r *report.Report, run *report.Run) error {
	if ctx.Err() != nil {
		r.Notices = append(r.Notices, "System calls were not counted: the run was interrupted.")
		return nil
	}
	config := s.Load
	config.WarmUp, config.Duration = 0, min(config.Duration, countedTime)
	if config.Arrivals != nil {
		first := config.Arrivals.Steps[0]
		first.Duration = min(first.Duration, countedTime)
		config.Arrivals = &load.Arrivals{Poisson: config.Arrivals.Poisson, Steps: load.Steps{first}}
	}
	b.Progress(1, "counting system calls of "+server.Name)
	var err error
	if server.child == nil {
		run.SystemCalls, err = b.countedRunning(server.pid, func() (*load.Result, error) {
			return b.drive(ctx, server, config, load.Distribution{})
		})
	} else {
		start := func(ctx context.Context, v variant) (*child, error) { return b.startFor(ctx, v, s) }
		run.SystemCalls, err = b.counted(ctx, server.variant, start, func(c *child) (*load.Result, error) {
			return b.drive(ctx, &target{variant: server.variant, socket: c.socket}, config, load.Distribution{})
		})
	}
	if errors.Is(err, ErrNoStrace) {
		r.Notices = append(r.Notices, "System calls were not counted: strace is not installed.")
		return nil
	}
	return err
}

// counted starts a server twice under strace, and returns how many system calls more
// it makes, for each call of the load that is made when it runs the second time.
func (b *Bench) counted(ctx context.Context, v variant, start func(context.Context, variant) (*child, error), makeLoad func(*child) (*load.Result, error)) (map[string]float64, error) {
	var counts [2]map[string]uint64 // without the load, with it
	var result *load.Result
	for i := range counts {
		server, output, err := b.traced(ctx, v, start)
		if err != nil {
			return nil, err
		}
		if i == 1 {
			if result, err = makeLoad(server); err != nil {
				return nil, err
			}
		}
		server.stop() // strace blocks the signal and ends after the server, with its summary
		if counts[i], err = readSummaryOf(output); err != nil {
			return nil, fmt.Errorf("%w: %s", err, server.stderr.String())
		}
	}
	return perCall(counts[0], counts[1], result.Calls+result.Errors()), nil
}

// traced starts a server under strace, whose summary will be in output when the
// server has stopped.
func (b *Bench) traced(ctx context.Context, v variant, start func(context.Context, variant) (*child, error)) (server *child, output string, err error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return nil, "", ErrNoStrace
	}
	dir, err := b.directory()
	if err != nil {
		return nil, "", err
	}
	output = filepath.Join(dir, "strace")
	command := v.command
	v.command = func(b *Bench, ctx context.Context, socket string) ([]string, error) {
		all, err := command(b, ctx, socket)
		return append([]string{strace, "-f", "-c", "-o", output}, all...), err
	}
	v.probed = false // its channel makes system calls too
	server, err = start(ctx, v)
	return server, output, err
}

// attachTimeout is how long strace may take to attach to a process, and to let it go.
const attachTimeout = 10 * time.Second

// countedRunning attaches strace to a process while a load is made, and returns how
// many system calls it makes for each call.
func (b *Bench) countedRunning(pid int, makeLoad func() (*load.Result, error)) (map[string]float64, error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return nil, ErrNoStrace
	}
	dir, err := b.directory()
	if err != nil {
		return nil, err
	}
	output := filepath.Join(dir, "strace")
	tracer, err := startChild("strace", []string{strace, "-f", "-c", "-o", output, "-p", strconv.Itoa(pid)}, nil, false)
	if err != nil {
		return nil, err
	}
	defer tracer.stop()
	for deadline := time.Now().Add(attachTimeout); !strings.Contains(tracer.stderr.String(), "attached"); time.Sleep(time.Millisecond) {
		if err := tracer.alive(); err != nil {
			return nil, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("suite: strace does not attach to %d: %s", pid, tracer.stderr.String())
		}
	}
	result, err := makeLoad()
	if err != nil {
		return nil, err
	}
	tracer.cmd.Process.Signal(os.Interrupt) // it lets the server go on
	select {
	case <-tracer.ended:
	case <-time.After(attachTimeout):
		return nil, errors.New("suite: strace does not let the server go")
	}
	counts, err := readSummaryOf(output)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, tracer.stderr.String())
	}
	return perCall(nil, counts, result.Calls+result.Errors()), nil
}

// perCall divides what was counted more with a load than without it by its calls.
func perCall(without, with map[string]uint64, calls uint64) map[string]float64 {
	all := map[string]float64{}
	for name, n := range with {
		if before := without[name]; n > before && calls > 0 {
			all[name] = float64(n-before) / float64(calls)
		}
	}
	return all
}

// readSummaryOf is readSummary of a file.
func readSummaryOf(path string) (map[string]uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("suite: strace: %w", err)
	}
	defer f.Close()
	return readSummary(f)
}

// readSummary reads what strace -c prints: columns "% time", "seconds",
// "usecs/call", "calls", "errors", which may be blank, and "syscall".
func readSummary(r io.Reader) (map[string]uint64, error) {
	counts := map[string]uint64{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 || fields[len(fields)-1] == "total" {
			continue
		}
		if n, err := strconv.ParseUint(fields[3], 10, 64); err == nil { // else it is a heading
			counts[fields[len(fields)-1]] += n
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("suite: strace: %w", err)
	}
	if len(counts) == 0 {
		return nil, errors.New("suite: strace printed no counts")
	}
	return counts, nil
}

// rareCall is the number of system calls a call below which a kind is not shown.
const rareCall = 0.005

// WriteSystemCalls writes what [Bench.Strace] found as text, a line for each server.
func WriteSystemCalls(w io.Writer, r *report.Report) error {
	var b strings.Builder
	for i := range r.Runs {
		run := &r.Runs[i]
		if i == 0 {
			fmt.Fprintf(&b, "system calls a call under %v for %gs, traced (tracing slows everything down)\n", run.Load, r.Seconds)
		}
		total, names := systemCalls(run.SystemCalls)
		fmt.Fprintf(&b, "%-18s %6.2f  %s (%d calls, %d errors)\n", run.Server, total, names, run.Calls, run.Errors())
	}
	for _, notice := range r.Notices {
		fmt.Fprintln(&b, notice)
	}
	if r.Interrupted {
		b.WriteString("Interrupted.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// systemCalls returns the sum of what was counted, and the kinds, the most frequent
// first.
func systemCalls(byName map[string]float64) (total float64, names string) {
	var shown []string
	for name, n := range byName {
		total += n
		if n >= rareCall {
			shown = append(shown, name)
		}
	}
	slices.SortFunc(shown, func(a, b string) int {
		return cmp.Or(cmp.Compare(byName[b], byName[a]), strings.Compare(a, b))
	})
	for i, name := range shown {
		shown[i] = fmt.Sprintf("%s %.2f", name, byName[name])
	}
	return total, strings.Join(shown, ", ")
}
