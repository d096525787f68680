package main

import (
	"errors"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/report"
	"credrpc/bench/suite"
	"credrpc/internal/size"
)

// A clientsCommand compares clients.
type clientsCommand struct {
	Clients []string    `default:"c,client,net" enum:"c,client,net" help:"Clients: ${enum}. All are compared with the first."`
	Servers []string    `default:"floor,eventloop" enum:"floor,reference,eventloop,eventloop-on-loop" help:"Servers that they call: ${enum}."`
	Loads   []load.Load `default:"t1,t4,t16,t64" help:"Loads, of one call a caller."`
	Rounds  int         `default:"11" help:"Rounds, in each of which every client has every load on every server once."`
	Seconds float64     `default:"0.25" help:"Length of a run."`
	Payload size.Size   `default:"32" placeholder:"SIZE" help:"Bytes of a call's payload (${default}), such as 64K; at most 1M."`
	Loops   int         `default:"0" help:"Event loops of package server; 0 is its default."`
	Seed    uint64      `default:"1" help:"Seed of the order of the clients."`
	output
}

// Help says who the clients are.
func (c *clientsCommand) Help() string {
	return `The clients:

    c       threads of a C program, compiled anew: socket, connect, send, recv until
            the answer is whole, close, all blocking. No client can do less
    client  package client: goroutines that share a Client, with a context
    net     package net: dial, write, read, close, in as few lines as that takes

Each is a process of its own for every run, compares every answer with its request, and
calls the same server processes in turn. Servers are those of the comparison: the floor
with one thread, floor-1, and with one a core, such as floor-2. What takes part is called
by both, as in client-floor-1:

    credrpc-bench clients --fail-if 'client-floor-1.throughput < 0.8 * c-floor-1.throughput'

docs/BENCHMARKS.md says what the numbers mean.`
}

// Validate reports what makes no sense.
func (c *clientsCommand) Validate() error {
	if len(c.Loads) == 0 || len(c.Clients) == 0 || len(c.Servers) == 0 {
		return errors.New("there must be a load, a client and a server")
	}
	for _, l := range c.Loads {
		if l.Batch != 1 {
			return errors.New("the loads must have one call a caller: tN")
		}
	}
	if c.Payload > 1<<20 {
		return errors.New("package server takes payloads of up to 1M here")
	}
	return validRounds(c.Rounds, c.Seconds)
}

// Run measures and prints, and fails if a call was not answered right.
func (c *clientsCommand) Run() error {
	return c.measure(suite.WriteClients, func(b *bench) (*report.Report, error) {
		return b.Clients(b.ctx, suite.ClientsConfig{
			Comparison: suite.Comparison{
				Servers:  c.Servers,
				Loads:    c.Loads,
				Rounds:   c.Rounds,
				Duration: time.Duration(c.Seconds * float64(time.Second)),
				Payload:  int(c.Payload),
				Loops:    c.Loops,
				Seed:     c.Seed,
			},
			Clients: c.Clients,
		})
	})
}
