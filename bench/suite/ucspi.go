package suite

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"credrpc/bench/report"
	"credrpc/bench/s6chain"
)

// A UCSPIConfig says what [Bench.UCSPI] measures. Servers are not named: they are
// all that run a program for every connection.
type UCSPIConfig struct {
	Comparison
	AccessProgram string // path of credrpc-access, to stand in for s6-ipcserver-access in a server of its own; "" for none
}

// Names of these servers.
const (
	ucspiChain = "s6-ipcserver, s6-ipcserver-access -x"
	ucspiAlone = "s6-ipcserver, no rules"
	ucspiOurs  = "credrpc ipcserver -x"
)

// ucspiLimit is the number of connections at a time that every server may have: far
// more than callers, and what s6-ipcserver takes.
const ucspiLimit = "1000"

// UCSPI measures how many connections a second are served by a program each. It
// returns what the rounds before ctx ended found, and [s6chain.ErrUnavailable] if
// the programs of s6 or a C compiler are missing.
func (b *Bench) UCSPI(ctx context.Context, c UCSPIConfig) (*report.Report, error) {
	r := c.report("ucspi")
	entrants, err := b.ucspiEntrants(ctx, c)
	if err != nil {
		return r, err
	}
	if err := b.paired(ctx, c.Comparison, entrants, r); err != nil {
		return r, err
	}
	for _, l := range r.Loads {
		pair, err := r.Pair(ucspiOurs, ucspiAlone, l)
		if err != nil {
			return r, err
		}
		if pair != nil {
			r.Findings = append(r.Findings, fmt.Sprintf("%s by %s, under %v: %v.", pair.Server, pair.Against, l, pair.Throughput))
		}
	}
	return r, nil
}

// ucspiEntrants are the servers.
func (b *Bench) ucspiEntrants(ctx context.Context, c UCSPIConfig) ([]entrant, error) {
	dir, err := b.directory()
	if err != nil {
		return nil, err
	}
	echo, err := s6chain.Compile(ctx, dir)
	if err != nil {
		return nil, err
	}
	files, err := b.writeRules(1000, nil)
	if err != nil {
		return nil, err
	}
	var paths [2]string
	for i, name := range []string{"s6-ipcserver", "s6-ipcserver-access"} {
		if paths[i], err = exec.LookPath(name); err != nil {
			return nil, fmt.Errorf("%w: %w", s6chain.ErrUnavailable, err)
		}
	}
	s6 := []string{paths[0], "-q", "-c", ucspiLimit, "-C", ucspiLimit}
	ours := []string{b.Self, "server", "ipcserver", "-q", "-c", ucspiLimit, "-C", ucspiLimit}
	rules := []string{"-x", files.file}
	entrants := []entrant{
		{ucspiVariant(ucspiChain, s6, paths[1], "-v0", "-x", files.file, echo), ""},
		{ucspiVariant(ucspiAlone, s6, echo), ucspiChain},
		{ucspiVariant(ucspiOurs, append(ours, rules...), echo), ucspiChain},
		{ucspiVariant("credrpc ipcserver, no rules", ours, echo), ucspiChain},
	}
	if c.AccessProgram != "" {
		v := ucspiVariant("s6-ipcserver, credrpc-access -x", s6, c.AccessProgram, "-v0", "-x", files.file, echo)
		entrants = append(entrants, entrant{v, ucspiChain})
	}
	return entrants, nil
}

// ucspiVariant is a server with its options, which runs program on a socket.
func ucspiVariant(name string, server []string, program ...string) variant {
	return variant{
		Server: report.Server{Name: name, Kind: name, Cores: 1 << 10, Checks: report.CheckConnections},
		command: func(_ *Bench, _ context.Context, socket string) ([]string, error) {
			return append(append(server[:len(server):len(server)], socket), program...), nil
		},
		forks:      true,
		maxPayload: s6chain.MaxPayload,
	}
}

// WriteUCSPI writes what [Bench.UCSPI] found as text.
func WriteUCSPI(w io.Writer, r *report.Report) error {
	if len(r.Pairs) == 0 {
		_, err := fmt.Fprintln(w, "no run was finished")
		return err
	}
	var b strings.Builder
	b.WriteString("A program for every connection: static C, one call.\n")
	writePairs(&b, r, []string{"", "connections/s", "× s6 with rules", "p99 ms", "errors"}, func(p *report.Pair) []string {
		return []string{p.Server, whole(p.CallsPerSecond), p.Throughput.String(),
			fmt.Sprintf("%.1f", p.Latency.P99/1000), fmt.Sprint(p.Errors)}
	}, func(p *report.Pair) []*report.Interval { return []*report.Interval{p.Throughput} })
	for _, finding := range r.Findings {
		b.WriteString(finding + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
