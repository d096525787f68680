package suite

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"credrpc/accessdb"
	"credrpc/bench/report"
)

// An AccessConfig says what [Bench.Access] measures.
type AccessConfig struct {
	PairsConfig
	Loops  int  // event loops; 0 is the server's default
	OnLoop bool // handlers on the event loop
	Rules  int  // rules in the file, at least 1
}

// AccessResult says what access rules cost. The first step is the server without
// rules.
type AccessResult struct {
	Pairs
	OnLoop bool `json:"on_loop"`
	Rules  int  `json:"rules"`
}

// accessSteps are the servers, by name and by the arguments that each has besides.
// The second does what the first does: its ratios show what the comparison cannot
// tell apart.
var accessSteps = []struct {
	name string
	args func(file, directory string) []string
}{
	{"no rules", func(_, _ string) []string { return nil }},
	{"no rules, again", func(_, _ string) []string { return nil }},
	{"file, from the cache", func(file, _ string) []string { return []string{"--rules", file} }},
	{"file, past the cache", func(file, _ string) []string { return []string{"--rules", file, "--rules-cache=-1"} }},
	{"directory", func(_, directory string) []string { return []string{"--rules", directory} }},
}

// Access measures servers with and without access rules under the same load. It
// returns what the rounds before ctx ended found.
func (b *Bench) Access(ctx context.Context, c AccessConfig) (*AccessResult, error) {
	r := &AccessResult{OnLoop: c.OnLoop, Rules: c.Rules}
	name := Eventloop
	if c.OnLoop {
		name = EventloopOnLoop
	}
	base, err := variants([]string{name}, c.Loops)
	if err != nil {
		return r, err
	}
	b.Progress(0, fmt.Sprintf("compiling %d rules", c.Rules))
	file, directory, err := b.writeRules(c.Rules)
	if err != nil {
		return r, err
	}
	var steps []variant
	for _, step := range accessSteps {
		v := base[0].with(step.args(file, directory)...)
		v.Name = step.name
		steps = append(steps, v)
	}
	pairs, _, err := b.pairs(ctx, c.PairsConfig, steps)
	r.Pairs = *pairs
	return r, err
}

// writeRules makes a file of n rules, of this process's user and of uids from 1
// million on, and a directory of the first of them.
func (b *Bench) writeRules(n int) (file, directory string, err error) {
	dir, err := b.directory()
	if err != nil {
		return "", "", err
	}
	file, directory = filepath.Join(dir, "rules.cdb"), filepath.Join(dir, "rules")
	builder, err := accessdb.Create(file, 0o600)
	if err != nil {
		return "", "", err
	}
	defer builder.Close()
	own := "uid/" + strconv.Itoa(os.Geteuid())
	for i := range n {
		key := own
		if i > 0 {
			key = "uid/" + strconv.Itoa(1_000_000+i)
		}
		if err := builder.Add(accessdb.Rule{Key: key, Decision: accessdb.Allow}); err != nil {
			return "", "", err
		}
	}
	if err := builder.Commit(); err != nil {
		return "", "", err
	}
	if err := os.MkdirAll(filepath.Join(directory, own), 0o700); err != nil {
		return "", "", err
	}
	return file, directory, os.WriteFile(filepath.Join(directory, own, "allow"), nil, 0o600)
}

// Write writes the result as text.
func (r *AccessResult) Write(w io.Writer) error {
	if r.Rounds == 0 {
		_, err := fmt.Fprintln(w, "no round was finished")
		return err
	}
	mode := "handlers that may block"
	if r.OnLoop {
		mode = "handlers on the loop"
	}
	rows := [][]string{{"", "calls/s", "× no rules", "server CPU µs a call", "× no rules", "errors"}}
	for _, s := range r.Steps {
		rows = append(rows, []string{s.Name, whole(s.CallsPerSecond), s.Throughput.String(),
			fmt.Sprintf("%.2f (%.2f-%.2f)", s.CPUPerCall.Median, s.CPUPerCall.Min, s.CPUPerCall.Max), s.CPU.String(), fmt.Sprint(s.Errors)})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%v, %d bytes, %s, %d rules in the file\n", r.Load, r.Payload, mode, r.Rules)
	report.WriteRows(&b, rows)
	r.remarks(&b)
	_, err := io.WriteString(w, b.String())
	return err
}
