package main

import (
	"errors"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/report"
	"credrpc/bench/suite"
	"credrpc/internal/size"
)

// A peersCommand compares package server with other RPC systems.
type peersCommand struct {
	Servers     []string    `default:"eventloop-client,eventloop,ttrpc,grpc,netrpc" enum:"eventloop-client,eventloop,eventloop-on-loop,ttrpc,grpc,netrpc" help:"Servers: ${enum}. The first has callers of package client."`
	Loads       []load.Load `default:"t1,t16,t64" help:"Loads, of one call a caller."`
	Connections int         `default:"0" help:"Connections that the callers of ttrpc, grpc and netrpc share; 0 is one each."`
	Rounds      int         `default:"11" help:"Rounds, in each of which every server has every load once."`
	Seconds     float64     `default:"0.25" help:"Length of a run."`
	Payload     size.Size   `default:"32" placeholder:"SIZE" help:"Bytes of a call's payload (${default}), such as 64K."`
	Loops       int         `default:"0" help:"Event loops of package server; 0 is its default."`
	Seed        uint64      `default:"1" help:"Seed of the order of the servers."`
	Program     string      `placeholder:"FILE" help:"The program credrpc-peers; without it, it is built from the clone that the working directory is in."`
	output
}

// Validate reports what makes no sense.
func (c *peersCommand) Validate() error {
	if len(c.Loads) == 0 || len(c.Servers) == 0 {
		return errors.New("there must be a load and a server")
	}
	for _, l := range c.Loads {
		if l.Batch != 1 {
			return errors.New("the loads must have one call a caller: tN")
		}
		if c.Connections < 0 || c.Connections > l.Callers {
			return errors.New("there must be no more connections than callers")
		}
	}
	return validRounds(c.Rounds, c.Seconds)
}

// Run measures and prints, and fails if a call was not answered right.
func (c *peersCommand) Run() error {
	return c.measure(suite.WritePeers, func(b *bench) (*report.Report, error) {
		return b.Peers(b.ctx, suite.PeersConfig{
			Comparison: suite.Comparison{
				Servers:  c.Servers,
				Loads:    c.Loads,
				Rounds:   c.Rounds,
				Duration: time.Duration(c.Seconds * float64(time.Second)),
				Payload:  int(c.Payload),
				Loops:    c.Loops,
				Seed:     c.Seed,
			},
			Connections: c.Connections,
			Program:     c.Program,
		})
	})
}
