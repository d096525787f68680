package suite

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"credrpc/bench/floor"
	"credrpc/bench/report"
)

// A UCSPIConfig says what [Bench.UCSPI] measures.
type UCSPIConfig struct {
	PairsConfig
	AccessProgram string // path of credrpc-access, to stand in for s6-ipcserver-access in a step of its own; "" for none
}

// UCSPIResult compares servers that run a program for every connection. The first
// step is the chain of s6-ipcserver and s6-ipcserver-access, the second
// s6-ipcserver alone.
type UCSPIResult struct {
	Pairs
	Program string           `json:"program"` // what every connection gets
	Alone   *report.Interval `json:"rules_throughput_by_s6_alone"`
}

// ucspiLimit is the number of connections at a time that every server may have: far
// more than callers, and what s6-ipcserver takes.
const ucspiLimit = "1000"

// UCSPI measures how many connections a second are served by a program each. It
// returns what the rounds before ctx ended found, and an error if the programs of s6
// are not installed, or [floor.ErrNoCompiler].
func (b *Bench) UCSPI(ctx context.Context, c UCSPIConfig) (*UCSPIResult, error) {
	r := &UCSPIResult{Program: "static C, one call"}
	dir, err := b.directory()
	if err != nil {
		return r, err
	}
	once, err := floor.CompileOnce(ctx, dir)
	if err != nil {
		return r, err
	}
	file, _, err := b.writeRules(1000)
	if err != nil {
		return r, err
	}
	server, err := exec.LookPath("s6-ipcserver")
	if err != nil {
		return r, fmt.Errorf("suite: the programs of s6 are needed: %w", err)
	}
	access, err := exec.LookPath("s6-ipcserver-access")
	if err != nil {
		return r, fmt.Errorf("suite: the programs of s6 are needed: %w", err)
	}
	s6 := []string{server, "-q", "-c", ucspiLimit, "-C", ucspiLimit}
	ours := []string{b.Self, "server", "ipcserver", "-q", "-c", ucspiLimit, "-C", ucspiLimit}
	steps := []variant{
		ucspiVariant("s6-ipcserver, s6-ipcserver-access -x", s6, access, "-v0", "-x", file, once),
		ucspiVariant("s6-ipcserver, no rules", s6, once),
		ucspiVariant("credrpc ipcserver -x", append(ours, "-x", file), once),
		ucspiVariant("credrpc ipcserver, no rules", ours, once),
	}
	if c.AccessProgram != "" {
		steps = append(steps, ucspiVariant("s6-ipcserver, credrpc-access -x", s6, c.AccessProgram, "-v0", "-x", file, once))
	}
	pairs, runs, err := b.pairs(ctx, c.PairsConfig, steps)
	r.Pairs = *pairs
	var alone []float64
	for round := range r.Rounds {
		alone = append(alone, runs[2][round].CallsPerSecond/runs[1][round].CallsPerSecond)
	}
	r.Alone = report.IntervalOf(alone)
	return r, err
}

// ucspiVariant is a server with its options, which runs program on a socket.
func ucspiVariant(name string, server []string, program ...string) variant {
	return variant{
		report.Server{Name: name, Kind: name, Cores: 1},
		func(_ *Bench, _ context.Context, socket string) ([]string, error) {
			return append(append(server[:len(server):len(server)], socket), program...), nil
		},
	}
}

// Write writes the result as text.
func (r *UCSPIResult) Write(w io.Writer) error {
	if r.Rounds == 0 {
		_, err := fmt.Fprintln(w, "no round was finished")
		return err
	}
	rows := [][]string{{"", "connections/s", "× s6 with rules", "p99 ms", "errors"}}
	for _, s := range r.Steps {
		rows = append(rows, []string{s.Name, whole(s.CallsPerSecond), s.Throughput.String(),
			fmt.Sprintf("%.1f (%.1f-%.1f)", s.P99.Median/1000, s.P99.Min/1000, s.P99.Max/1000), fmt.Sprint(s.Errors)})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%v, %d bytes, a program for every connection: %s\n", r.Load, r.Payload, r.Program)
	report.WriteRows(&b, rows)
	fmt.Fprintf(&b, "credrpc ipcserver -x by s6-ipcserver without rules: %s\n", r.Alone)
	r.remarks(&b)
	_, err := io.WriteString(w, b.String())
	return err
}
