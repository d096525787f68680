package main

import (
	"errors"
	"os"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/suite"
)

// An accessCommand measures what access rules cost.
type accessCommand struct {
	Load    load.Load `default:"b32x1" help:"Load."`
	OnLoop  bool      `help:"Run handlers on the event loop."`
	Rules   int       `default:"1000" help:"Rules in the file."`
	Rounds  int       `default:"40" help:"Rounds, in each of which every server has the load once."`
	Seconds float64   `default:"0.25" help:"Length of a run."`
	Payload int       `default:"32" help:"Bytes of a call's payload."`
	Loops   int       `default:"0" help:"Event loops of package server; 0 is its default."`
	Seed    uint64    `default:"1" help:"Seed of the order of the servers."`
	JSON    string    `placeholder:"FILE" help:"Write everything to FILE."`
}

// Validate reports numbers that make no sense.
func (c *accessCommand) Validate() error {
	if c.Rules < 1 || c.Rules > 10_000_000 {
		return errors.New("the file must have 1 to 10,000,000 rules")
	}
	return validRounds(c.Rounds, c.Seconds)
}

// Run measures and prints, and fails if a call was not answered right.
func (c *accessCommand) Run() error {
	return withBench(c.JSON, func(b *bench) error {
		r, failed := b.Access(b.ctx, suite.AccessConfig{
			PairsConfig: suite.PairsConfig{
				Load:     c.Load,
				Rounds:   c.Rounds,
				Duration: time.Duration(c.Seconds * float64(time.Second)),
				Payload:  c.Payload,
				Seed:     c.Seed,
			},
			Loops:  c.Loops,
			OnLoop: c.OnLoop,
			Rules:  c.Rules,
		})
		b.progress.clear()
		if failed == nil && r.Errors() > 0 {
			failed = errAnswers
		}
		return errors.Join(failed, r.Write(os.Stdout), writeJSON(c.JSON, encoding(r)))
	})
}
