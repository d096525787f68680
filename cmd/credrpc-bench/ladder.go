package main

import (
	"errors"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/report"
	"credrpc/bench/suite"
	"credrpc/internal/size"
)

// A ladderCommand measures what each step of trust costs.
type ladderCommand struct {
	Steps   []string    `default:"${steps}" enum:"${steps}" help:"Steps to take. What each checks stands below the table."`
	Loads   []load.Load `default:"b32x1" help:"Loads."`
	OnLoop  bool        `help:"Run handlers of package server on the event loop."`
	Rules   int         `default:"1000" help:"Rules in the file."`
	Rounds  int         `default:"30" help:"Rounds, in each of which every step has every load once."`
	Seconds float64     `default:"0.25" help:"Length of a run."`
	Payload size.Size   `default:"32" placeholder:"SIZE" help:"Bytes of a call's payload (${default}), such as 64K."`
	Loops   int         `default:"0" help:"Event loops of package server; 0 is its default."`
	Seed    uint64      `default:"1" help:"Seed of the order of the steps."`
	UIDs    load.UIDs   `name:"uids" placeholder:"UID,LOW-HIGH,..." help:"Users as whom the callers act, each with a part of them. Needs root."`
	output
}

// Validate reports numbers that make no sense.
func (c *ladderCommand) Validate() error {
	if c.Rules < 1 || c.Rules > 10_000_000 {
		return errors.New("the file must have 1 to 10,000,000 rules")
	}
	if len(c.Steps) == 0 || len(c.Loads) == 0 {
		return errors.New("there must be a step and a load")
	}
	return validRounds(c.Rounds, c.Seconds)
}

// Run measures and prints, and fails if a call was not answered right.
func (c *ladderCommand) Run() error {
	return c.measure(suite.WriteLadder, func(b *bench) (*report.Report, error) {
		return b.Ladder(b.ctx, suite.LadderConfig{
			Comparison: suite.Comparison{
				Servers:  c.Steps,
				Loads:    c.Loads,
				Rounds:   c.Rounds,
				Duration: time.Duration(c.Seconds * float64(time.Second)),
				Payload:  int(c.Payload),
				Loops:    c.Loops,
				Seed:     c.Seed,
				Users:    c.UIDs,
			},
			OnLoop: c.OnLoop,
			Rules:  c.Rules,
		})
	})
}
