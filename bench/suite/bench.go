package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"credrpc/bench/floor"
	"credrpc/bench/load"
	"credrpc/bench/report"
	"credrpc/internal/sys"
	"credrpc/server"
)

// A Bench is what all benchmarks need. It belongs to one goroutine, but for [Bench.Abandon].
type Bench struct {
	// Self is the program that runs servers and load generators: the one of
	// cmd/credrpc-bench. Required.
	Self string

	// Progress is told what happens, a line at a time. done is the share of the
	// work that is done, from 0 to 1. Required.
	Progress func(done float64, line string)

	// Check, if not nil, is asked once for a report, when its servers and loads are
	// known and it has no runs. Its error ends the benchmark.
	Check func(*report.Report) error

	mu        sync.Mutex
	dir       string // of sockets and the floor's program; "" before the first use; guarded by mu
	children  []*child
	sockets   int  // given out
	compiled  bool // the floor was tried
	floorPath string
	floorErr  error
}

// Names of servers, as users give them.
const (
	Floor           = "floor"
	Reference       = "reference"
	Eventloop       = "eventloop"         // handlers may block: the default
	EventloopOnLoop = "eventloop-on-loop" // handlers on the event loop
	Gnet            = "gnet"              // gnet's own engine
	S6              = "s6"                // s6's programs, a process for every call
	TTRPC           = "ttrpc"             // and the others of package credrpc/bench/peers
	GRPC            = "grpc"
	NetRPC          = "netrpc"
)

// ErrServer reports a server that did not start or ended before its time.
var ErrServer = errors.New("suite: a server failed")

// A variant is a server that takes part in a benchmark.
type variant struct {
	report.Server
	command func(b *Bench, ctx context.Context, socket string) ([]string, error)

	// environment has variables that the server's process has besides this one's.
	environment []string

	// generator returns the command line of the load generator. nil is that of
	// package load.
	generator func(socket string, config load.Config) []string

	// parse makes a result of the last line that the generator prints. nil is that the
	// line is a [load.Result] as JSON.
	parse func(line []byte, config *load.Config) (*load.Result, error)

	// process, if not empty, is the name of a server process that variants with the same
	// name share: they differ in their generator.
	process string

	// ping returns nil if the server that listens at socket is ready. nil is a
	// call of the protocol.
	ping func(socket string) error

	// probed says that the server takes the flag --probe-fd and can then be asked
	// what its Go runtime does. See package probe.
	probed bool

	// forks says that the server works in child processes that end.
	forks bool

	// native says that the server is a C program that is compiled here. Where
	// that or its execution is not possible, it is left out.
	native bool

	// maxPayload is the largest payload in bytes that the server takes; 0 is
	// that of the load generator.
	maxPayload int
}

// check asks Check.
func (b *Bench) check(r *report.Report) error {
	if b.Check == nil {
		return nil
	}
	return b.Check(r)
}

// Close stops all children and removes their files.
func (b *Bench) Close() {
	b.stopServers()
	b.Abandon()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dir = ""
}

// Abandon removes the files, in any goroutine and while they may be in use, for a process
// that is about to end. Children end with it.
func (b *Bench) Abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dir != "" {
		os.RemoveAll(b.dir)
	}
}

// stopServers stops all servers.
func (b *Bench) stopServers() {
	for _, c := range b.children {
		c.stop()
	}
	b.children = nil
}

// directory returns the directory of this benchmark's files.
func (b *Bench) directory() (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dir != "" {
		return b.dir, nil
	}
	dir, err := os.MkdirTemp("", "credrpc-bench-")
	if err != nil {
		return "", fmt.Errorf("suite: %w", err)
	}
	b.dir = dir
	if longest := filepath.Join(dir, "999"); len(longest) > sys.MaxPath {
		return "", fmt.Errorf("suite: %s is too long for the path of a socket; set TMPDIR to a shorter directory", dir)
	}
	return dir, nil
}

// floorProgram returns the path of the floor's program, compiled once. It
// returns [floor.ErrNoCompiler] as package floor does.
func (b *Bench) floorProgram(ctx context.Context) (string, error) {
	if !b.compiled {
		dir, err := b.directory()
		if err != nil {
			return "", err
		}
		b.compiled = true
		b.floorPath, b.floorErr = floor.Compile(ctx, dir)
	}
	return b.floorPath, b.floorErr
}

// variants returns the variants of the named servers: two of the floor where
// there is more than one core. loops is the number of event loops, 0 for the
// server's default.
func variants(names []string, loops int) ([]variant, error) {
	cores := runtime.NumCPU()
	var all []variant
	for _, name := range names {
		switch name {
		case Floor:
			all = append(all, floorVariant(1))
			if cores > 1 {
				all = append(all, floorVariant(cores))
			}
		case Reference:
			all = append(all, selfVariant(name, min(cores, runtime.GOMAXPROCS(0)), "server", "reference"))
		case Eventloop, EventloopOnLoop:
			all = append(all, eventloopVariant(name, loops))
		case Gnet: // its loops, and the goroutine that accepts
			v := selfVariant(name, max(1, loops)+1, "server", "gnet", "--loops", strconv.Itoa(max(1, loops)))
			v.Checks = report.CheckConnections
			all = append(all, v)
		default:
			return nil, fmt.Errorf("suite: there is no server %q", name)
		}
	}
	return all, nil
}

// floorVariant is the floor with some threads.
func floorVariant(threads int) variant {
	return variant{
		Server: report.Server{Name: fmt.Sprintf("%s-%d", Floor, threads), Kind: report.KindFloor, Cores: threads, Checks: report.CheckCalls},
		command: func(b *Bench, ctx context.Context, socket string) ([]string, error) {
			program, err := b.floorProgram(ctx)
			return []string{program, socket, strconv.Itoa(threads)}, err
		},
		native:     true,
		maxPayload: floor.MaxPayload,
	}
}

// eventloopVariant is package server, as [Eventloop] or [EventloopOnLoop].
func eventloopVariant(name string, loops int) variant {
	args := []string{"server", "eventloop"}
	if name == EventloopOnLoop {
		args = append(args, "--on-loop")
	}
	cores := loops
	if loops == 0 {
		cores = server.DefaultLoops()
	}
	return selfVariant(name, cores, append(args, "--loops", strconv.Itoa(loops))...)
}

// selfVariant is a server that the benchmark's own program runs, with the socket
// as last argument, and that asks for the credentials of each call.
func selfVariant(name string, cores int, args ...string) variant {
	return variant{
		Server: report.Server{Name: name, Kind: name, Cores: cores, Checks: report.CheckCalls},
		command: func(b *Bench, _ context.Context, socket string) ([]string, error) {
			return append(append([]string{b.Self}, args...), socket), nil
		},
		probed: true,
	}
}

// with returns the variant with more arguments before the socket.
func (v variant) with(args ...string) variant {
	command := v.command
	v.command = func(b *Bench, ctx context.Context, socket string) ([]string, error) {
		all, err := command(b, ctx, socket)
		if err != nil {
			return nil, err
		}
		return append(append(all[:len(all)-1:len(all)-1], args...), socket), nil
	}
	return v
}

// start starts a server and waits until it answers.
func (b *Bench) start(ctx context.Context, v variant) (*child, error) {
	dir, err := b.directory()
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, strconv.Itoa(b.sockets))
	b.sockets++
	if v.probed {
		v = v.with("--probe-fd", strconv.Itoa(probeFD))
	}
	command, err := v.command(b, ctx, socket)
	if err != nil {
		return nil, err
	}
	c, err := startChild(v.Name, command, v.environment, v.probed)
	if err != nil {
		return nil, err
	}
	c.socket = socket
	b.children = append(b.children, c)
	ready := ping
	if v.ping != nil {
		ready = v.ping
	}
	if err := c.ready(ctx, ready, 10*time.Second); err != nil {
		return nil, err
	}
	return c, nil
}
