// Credrpc-peers runs other RPC systems beside which credrpc is measured:
//
//	credrpc-peers server ttrpc|grpc|netrpc SOCKET
//	credrpc-peers load ttrpc|grpc|netrpc|credrpc --socket SOCKET [--callers N] ...
//
// "credrpc-bench peers" builds and runs it. What the systems do, and what the
// figures can say, is documented in package peers.
//
// It exits 0 if all calls were answered right, 1 if not or if something failed,
// and 2 for a wrong command line.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"credrpc/bench/callers"
	"credrpc/bench/peers"
	"credrpc/bench/probe"

	"github.com/alecthomas/kong"
)

// exitUsage is the exit status of a wrong command line.
const exitUsage = 2

// commands is the command line. Each command has a Run method.
type commands struct {
	Server serverCommand `cmd:"" help:"Echo until a signal. Only the server's own user may connect."`
	Load   loadCommand   `cmd:"" help:"Make closed-loop load on a server, and check its answers."`
}

func main() {
	var c commands
	parser := kong.Must(&c,
		kong.Name("credrpc-peers"),
		kong.Description("Other RPC systems, to see credrpc beside."))
	command, err := parser.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "credrpc-peers: %v\nRun \"credrpc-peers --help\" for usage.\n", err)
		os.Exit(exitUsage)
	}
	command.FatalIfErrorf(command.Run())
}

// untilSignal returns a context that ends with SIGINT or SIGTERM.
func untilSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
}

// A serverCommand runs a server.
type serverCommand struct {
	System string `arg:"" enum:"ttrpc,grpc,netrpc" help:"One of ${enum}."`
	Socket string `arg:"" help:"Socket to make."`

	ProbeFD int `name:"probe-fd" hidden:"" default:"-1" help:"Descriptor on which credrpc-bench asks what the runtime did; -1 is none."`
}

// Run serves until a signal.
func (c *serverCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	if c.ProbeFD >= 0 {
		go func() {
			if err := probe.Serve(c.ProbeFD); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
	return peers.Serve(ctx, c.System, c.Socket)
}

// A loadCommand is one run of the callers.
type loadCommand struct {
	System      string  `arg:"" enum:"ttrpc,grpc,netrpc,credrpc" help:"One of ${enum}. The last is package client, for credrpc-bench server eventloop."`
	Socket      string  `required:"" placeholder:"PATH" help:"Socket of the server."`
	Callers     int     `default:"1" help:"Callers at the same time."`
	Connections int     `default:"0" help:"Connections that they share; 0 is one each. credrpc has one a call."`
	Payload     int     `default:"32" help:"Bytes of a call's payload."`
	Seconds     float64 `default:"2" help:"How long callers start new calls."`
	WarmUp      float64 `default:"0" help:"Seconds of calls before, which are not counted."`
	JSON        bool    `help:"Print the result as JSON."`
	Tell        bool    `help:"Print a line \"begin\" when calls begin to count, and \"end\" when all callers have ended."`
}

// Run makes the load and prints what came of it.
func (c *loadCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	tell := func(line string) func() {
		return func() {
			if c.Tell {
				fmt.Println(line)
			}
		}
	}
	r, err := peers.Run(ctx, peers.Config{
		Config: callers.Config{
			Callers:  c.Callers,
			Payload:  c.Payload,
			Duration: time.Duration(c.Seconds * float64(time.Second)),
			WarmUp:   time.Duration(c.WarmUp * float64(time.Second)),
			Begin:    tell("begin"),
			End:      tell("end"),
		},
		System:      c.System,
		Path:        c.Socket,
		Connections: c.Connections,
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	fmt.Printf("%s %v: %.0f calls/s, p50 %.1f µs, p99 %.1f µs, p99.9 %.1f µs, %d errors",
		r.System, r.Load, r.CallsPerSecond, r.Latency.P50, r.Latency.P99, r.Latency.P999, r.Errors())
	if r.FirstError != "" {
		fmt.Printf(" (%s)", r.FirstError)
	}
	fmt.Println()
	if r.Errors() > 0 {
		return errors.New("not every call was answered right")
	}
	return nil
}
