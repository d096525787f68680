package main

import (
	"errors"
	"io"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/report"
	"credrpc/bench/suite"
	"credrpc/internal/size"
)

// A quickCommand compares servers.
type quickCommand struct {
	Servers []string    `default:"floor,reference,eventloop-on-loop,eventloop" enum:"floor,reference,eventloop-on-loop,eventloop,gnet" help:"Servers to compare: ${enum}."`
	Loads   []load.Load `default:"b32x1,b256x1,t1,t16,t64" help:"Loads: bKxN is N callers with K calls in flight each, tN is N callers with one."`
	Rounds  int         `default:"9" help:"How often every server has every load."`
	Seconds float64     `default:"0.2" help:"Length of a run."`
	Payload size.Size   `default:"32" placeholder:"SIZE" help:"Bytes of a call's payload (${default}), such as 64K."`
	Loops   int         `default:"0" help:"Event loops of package server; 0 is its default."`
	Seed    uint64      `default:"1" help:"Seed of the order of the servers."`
	Short   bool        `help:"Two short rounds of the loads b32x1, t1 and t16, about 10 seconds: shows that everything works, not how fast."`
	output
}

// Help says who the servers are.
func (*quickCommand) Help() string {
	return `The servers:

    floor              in C, the least that a server must do: nothing is checked.
                       With one thread, floor-1, and with one a core, such as
                       floor-2; the faster one of a load is in its table
    reference          the naive server: a goroutine a connection, package net
    eventloop          package server as it is by itself: handlers may block
    eventloop-on-loop  package server with handlers on the event loop
    gnet               gnet's own engine, which knows who connected, not who sent

docs/BENCHMARKS.md says what the numbers mean.`
}

// Validate reports numbers that make no sense.
func (c *quickCommand) Validate() error {
	if len(c.Loads) == 0 || len(c.Servers) == 0 {
		return errors.New("there must be a load and a server")
	}
	return validRounds(c.Rounds, c.Seconds)
}

// validRounds reports numbers of rounds and lengths of runs that make no sense.
func validRounds(rounds int, seconds float64) error {
	if rounds < 1 || seconds <= 0 {
		return errors.New("there must be at least one round, and runs must have a length")
	}
	return nil
}

// Run compares, prints the table, and fails if a server failed or a call was not
// answered right.
func (c *quickCommand) Run() error {
	if c.Short {
		c.Loads = []load.Load{{Batch: 32, Callers: 1}, {Batch: 1, Callers: 1}, {Batch: 1, Callers: 16}}
		c.Rounds, c.Seconds = 2, 0.2
	}
	table := func(w io.Writer, r *report.Report) error { return r.WriteTable(w) }
	return c.measure(table, func(b *bench) (*report.Report, error) {
		return b.Compare(b.ctx, suite.Comparison{
			Servers:  c.Servers,
			Loads:    c.Loads,
			Rounds:   c.Rounds,
			Duration: time.Duration(c.Seconds * float64(time.Second)),
			Payload:  int(c.Payload),
			Loops:    c.Loops,
			Seed:     c.Seed,
		})
	})
}
