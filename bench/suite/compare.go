package suite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"time"

	"credrpc/bench/floor"
	"credrpc/bench/load"
	"credrpc/bench/measure"
	"credrpc/bench/probe"
	"credrpc/bench/report"
	"credrpc/bench/s6chain"
)

// A Comparison says which servers are compared under which loads.
type Comparison struct {
	Servers  []string // names; the order is that of the report
	Loads    []load.Load
	Rounds   int
	Duration time.Duration // of one run
	Payload  int           // bytes of a call's payload
	Loops    int           // event loops; 0 is the server's default
	Seed     uint64        // of the order of the servers
}

// warmUp is how long each server serves before the first round: long enough for
// buffers to be made and threads to be started. Nobody tuned it.
const warmUp = 150 * time.Millisecond

// A competitor is a server process of a comparison.
type competitor struct {
	variant
	*child
}

// Compare runs the comparison and reports what it found. Servers that cannot run
// here are left out with a notice. If ctx ends, the report says so and has the
// runs up to then. It returns [ErrServer] with a report if a server failed.
func (b *Bench) Compare(ctx context.Context, c Comparison) (*report.Report, error) {
	r := c.report("quick")
	competitors, err := b.competitors(ctx, c, r)
	if err == nil {
		err = b.rounds(ctx, c, competitors, r)
	}
	return r, finish(ctx, r, err)
}

// report returns a report of what will be compared, without a server.
func (c *Comparison) report(name string) *report.Report {
	return &report.Report{
		Name:           name,
		Machine:        measure.Describe(),
		PressureBefore: measure.PressureNow(),
		Loads:          c.Loads,
		Rounds:         c.Rounds,
		Seconds:        c.Duration.Seconds(),
		Payload:        c.Payload,
		Seed:           c.Seed,
	}
}

// finish completes a report whose runs ended with err. That ctx has ended is no
// error; the report says so.
func finish(ctx context.Context, r *report.Report, err error) error {
	r.PressureAfter = measure.PressureNow()
	if ctx.Err() != nil {
		r.Interrupted = true
		err = nil
	}
	return errors.Join(err, r.Summarise())
}

// competitors starts the servers of c and warms them up.
func (b *Bench) competitors(ctx context.Context, c Comparison, r *report.Report) ([]competitor, error) {
	all, err := variants(c.Servers, c.Loops)
	if err != nil {
		return nil, err
	}
	return b.enter(ctx, c, all, r)
}

// enter starts servers and warms them up. Those that cannot run here are left
// out with a notice.
func (b *Bench) enter(ctx context.Context, c Comparison, all []variant, r *report.Report) ([]competitor, error) {
	var started []competitor
	for i, v := range all {
		if v.maxPayload > 0 && c.Payload > v.maxPayload {
			leaveOut(r, v.Kind, fmt.Sprintf("it takes payloads of up to %d bytes", v.maxPayload))
			continue
		}
		b.Progress(0, fmt.Sprintf("starting %s (%d of %d)", v.Name, i+1, len(all)))
		process, err := b.start(ctx, v)
		if errors.Is(err, floor.ErrNoCompiler) || errors.Is(err, s6chain.ErrUnavailable) || v.native && errors.Is(err, os.ErrPermission) {
			leaveOut(r, v.Kind, err.Error())
			continue
		}
		if err != nil {
			return nil, err
		}
		v.GoVersion = measure.GoVersionOf(process.cmd.Process.Pid)
		r.Servers = append(r.Servers, v.Server)
		started = append(started, competitor{v, process})
		config := load.Config{Load: load.Load{Batch: 32, Callers: 1}, Payload: c.Payload, Duration: warmUp}
		if _, err := b.load(ctx, process, config); err != nil {
			return nil, err
		}
	}
	return started, b.check(r)
}

// leaveOut notes once why no variant of a kind takes part.
func leaveOut(r *report.Report, kind, reason string) {
	note(r, fmt.Sprintf("%s is left out: %s.", kind, reason))
}

// note adds a notice to r that it does not have yet.
func note(r *report.Report, notice string) {
	if !slices.Contains(r.Notices, notice) {
		r.Notices = append(r.Notices, notice)
	}
}

// rounds runs all loads on all competitors, c.Rounds times, and adds the runs to
// r. Each round begins with another load, and each load has the servers in
// another order.
func (b *Bench) rounds(ctx context.Context, c Comparison, competitors []competitor, r *report.Report) error {
	random := rand.New(rand.NewPCG(c.Seed, 0))
	order := slices.Clone(competitors)
	total := c.Rounds * len(c.Loads) * len(order)
	for round := range c.Rounds {
		for i := range c.Loads {
			l := c.Loads[(round+i)%len(c.Loads)]
			random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			for _, s := range order {
				b.Progress(float64(len(r.Runs))/float64(total),
					fmt.Sprintf("round %d of %d: %s on %s", round+1, c.Rounds, l, s.Name))
				run, err := b.run(ctx, s, load.Config{Load: l, Payload: c.Payload, Duration: c.Duration})
				if err != nil {
					return err
				}
				run.Round = round
				r.Runs = append(r.Runs, *run)
			}
		}
	}
	return nil
}

// run makes one load on one server and measures both.
func (b *Bench) run(ctx context.Context, s competitor, config load.Config) (*report.Run, error) {
	if err := s.beginProbe(probe.Files{}); err != nil {
		return nil, err
	}
	run, err := b.runUnprobed(ctx, s, config)
	runtime, probeErr := s.endProbe()
	if err = errors.Join(err, probeErr); err != nil {
		return nil, err
	}
	run.Runtime = runtime
	return run, nil
}

// runUnprobed is run without what the server says itself.
func (b *Bench) runUnprobed(ctx context.Context, s competitor, config load.Config) (*report.Run, error) {
	cpu, err := s.used()
	if err != nil {
		return nil, err
	}
	cores, err := measure.AllCores()
	if err != nil {
		return nil, err
	}
	result, err := b.load(ctx, s.child, config)
	if err != nil {
		return nil, err
	}
	after, err := s.used()
	if err != nil {
		return nil, err
	}
	coresAfter, err := measure.AllCores()
	if err != nil {
		return nil, err
	}
	cpu, cores = after.Sub(cpu), coresAfter.Sub(cores)
	run := &report.Run{
		Server:              s.Name,
		Result:              *result,
		ServerUserSeconds:   cpu.User().Seconds(),
		ServerSystemSeconds: cpu.System().Seconds(),
		MachineBusySeconds:  cores.Busy.Seconds(),
		MachineIdleSeconds:  cores.Idle.Seconds(),
	}
	run.Bottleneck = run.Judge(s.Cores, runtime.NumCPU())
	return run, nil
}

// used returns the processor time that the server has used so far.
func (s *competitor) used() (measure.CPU, error) {
	pid := s.cmd.Process.Pid
	cpu, err := measure.CPUOf(pid)
	if err != nil {
		return cpu, errors.Join(s.alive(), err)
	}
	if !s.forks {
		return cpu, nil
	}
	children, err := measure.ChildrenCPUOf(pid)
	if err != nil {
		return cpu, errors.Join(s.alive(), err)
	}
	return cpu.Add(children), nil
}
