package suite

import (
	"context"
	"errors"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/measure"
	"credrpc/bench/report"
)

// A Scenario is one load on one server.
type Scenario struct {
	// Server is the name of a server that is started for it, with Loops event
	// loops, or threads of the floor; 0 is its default. Rules are the access rules
	// of package server and of s6's programs; without them everybody may call but
	// callers that shall be denied.
	Server string
	Loops  int
	Rules  string

	// Socket is that of a server that runs already, instead of Server. PID is its
	// process, 0 if nobody says, and Cores how many cores it can use, 0 for all.
	Socket string
	PID    int
	Cores  int

	// Program is a built credrpc-peers, for the servers that it has; "" builds it, in a
	// clone.
	Program string

	Load load.Config // but for its Path

	Profiles Profiles
	// SystemCalls has those of the server counted in another, shorter run of the same
	// load. Where strace is missing there is a notice instead.
	SystemCalls bool
}

// ErrCannot reports a load that a server cannot take.
var ErrCannot = errors.New("suite: the server cannot take this load")

// defaultPayload is the largest payload that package server takes by default.
const defaultPayload = 1 << 20

// Scenario makes one load on one server. If ctx ends, the result has what there is
// and says so. It has one server and one run, or is nil if there is none; without
// what the server's process used the run has no bottleneck. It returns [ErrCannot]
// for what cannot be, and [s6chain.ErrUnavailable], [ErrNoPeers] and [ErrPerf] where
// a server or perf cannot run.
func (b *Bench) Scenario(ctx context.Context, s Scenario) (*report.Report, error) {
	r := &report.Report{Name: "run", Machine: measure.Describe(), PressureBefore: measure.PressureNow(), Loads: []load.Load{s.Load.Load}, Rounds: 1}
	server, err := b.target(ctx, &s, r)
	if err != nil {
		return nil, err
	}
	if err := b.check(r); err != nil {
		return nil, err
	}
	run, err := b.offer(ctx, server, s.Load, &s.Profiles, r)
	if run == nil {
		return nil, err
	}
	if s.SystemCalls {
		err = errors.Join(err, b.addSystemCalls(ctx, &s, server, r, run))
	}
	r.Runs, r.Seconds, r.Payload, r.Seed, r.Interrupted = []report.Run{*run}, s.Load.Length().Seconds(), run.Payload, s.Load.Seed, run.Interrupted
	r.PressureAfter = measure.PressureNow()
	return r, errors.Join(err, r.Summarise())
}

// offer makes one load on a server and measures both. If ctx ends, the run has what
// there is and says so; it is nil if there is none. What is missing in it is a notice
// of r.
func (b *Bench) offer(ctx context.Context, server *target, config load.Config, p *Profiles, r *report.Report) (*report.Run, error) {
	config.Path = server.socket
	if err := config.Validate(); err != nil {
		return nil, err
	}
	files, err := b.prepare(p, server)
	if err != nil {
		return nil, err
	}
	defer files.discard()
	w := window{server: server, profiles: files}
	result, err := b.drive(ctx, server, config, load.Distribution{Begin: w.open, End: w.close, Progress: b.progressOf(&config, server.Name)})
	if server.child != nil {
		err = errors.Join(server.child.alive(), err)
	}
	if result == nil {
		return nil, err
	}
	run := &report.Run{Server: server.Name, Result: *result}
	return run, errors.Join(err, w.measured(r, run), files.publish())
}

// progressOf tells how far a run is.
func (b *Bench) progressOf(config *load.Config, server string) func(elapsed time.Duration) {
	total := config.WarmUp + config.Length()
	return func(elapsed time.Duration) {
		what := "measuring"
		if elapsed < config.WarmUp {
			what = "warming up"
		}
		b.Progress(min(1, elapsed.Seconds()/total.Seconds()), what+" "+server)
	}
}
