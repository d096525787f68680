package suite

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"credrpc/accessdb"
	"credrpc/bench/floor"
	"credrpc/bench/load"
	"credrpc/bench/report"
	"credrpc/bench/s6chain"
	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// A LadderConfig says what [Bench.Ladder] measures. Servers are names of steps,
// see [LadderSteps].
type LadderConfig struct {
	Comparison
	OnLoop bool // handlers on the event loop
	Rules  int  // rules in the file, at least 1
}

// A step is a server that differs from another in what it checks.
type step struct {
	name    string
	against string // name of that other; "" for none
	what    string // it checks
	variant func(c *LadderConfig, files *ruleFiles) variant
}

// ladderSteps are the steps from no trust to all of it. Two of them, called again,
// do what another does: their ratios show what the comparison cannot tell apart.
func ladderSteps() []step {
	return []step{
		{"floor-none", "", "C, nothing is checked", floorStep(floor.CheckNone)},
		{"floor-none-again", "floor-none", "the same", floorStep(floor.CheckNone)},
		{"floor-peercred", "floor-none", "C, who connected: SO_PEERCRED", floorStep(floor.CheckPeercred)},
		{"floor-scm", "floor-none", "C, who sent: SCM_CREDENTIALS; called floor elsewhere", floorStep(floor.CheckSCM)},
		{"floor-both", "floor-none", "C, both, compared", floorStep(floor.CheckBoth)},
		{"server", "floor-both", "package server: both of every piece, compared; limits, deadlines", serverStep()},
		{"server-again", "server", "the same", serverStep()},
		{"server-cache", "server", "and rules: a CDB, the decision comes from the cache", serverStep("--rules", ruleFile)},
		{"server-cdb", "server", "and rules: a CDB, looked up for every call", serverStep("--rules", ruleFile, "--rules-cache=-1")},
		{"server-directory", "server", "and rules: a directory, looked up for every call", serverStep("--rules", ruleDirectory)},
		{"server-bare", "server", "not compared, no limit that could be met, no rules: the least that it can be", serverStep("--bare")},
		{"server-bare-again", "server-bare", "the same", serverStep("--bare")},
		{protected, "server-bare", "and all of it: rules, a rate for each user, the default limits, the sandbox", protectedStep},
		{"s6", "server-cdb", "s6-ipcserver, s6-ipcserver-access -x, an echo in C: a process for every call", s6Step},
	}
}

// protected is the name of the step with all protections.
const protected = "server-protected"

// protectedStep is package server with all that it has against bad callers. The rate is
// one that nobody reaches.
func protectedStep(c *LadderConfig, files *ruleFiles) variant {
	args := []string{"--rules", ruleFile, "--rate-per-uid", strconv.Itoa(unreachedRate)}
	if sandboxed() {
		args = append(args, "--sandbox")
	}
	return serverStep(args...)(c, files)
}

// unreachedRate is a rate, in calls a second, that one user does not reach here.
const unreachedRate = 1_000_000

// sandboxed reports whether this program can apply the sandbox: it is not linked with cgo.
func sandboxed() bool { return sys.PrctlAllThreads(unix.PR_GET_NO_NEW_PRIVS, 0, 0) != unix.ENOTSUP }

// LadderSteps returns the names of the steps, in their order.
func LadderSteps() (names []string) {
	for _, s := range ladderSteps() {
		names = append(names, s.name)
	}
	return names
}

// Arguments that stand for the paths of rules.
const (
	ruleFile      = "FILE"
	ruleDirectory = "DIRECTORY"
)

// ruleFiles are the paths of rules.
type ruleFiles struct{ file, directory string }

// floorStep is the floor with one thread and some checks.
func floorStep(checks string) func(*LadderConfig, *ruleFiles) variant {
	return func(*LadderConfig, *ruleFiles) variant {
		v := floorVariant(1)
		command := v.command
		v.command = func(b *Bench, ctx context.Context, socket string) ([]string, error) {
			all, err := command(b, ctx, socket)
			return append(all, checks), err
		}
		if checks == floor.CheckNone {
			v.Checks = report.CheckNothing
		}
		return v
	}
}

// serverStep is package server with more arguments.
func serverStep(args ...string) func(*LadderConfig, *ruleFiles) variant {
	return func(c *LadderConfig, files *ruleFiles) variant {
		name := Eventloop
		if c.OnLoop {
			name = EventloopOnLoop
		}
		return eventloopVariant(name, c.Loops).with(files.paths(args)...)
	}
}

// paths returns args with the paths in their places.
func (files *ruleFiles) paths(args []string) []string {
	args = slices.Clone(args)
	for i := range args {
		switch args[i] {
		case ruleFile:
			args[i] = files.file
		case ruleDirectory:
			args[i] = files.directory
		}
	}
	return args
}

// s6Step is the chain of s6's programs.
func s6Step(_ *LadderConfig, files *ruleFiles) variant { return s6Variant(files.file) }

// s6Variant is the chain of s6's programs, with a file of rules. How many cores it
// can use, nobody says: every call is a process.
func s6Variant(rules string) variant {
	return variant{
		Server: report.Server{Cores: 1 << 10, Checks: report.CheckCalls},
		command: func(b *Bench, ctx context.Context, socket string) ([]string, error) {
			dir, err := b.directory()
			if err != nil {
				return nil, err
			}
			echo, err := s6chain.Compile(ctx, dir)
			if err != nil {
				return nil, err
			}
			return s6chain.Command(socket, rules, echo)
		},
		forks:      true,
		native:     true,
		maxPayload: s6chain.MaxPayload,
	}
}

// Ladder measures what each step of trust costs: servers that differ in what they
// check, under the same loads. It returns what was found before ctx ended. Steps
// that cannot be run here are left out with a notice.
func (b *Bench) Ladder(ctx context.Context, c LadderConfig) (*report.Report, error) {
	r := c.report("ladder")
	handlers := "that may block"
	if c.OnLoop {
		handlers = "on the loop"
	}
	r.Settings = []report.Setting{{Name: "handlers", Value: handlers}, {Name: "rules in the file", Value: strconv.Itoa(c.Rules)}}
	if len(c.Users) > 0 {
		r.Settings = append(r.Settings, report.Setting{Name: "users", Value: c.Users.String()})
	}
	if slices.Contains(c.Servers, protected) {
		c.noteProtected(r)
	}
	b.Progress(0, fmt.Sprintf("compiling %d rules", c.Rules))
	files, err := b.writeRules(c.Rules, c.Users)
	if err != nil {
		return r, err
	}
	var entrants []entrant
	for _, s := range ladderSteps() {
		if !slices.Contains(c.Servers, s.name) {
			continue
		}
		v := s.variant(&c, files)
		v.Name, v.Kind = s.name, s.name
		entrants = append(entrants, entrant{v, s.against})
	}
	return r, b.paired(ctx, c.Comparison, entrants, r)
}

// noteProtected says what the step with all protections lacks here.
func (c *LadderConfig) noteProtected(r *report.Report) {
	if !sandboxed() {
		note(r, protected+" has no sandbox, since this program is linked with cgo; build it with CGO_ENABLED=0.")
	}
	if len(c.Users) == 0 {
		note(r, protected+" has no rate for its own user, who calls; --uids names another.")
	}
}

// writeRules makes a file of n rules, of this process's user and of uids from 1
// million on, and a directory of the first of them. Users who call have rules besides.
func (b *Bench) writeRules(n int, users load.UIDs) (*ruleFiles, error) {
	dir, err := b.directory()
	if err != nil {
		return nil, err
	}
	files := &ruleFiles{filepath.Join(dir, fmt.Sprintf("rules-%d.cdb", n)), filepath.Join(dir, "rules")}
	builder, err := accessdb.Create(files.file, 0o600)
	if err != nil {
		return nil, err
	}
	defer builder.Close()
	callers := append(load.UIDs{uint32(os.Geteuid())}, users...)
	for i := range n - 1 {
		callers = append(callers, uint32(1_000_001+i))
	}
	for i, uid := range callers {
		key := fmt.Sprint("uid/", uid)
		if err := builder.Add(accessdb.Rule{Key: key, Decision: accessdb.Allow}); err != nil {
			return nil, err
		}
		if i > len(users) {
			continue
		}
		if err := os.MkdirAll(filepath.Join(files.directory, key), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(files.directory, key, "allow"), nil, 0o600); err != nil {
			return nil, err
		}
	}
	return files, builder.Commit()
}

// WriteLadder writes what [Bench.Ladder] found as text.
func WriteLadder(w io.Writer, r *report.Report) error {
	if len(r.Pairs) == 0 {
		_, err := fmt.Fprintln(w, "no run was finished")
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "package server: %s\n", settings(r))
	writePairs(&b, r, []string{"", "against", "calls/s", "× calls/s", "server CPU µs a call", "µs a call more", "errors"}, func(p *report.Pair) []string {
		return []string{p.Server, p.Against, whole(p.CallsPerSecond), p.Throughput.String(),
			microseconds(p.ServerPerCall), difference(p.ServerMore), fmt.Sprint(p.Errors)}
	}, func(p *report.Pair) []*report.Interval { return []*report.Interval{p.Throughput, p.ServerMore} })
	for _, s := range ladderSteps() {
		if slices.ContainsFunc(r.Servers, func(had report.Server) bool { return had.Name == s.name }) {
			fmt.Fprintf(&b, "%-17s %s\n", s.name, s.what)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
