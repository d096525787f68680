package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"credrpc/bench/load"
	"credrpc/bench/report"
)

// ErrNoPeers reports that the program of the other RPC systems cannot be built.
var ErrNoPeers = errors.New("suite: credrpc-peers cannot be built")

// EventloopClient is [Eventloop] with the callers of package client, as a program
// has them, instead of those of the load generator. The peers are compared with
// it: theirs are such clients too.
const EventloopClient = "eventloop-client"

// A PeersConfig says what [Bench.Peers] measures. Servers are [Eventloop],
// [EventloopOnLoop], EventloopClient, and names of package credrpc/bench/peers:
// ttrpc, grpc, netrpc. The loads must have one call a caller.
type PeersConfig struct {
	Comparison
	Connections int    // that the callers of a peer share, at most one each; 0 is one each
	Program     string // a built credrpc-peers; "" builds it, in a clone
}

// Peers measures other RPC systems, whose connections persist, beside package
// server, whose do not. It returns what was found before ctx ended, and
// [ErrNoPeers] where their program cannot be built.
func (b *Bench) Peers(ctx context.Context, c PeersConfig) (*report.Report, error) {
	r := c.report("peers")
	connections := "one a caller"
	if c.Connections > 0 {
		connections = fmt.Sprintf("%d for all callers", c.Connections)
	}
	r.Settings = []report.Setting{{Name: "connections of peers, which persist", Value: connections}}
	for _, l := range c.Loads {
		if l.Batch != 1 {
			return r, fmt.Errorf("suite: peers have one call a caller, and %v has %d", l, l.Batch)
		}
		if c.Connections > l.Callers {
			return r, fmt.Errorf("suite: the %d callers of %v cannot share %d connections", l.Callers, l, c.Connections)
		}
	}
	if c.Program == "" {
		var err error
		if c.Program, err = b.buildPeers(ctx); err != nil {
			if ctx.Err() != nil {
				r.Interrupted = true
				return r, nil
			}
			return r, err
		}
	}
	var entrants []entrant
	for _, name := range c.Servers {
		e := entrant{c.peer(name), EventloopClient}
		if name == EventloopClient {
			e.against = ""
		}
		entrants = append(entrants, e)
	}
	return r, b.paired(ctx, c.Comparison, entrants, r)
}

// buildPeers builds credrpc-peers from the clone that the working directory is in,
// and returns its path.
func (b *Bench) buildPeers(ctx context.Context) (string, error) {
	dir, err := b.directory()
	if err != nil {
		return "", err
	}
	b.Progress(0, "building credrpc-peers")
	command := func(name string, args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.SysProcAttr = isolated()
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			return "", fmt.Errorf("%w: %s: %w\n%s", ErrNoPeers, strings.Join(cmd.Args, " "), err, strings.TrimSpace(stderr.String()))
		}
		return strings.TrimSpace(stdout.String()), nil
	}
	const advice = "run it inside a clone of credrpc, with Go, and once with a network for what it depends on; or build bench/peers/cmd/credrpc-peers elsewhere and say --program"
	clone, err := command("go", "list", "-m", "-f", "{{.Dir}}", "credrpc")
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, advice)
	}
	program := filepath.Join(dir, "credrpc-peers")
	if _, err := command("go", "build", "-C", filepath.Join(clone, "bench", "peers"), "-o", program, "./cmd/credrpc-peers"); err != nil {
		return "", fmt.Errorf("%w\n%s", err, advice)
	}
	return program, nil
}

// peer returns the variant of a name.
func (c *PeersConfig) peer(name string) variant {
	switch name {
	case Eventloop, EventloopOnLoop:
		return eventloopVariant(name, c.Loops)
	case EventloopClient:
		v := eventloopVariant(Eventloop, c.Loops)
		v.Name, v.Kind = name, name
		v.generator = c.generator("credrpc")
		return v
	}
	return variant{
		Server: report.Server{Name: name, Kind: name, Cores: 1 << 10, Checks: report.CheckConnections},
		command: func(_ *Bench, _ context.Context, socket string) ([]string, error) {
			return []string{c.Program, "server", name, socket}, nil
		},
		generator: c.generator(name),
		probed:    true,
		ping:      accepts,
	}
}

// generator has the callers of a system.
func (c *PeersConfig) generator(system string) func(socket string, config load.Config) []string {
	return func(socket string, config load.Config) []string {
		return []string{c.Program, "load", system, "--json", "--tell",
			"--socket", socket,
			"--callers", strconv.Itoa(config.Load.Callers),
			"--connections", strconv.Itoa(min(c.Connections, config.Load.Callers)),
			"--payload", strconv.Itoa(config.Payload),
			"--warm-up", seconds(config.WarmUp),
			"--seconds", seconds(config.Duration)}
	}
}

// accepts returns nil if a server listens.
func accepts(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	return conn.Close()
}

// WritePeers writes what [Bench.Peers] found as text.
func WritePeers(w io.Writer, r *report.Report) error {
	if len(r.Pairs) == 0 {
		_, err := fmt.Fprintln(w, "no run was finished")
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s; those of the event loop: one a call\n", settings(r))
	checks := map[string]report.Checks{}
	for _, s := range r.Servers {
		checks[s.Name] = s.Checks
	}
	writePairs(&b, r, []string{"", "checks credentials", "calls/s", "× client", "p50 µs", "× client", "p99 µs", "× client", "CPU µs", "× client", "errors"}, func(p *report.Pair) []string {
		return []string{p.Server, string(checks[p.Server]), fmt.Sprintf("%.0f", p.CallsPerSecond.Median), p.Throughput.String(),
			fmt.Sprintf("%.1f", p.Latency.P50), p.P50.String(), fmt.Sprintf("%.1f", p.Latency.P99), p.P99.String(),
			fmt.Sprintf("%.1f", p.ServerPerCall.Median), p.CPU.String(), fmt.Sprint(p.Errors)}
	}, func(p *report.Pair) []*report.Interval { return []*report.Interval{p.Throughput, p.P50, p.P99, p.CPU} })
	b.WriteString("× client: by eventloop-client, package server called through package client. eventloop has the load\n" +
		"generator's callers instead. CPU is the server's, a call.\n")
	_, err := io.WriteString(w, b.String())
	return err
}
