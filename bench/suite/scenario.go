package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"credrpc/accessdb"
	"credrpc/bench/load"
	"credrpc/bench/measure"
	"credrpc/bench/report"
)

// A Scenario is one load on one server.
type Scenario struct {
	// Server is the name of a server that is started for it, with Loops event
	// loops, or threads of the floor; 0 is its default. Rules are the access rules
	// of package server; without them everybody may call but callers that shall be
	// denied.
	Server string
	Loops  int
	Rules  string

	// Socket is that of a server that runs already, instead of Server. PID is its
	// process, 0 if nobody says, and Cores how many cores it can use, 0 for all.
	Socket string
	PID    int
	Cores  int

	Load load.Config // but for its Path
}

// ErrCannot reports a load that a server cannot take.
var ErrCannot = errors.New("suite: the server cannot take this load")

// defaultPayload is the largest payload that package server takes by default.
const defaultPayload = 1 << 20

// Scenario makes one load on one server. If ctx ends, the result has what there is
// and says so. It has one server and one run, or is nil if there is none; without
// what the server's process used the run has no bottleneck.
func (b *Bench) Scenario(ctx context.Context, s Scenario) (*report.Report, error) {
	r := &report.Report{Name: "run", Machine: measure.Describe(), PressureBefore: measure.PressureNow(), Loads: []load.Load{s.Load.Load}, Rounds: 1}
	server, err := b.target(ctx, &s, r)
	if err != nil {
		return nil, err
	}
	s.Load.Path = server.socket
	if err := s.Load.Validate(); err != nil {
		return nil, err
	}
	w := window{pid: server.pid}
	total := s.Load.WarmUp + s.Load.Length()
	result, err := load.Distribute(ctx, s.Load, load.Distribution{
		Command: b.partCommand,
		Begin:   w.open,
		End:     w.close,
		Progress: func(elapsed time.Duration) {
			what := "measuring"
			if elapsed < s.Load.WarmUp {
				what = "warming up"
			}
			b.Progress(min(1, elapsed.Seconds()/total.Seconds()), what+" "+server.Name)
		},
	})
	if server.child != nil {
		err = errors.Join(server.child.alive(), err)
	}
	if result == nil {
		return nil, err
	}
	run := report.Run{Server: server.Name, Result: *result}
	err = errors.Join(err, w.measured(r, &run))
	r.Runs, r.Seconds, r.Payload, r.Seed, r.Interrupted = []report.Run{run}, s.Load.Length().Seconds(), run.Payload, s.Load.Seed, run.Interrupted
	r.PressureAfter = measure.PressureNow()
	return r, errors.Join(err, r.Summarise())
}

// partCommand returns a command that is a part of a load. The file is named as the
// child names its own: a user that may not look into this process may run it.
func (b *Bench) partCommand() *exec.Cmd { return exec.Command("/proc/self/exe", "part") }

// A target is a server that has a load.
type target struct {
	report.Server
	socket string
	pid    int    // 0 if unknown
	child  *child // nil if it ran before
}

// target returns the server of a scenario, which answers.
func (b *Bench) target(ctx context.Context, s *Scenario, r *report.Report) (*target, error) {
	var t *target
	var err error
	if s.Socket != "" {
		t, err = running(s)
	} else {
		t, err = b.started(ctx, s, r)
	}
	if err != nil {
		return nil, err
	}
	r.Servers = []report.Server{t.Server}
	return t, nil
}

// running is a server that runs already.
func running(s *Scenario) (*target, error) {
	socket := s.Socket
	if len(s.Load.UIDs) > 0 || s.Load.Hostile.Denies() {
		// Other users may not look up a name in this process's directory.
		absolute, err := filepath.Abs(socket)
		if err != nil {
			return nil, fmt.Errorf("suite: %w", err)
		}
		if socket[0] != '@' {
			socket = absolute
		}
	}
	if s.PID != 0 {
		if _, err := measure.ProcessOf(s.PID); err != nil {
			return nil, fmt.Errorf("suite: the process of the server: %w", err)
		}
	}
	if err := probe(socket); err != nil {
		return nil, fmt.Errorf("%w: %s does not echo: %w", ErrServer, socket, err)
	}
	cores := s.Cores
	if cores == 0 {
		cores = runtime.NumCPU()
	}
	return &target{Server: report.Server{Name: socket, Kind: "running", Cores: cores}, socket: socket, pid: s.PID}, nil
}

// started is a server that is started.
func (b *Bench) started(ctx context.Context, s *Scenario, r *report.Report) (*target, error) {
	v, err := s.variant()
	if err != nil {
		return nil, err
	}
	if s.isEventloop() {
		if v, err = b.eventloopFor(v, s); err != nil {
			return nil, err
		}
	} else if s.Load.Hostile.Denies() {
		r.Notices = append(r.Notices, v.Kind+" has no access rules, so nobody is denied.")
	}
	b.Progress(0, "starting "+v.Name)
	c, err := b.start(ctx, v)
	if err != nil {
		return nil, err
	}
	if len(s.Load.UIDs) > 0 || s.Load.Hostile.Denies() {
		if err := b.open(c.socket); err != nil {
			return nil, err
		}
	}
	return &target{Server: v.Server, socket: c.socket, pid: c.cmd.Process.Pid, child: c}, nil
}

// open lets other users reach a server that this one has started.
func (b *Bench) open(socket string) error {
	if err := errors.Join(os.Chmod(b.dir, 0o711), os.Chmod(socket, 0o666)); err != nil {
		return fmt.Errorf("suite: %w", err)
	}
	for dir := filepath.Dir(b.dir); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("suite: %w", err)
		}
		if info.Mode()&0o001 == 0 {
			return fmt.Errorf("suite: other users cannot enter %s to call; set TMPDIR to another directory", dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// variant returns the server of a scenario, or says what it cannot do.
func (s *Scenario) variant() (variant, error) {
	if s.Rules != "" && !s.isEventloop() {
		return variant{}, fmt.Errorf("%w: %s has no access rules", ErrCannot, s.Server)
	}
	if s.Server != Floor {
		all, err := variants([]string{s.Server}, s.Loops)
		if err != nil {
			return variant{}, err
		}
		return all[0], nil
	}
	if s.Load.Sizes.Apart() {
		return variant{}, fmt.Errorf("%w: the floor only echoes, so answers have no size of their own", ErrCannot)
	}
	return floorVariant(max(1, s.Loops)), nil
}

// isEventloop reports whether the scenario's server is that of this module.
func (s *Scenario) isEventloop() bool { return s.Server == Eventloop || s.Server == EventloopOnLoop }

// eventloopFor has package server take the payloads of the scenario, and deny who
// shall be denied.
func (b *Bench) eventloopFor(v variant, s *Scenario) (variant, error) {
	request, answer := s.Load.Sizes.Max()
	if most := max(request, answer, s.Load.Payload); most > defaultPayload {
		v = v.with("--max-payload", strconv.Itoa(most))
	}
	rules := s.Rules
	if rules == "" && s.Load.Hostile.Denies() {
		var err error
		if rules, err = b.denyingRules(load.Nobody); err != nil {
			return v, err
		}
	}
	if rules != "" {
		v = v.with("--rules", rules)
	}
	return v, nil
}

// denyingRules makes a file of rules that deny a user and allow all others.
func (b *Bench) denyingRules(uid uint32) (string, error) {
	dir, err := b.directory()
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "deny.cdb")
	builder, err := accessdb.Create(file, 0o600)
	if err != nil {
		return "", err
	}
	defer builder.Close()
	for _, rule := range []accessdb.Rule{
		{Key: "uid/" + strconv.FormatUint(uint64(uid), 10), Decision: accessdb.Deny},
		{Key: "uid/default", Decision: accessdb.Allow},
	} {
		if err := builder.Add(rule); err != nil {
			return "", err
		}
	}
	return file, builder.Commit()
}

// A window is the measured part of a run, in which the server's process and the
// machine are looked at.
type window struct {
	pid           int // 0: not the server
	before, after moment
	err           error
}

// A moment is one end of a window.
type moment struct {
	time    time.Time // zero if the run ended before
	process measure.Process
	cores   measure.Cores
}

func (w *window) open()  { w.before = w.look() }
func (w *window) close() { w.after = w.look() }

// look returns this moment.
func (w *window) look() (m moment) {
	m.time = time.Now()
	var err, processErr error
	if m.cores, err = measure.AllCores(); w.pid != 0 {
		m.process, processErr = measure.ProcessOf(w.pid)
	}
	w.err = errors.Join(w.err, err, processErr)
	return m
}

// measured adds what the window showed to r and its run.
func (w *window) measured(r *report.Report, run *report.Run) error {
	if w.err != nil {
		return w.err
	}
	if w.before.time.IsZero() {
		r.Notices = append(r.Notices, "The run ended in its warm-up.")
		return nil
	}
	cores := w.after.cores.Sub(w.before.cores)
	run.MachineBusySeconds, run.MachineIdleSeconds = cores.Busy.Seconds(), cores.Idle.Seconds()
	if w.pid == 0 {
		r.Notices = append(r.Notices, "Nobody said which process the server is (--pid), so its figures and the bottleneck are unknown.")
		return nil
	}
	usage := w.after.process.Since(w.before.process, w.after.time.Sub(w.before.time).Seconds())
	run.Process = &usage
	run.ServerUserSeconds, run.ServerSystemSeconds = usage.UserSeconds, usage.SystemSeconds
	run.Bottleneck = run.Judge(r.Servers[0].Cores, runtime.NumCPU())
	return nil
}
