package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"credrpc/accessdb"
	"credrpc/bench/load"
	"credrpc/bench/measure"
	"credrpc/bench/report"
)

// A target is a server that has a load.
type target struct {
	variant // of a server that ran before only what it is
	socket  string
	pid     int    // 0 if unknown
	child   *child // nil if it ran before
}

// target returns the server of a scenario, which answers.
func (b *Bench) target(ctx context.Context, s *Scenario, r *report.Report) (t *target, err error) {
	if s.Socket != "" {
		t, err = running(s)
	} else {
		t, err = b.started(ctx, s, r)
	}
	if err != nil {
		return nil, err
	}
	if t.pid != 0 {
		t.GoVersion = measure.GoVersionOf(t.pid)
	}
	r.Servers = append(r.Servers, t.Server)
	return t, nil
}

// running is a server that runs already.
func running(s *Scenario) (*target, error) {
	if s.Profiles.ofRuntime() {
		return nil, fmt.Errorf("%w: a server that runs already is not asked for profiles; perf records any process", ErrCannot)
	}
	if s.PID == 0 && (s.Profiles.Perf != "" || s.SystemCalls) {
		return nil, fmt.Errorf("%w: perf and strace need to know which process the server is", ErrCannot)
	}
	socket := s.Socket
	if s.others() {
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
	if err := ping(socket); err != nil {
		return nil, fmt.Errorf("%w: %s does not echo: %w", ErrServer, socket, err)
	}
	cores := s.Cores
	if cores == 0 {
		cores = runtime.NumCPU()
	}
	return &target{variant: variant{Server: report.Server{Name: socket, Kind: "running", Cores: cores}}, socket: socket, pid: s.PID}, nil
}

// others reports whether other users than this process's own call.
func (s *Scenario) others() bool { return len(s.Load.UIDs) > 0 || s.Load.Hostile.ActsAsOthers() }

// started is a server that is started.
func (b *Bench) started(ctx context.Context, s *Scenario, r *report.Report) (*target, error) {
	v, err := b.scenarioVariant(ctx, s)
	if err != nil {
		return nil, err
	}
	if s.Load.Hostile.Denies() && !s.hasRules() {
		note(r, v.Kind+" has no access rules, so nobody is denied.")
	}
	if v.forks {
		r.Notices = append(r.Notices, "A process answers each call: processor time is that of all that have ended, the other figures are of the process that starts them.")
	}
	b.Progress(0, "starting "+v.Name)
	c, err := b.startFor(ctx, v, s)
	if err != nil {
		return nil, err
	}
	return &target{variant: v, socket: c.socket, pid: c.cmd.Process.Pid, child: c}, nil
}

// startFor starts a server that the callers of a scenario reach.
func (b *Bench) startFor(ctx context.Context, v variant, s *Scenario) (*child, error) {
	c, err := b.start(ctx, v)
	if err != nil {
		return nil, err
	}
	if s.others() {
		return c, b.open(c.socket)
	}
	return c, nil
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

// scenarioVariant returns the server of a scenario, or says what it cannot do.
func (b *Bench) scenarioVariant(ctx context.Context, s *Scenario) (v variant, err error) {
	if err := s.check(); err != nil {
		return v, err
	}
	switch s.Server {
	case Floor:
		v = floorVariant(max(1, s.Loops))
	case S6:
		rules := s.Rules
		if rules == "" {
			if rules, err = b.openRules(s); err != nil {
				return v, err
			}
		}
		v = s6Variant(rules)
		v.Name, v.Kind = S6, S6
	case TTRPC, GRPC, NetRPC:
		c := PeersConfig{Program: s.Program}
		if c.Program == "" {
			if c.Program, err = b.buildPeers(ctx); err != nil {
				return v, err
			}
		}
		v = c.peer(s.Server)
	case Eventloop, EventloopOnLoop:
		v, err = b.eventloopFor(eventloopVariant(s.Server, s.Loops), s)
	default:
		all, err := variants([]string{s.Server}, s.Loops)
		if err != nil {
			return v, err
		}
		v = all[0]
	}
	return v, err
}

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
		if rules, err = b.openRules(s); err != nil {
			return v, err
		}
	}
	if rules != "" {
		v = v.with("--rules", rules)
	}
	return v, nil
}

// openRules makes a file of rules that allow everybody, but for callers that shall
// be denied.
func (b *Bench) openRules(s *Scenario) (string, error) {
	dir, err := b.directory()
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "open.cdb")
	return file, s.writeOpenRules(file)
}

// writeOpenRules makes such a file, or replaces it, with more rules that are for nobody
// who calls.
func (s *Scenario) writeOpenRules(file string, more ...accessdb.Rule) error {
	builder, err := accessdb.Create(file, 0o600)
	if err != nil {
		return err
	}
	defer builder.Close()
	rules := append(more, accessdb.Rule{Key: "uid/default", Decision: accessdb.Allow})
	if s.Load.Hostile.Denies() {
		rules = append(rules, accessdb.Rule{Key: "uid/" + strconv.Itoa(load.Nobody), Decision: accessdb.Deny})
	}
	for _, rule := range rules {
		if err := builder.Add(rule); err != nil {
			return err
		}
	}
	return builder.Commit()
}

// hasRules reports whether the server of the scenario obeys access rules.
func (s *Scenario) hasRules() bool {
	return s.Server == Eventloop || s.Server == EventloopOnLoop || s.Server == S6
}

// isPeer reports whether the server keeps its connections.
func (s *Scenario) isPeer() bool {
	return s.Server == TTRPC || s.Server == GRPC || s.Server == NetRPC
}

// check returns [ErrCannot] for what the server of the scenario cannot do.
func (s *Scenario) check() error {
	for _, limit := range []struct {
		broken bool
		says   string
	}{
		{s.Rules != "" && !s.hasRules(), "has no access rules"},
		{s.Loops != 0 && (s.isPeer() || s.Server == S6 || s.Server == Reference), "has no event loops or threads to choose"},
		{s.Profiles.ofRuntime() && (s.Server == Floor || s.Server == S6), "is in C and has no Go runtime to profile; perf records it"},
		{s.Load.Sizes.Apart() && (s.Server == Floor || s.Server == Gnet || s.Server == S6), "only echoes, so answers have no size of their own"},
		{s.isPeer() && !s.plain(), "keeps its connections, and its callers only make a closed loop of one call at a time, with requests of one size that come back: no rate or steps, batch, answers or mix of sizes, pieces, phases, users or hostile callers"},
	} {
		if limit.broken {
			return fmt.Errorf("%w: %s %s", ErrCannot, s.Server, limit.says)
		}
	}
	return nil
}

// plain reports whether the load is one that the callers of peers can make.
func (s *Scenario) plain() bool {
	c := &s.Load
	_, fixed := c.Size()
	return fixed && c.Arrivals == nil && c.Load.Batch == 1 && c.Pieces <= 1 && !c.Phases && len(c.UIDs) == 0 && len(c.Hostile) == 0
}
