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
	Rounds   int           // at least
	Budget   time.Duration // further rounds are made while they fit into it
	Duration time.Duration // of one run
	Payload  int           // bytes of a call's payload
	Loops    int           // event loops; 0 is the server's default
	Seed     uint64        // of the order of the servers
	Users    load.UIDs     // as whom callers act, which needs root; none: as this process
}

// warmUp is how long each server serves before the first round: long enough for
// buffers to be made and threads to be started. Nobody tuned it.
const warmUp = 150 * time.Millisecond

// runWarmUp returns how long the load generator makes calls before those that are
// counted: until its callers have their threads. Starting 4,096 of them took 0.2 s.
func runWarmUp(l load.Load) time.Duration {
	return 30*time.Millisecond + time.Duration(l.Callers)*50*time.Microsecond
}

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
		err = b.rounds(ctx, c, c.heats(competitors), r)
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
		process, err := b.startOnce(ctx, v, started)
		if errors.Is(err, floor.ErrNoCompiler) || errors.Is(err, s6chain.ErrUnavailable) || v.native && errors.Is(err, os.ErrPermission) {
			leaveOut(r, v.Kind, err.Error())
			continue
		}
		if err != nil {
			return nil, err
		}
		v.GoVersion = measure.GoVersionOf(process.cmd.Process.Pid)
		if !slices.ContainsFunc(r.Servers, func(s report.Server) bool { return s.Name == v.Name }) {
			r.Servers = append(r.Servers, v.Server)
		}
		s := competitor{v, process}
		started = append(started, s)
		config := load.Config{Load: load.Load{Batch: 32, Callers: 1}, Payload: c.Payload, Duration: warmUp}
		if _, err := b.load(ctx, s, config); err != nil {
			return nil, err
		}
	}
	return started, b.check(r)
}

// startOnce starts the process of a variant, or returns that which one of started has and
// it shares.
func (b *Bench) startOnce(ctx context.Context, v variant, started []competitor) (*child, error) {
	for _, s := range started {
		if v.process != "" && s.process == v.process {
			return s.child, nil
		}
	}
	return b.start(ctx, v)
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

// A heat is where competitors are compared: under the same load, at a value of the
// report's axis.
type heat struct {
	at          float64
	config      load.Config // but for its path, warm-up and seed
	competitors []competitor

	// run makes the load on one of them and measures both. nil is [Bench.run].
	run func(ctx context.Context, s competitor, config load.Config) (*report.Run, error)
}

// heats are all loads of c, each with all competitors.
func (c *Comparison) heats(competitors []competitor) (heats []heat) {
	for _, l := range c.Loads {
		config := load.Config{Load: l, Payload: c.Payload, Duration: c.Duration, UIDs: c.Users}
		heats = append(heats, heat{config: config, competitors: competitors})
	}
	return heats
}

// rounds has all heats, as often as c says, and adds their runs to r. Each round has
// the heats in another order, and each heat its competitors.
func (b *Bench) rounds(ctx context.Context, c Comparison, heats []heat, r *report.Report) error {
	random := rand.New(rand.NewPCG(c.Seed, 0))
	heats = slices.Clone(heats)
	t := timetable{Comparison: &c, began: time.Now()}
	for _, h := range heats {
		t.runs += len(h.competitors)
	}
	for round := 0; t.goesOn(round); round++ {
		r.Rounds = max(c.Rounds, round+1)
		random.Shuffle(len(heats), func(i, j int) { heats[i], heats[j] = heats[j], heats[i] })
		for _, h := range heats {
			order := slices.Clone(h.competitors)
			random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			for _, s := range order {
				b.Progress(t.done(len(r.Runs)), fmt.Sprintf("round %d of %s: %s on %s", round+1, t.rounds(), h.label(r), s.Name))
				run, err := b.heat(ctx, h, s, c.Seed+uint64(round))
				if err != nil {
					return err
				}
				run.Round, run.At = round, h.at
				r.Runs = append(r.Runs, *run)
			}
		}
	}
	return nil
}

// heat has one competitor of a heat run.
func (b *Bench) heat(ctx context.Context, h heat, s competitor, seed uint64) (*report.Run, error) {
	config := h.config
	config.WarmUp, config.Seed = runWarmUp(config.Load), seed
	if h.run != nil {
		return h.run(ctx, s, config)
	}
	return b.run(ctx, s, config)
}

// label says what a heat is.
func (h *heat) label(r *report.Report) string {
	if r.Axis == nil {
		return h.config.Load.String()
	}
	return fmt.Sprintf("%s, %s %s", h.config.Load, grouped(h.at), r.Axis.Name)
}

// A timetable says how many rounds there are.
type timetable struct {
	*Comparison
	began time.Time
	runs  int // of one round
}

// goesOn reports whether there is a round after some.
func (t *timetable) goesOn(made int) bool {
	if made < t.Rounds {
		return true
	}
	elapsed := time.Since(t.began)
	return elapsed+elapsed/time.Duration(made) <= t.Budget
}

// rounds says how many rounds there will be, as far as is known.
func (t *timetable) rounds() string {
	if t.Budget > 0 {
		return fmt.Sprintf("at least %d", t.Rounds)
	}
	return fmt.Sprint(t.Rounds)
}

// done returns the share of the work that is done after some runs.
func (t *timetable) done(runs int) float64 {
	done := min(1, float64(runs)/float64(t.Rounds*t.runs))
	if t.Budget > 0 {
		done = min(done, time.Since(t.began).Seconds()/t.Budget.Seconds())
	}
	return done
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
	before, after := s.spent(), expense{}
	missed := time.Duration(0)
	result, err := b.loadWithin(ctx, s, config, load.Distribution{
		Begin: func(late time.Duration) { before, missed = s.spent(), late },
		End:   func() { after = s.spent() },
	})
	if err := errors.Join(err, before.err, after.err); err != nil {
		return nil, err
	}
	whole := ofWhole(result.Seconds, missed.Seconds())
	cpu, cores := after.cpu.Sub(before.cpu), after.cores.Sub(before.cores)
	run := &report.Run{
		Server:              s.Name,
		Result:              *result,
		ServerUserSeconds:   cpu.User().Seconds() * whole,
		ServerSystemSeconds: cpu.System().Seconds() * whole,
		MachineBusySeconds:  cores.Busy.Seconds() * whole,
		MachineIdleSeconds:  cores.Idle.Seconds() * whole,
	}
	run.Bottleneck = run.Judge(s.Cores, runtime.NumCPU())
	return run, nil
}

// ofWhole returns by how much an expense grows that missed the beginning of a run: what
// was spent then is taken to be as much as later. At most it is doubled; of a run of
// which nobody saw half nothing is known.
func ofWhole(seconds, missed float64) float64 {
	if seconds <= 0 {
		return 1
	}
	return seconds / max(seconds/2, seconds-missed)
}

// An expense is what a server and the machine have used so far.
type expense struct {
	cpu   measure.CPU
	cores measure.Cores
	err   error
}

// spent returns the expense of now.
func (s *competitor) spent() (e expense) {
	var err error
	e.cpu, e.err = s.used()
	e.cores, err = measure.AllCores()
	e.err = errors.Join(e.err, err)
	return e
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
