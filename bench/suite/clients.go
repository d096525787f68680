package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"credrpc/bench/cclient"
	"credrpc/bench/floor"
	"credrpc/bench/load"
	"credrpc/bench/report"
)

// Names of clients, as users give them.
const (
	CClient   = "c"      // threads of a C program
	GoClient  = "client" // package client
	NetClient = "net"    // package net
)

// A ClientsConfig says what [Bench.Clients] measures. Servers are those of
// [Bench.Compare], and the loads must have one call a caller.
type ClientsConfig struct {
	Comparison
	Clients []string // names
}

// Clients measures clients of the protocol beside one in C that does no more than it must,
// on the same server processes. What takes part is called by both, as in client-floor-1.
// It returns what was found before ctx ended. Where there is no C compiler the client in
// C is left out with a notice, as the floor is.
func (b *Bench) Clients(ctx context.Context, c ClientsConfig) (*report.Report, error) {
	r := c.report("clients")
	r.Title = "package client beside a client in C, on the same servers"
	for _, l := range c.Loads {
		if l.Batch != 1 {
			return r, fmt.Errorf("suite: clients have one call a caller, and %v has %d", l, l.Batch)
		}
	}
	servers, err := variants(c.Servers, c.Loops)
	if err != nil {
		return r, err
	}
	program, err := b.clientProgram(ctx)
	if errors.Is(err, floor.ErrNoCompiler) || errors.Is(err, os.ErrPermission) {
		leaveOut(r, CClient, err.Error())
		c.Clients = slices.DeleteFunc(slices.Clone(c.Clients), func(name string) bool { return name == CClient })
	} else if err != nil {
		return r, finish(ctx, r, err)
	}
	var entrants []entrant
	for _, server := range servers {
		for _, name := range c.Clients {
			entrants = append(entrants, b.clientOn(server, name, program))
		}
	}
	return r, b.paired(ctx, c.Comparison, entrants, r)
}

// clientProgram compiles the client in C and returns its path. It returns
// [floor.ErrNoCompiler], or [os.ErrPermission] where it cannot be executed.
func (b *Bench) clientProgram(ctx context.Context) (string, error) {
	dir, err := b.directory()
	if err != nil {
		return "", err
	}
	b.Progress(0, "compiling the client in C")
	program, err := cclient.Compile(ctx, dir)
	if err != nil {
		return "", err
	}
	if err := exec.CommandContext(ctx, program).Run(); errors.Is(err, os.ErrPermission) { // else it says how it is used
		return "", err
	}
	return program, nil
}

// clientOn is a client on a server, whose process all clients on it share. It is compared
// with the client in C.
func (b *Bench) clientOn(server variant, name, program string) entrant {
	e := entrant{server, CClient + "-" + server.Name}
	e.process = server.Name
	e.Name, e.Kind = name+"-"+server.Name, name+"-"+server.Kind
	if name == CClient {
		e.against, e.parse = "", cclient.Parse
		e.generator = func(socket string, config load.Config) []string {
			config.Path = socket
			return cclient.Command(program, &config)
		}
		return e
	}
	e.generator = func(socket string, config load.Config) []string {
		return []string{b.Self, "callers", name,
			"--socket", socket,
			"--callers", strconv.Itoa(config.Load.Callers),
			"--payload", strconv.Itoa(config.Payload),
			"--warm-up", seconds(config.WarmUp),
			"--seconds", seconds(config.Duration)}
	}
	return e
}

// WriteClients writes what [Bench.Clients] found as text.
func WriteClients(w io.Writer, r *report.Report) error {
	if len(r.Pairs) == 0 {
		_, err := fmt.Fprintln(w, "no run was finished")
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.Title)
	writePairs(&b, r, []string{"", "calls/s", "× c", "p50 µs", "× c", "p99 µs", "× c", "client CPU µs a call", "× c", "errors"}, func(p *report.Pair) []string {
		return []string{p.Server, whole(p.CallsPerSecond), p.Throughput.String(),
			fmt.Sprintf("%.1f", p.Latency.P50), p.P50.String(), fmt.Sprintf("%.1f", p.Latency.P99), p.P99.String(),
			microseconds(p.CallersPerCall), p.CallersCPU.String(), fmt.Sprint(p.Errors)}
	}, func(p *report.Pair) []*report.Interval {
		return []*report.Interval{p.Throughput, p.P50, p.P99, p.CallersCPU}
	})
	b.WriteString("× c: by the threads of a C program that make the same calls of the same server process. client-…\n" +
		"is package client, net-… package net. CPU is that of the client's process.\n")
	_, err := io.WriteString(w, b.String())
	return err
}
