package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/suite"
)

// A sleepersCommand measures what sleeping handlers do to other calls.
type sleepersCommand struct {
	Server  string        `default:"eventloop" enum:"eventloop,reference" help:"Server: ${enum}."`
	Load    load.Load     `default:"t16" help:"Load of the calls that do not sleep."`
	Sleep   time.Duration `default:"50ms" help:"How long the handler sleeps."`
	Share   float64       `default:"0.01" help:"Share of sleeping calls among all."`
	Rounds  int           `default:"7" help:"Pairs of runs."`
	Seconds float64       `default:"1" help:"Length of a run."`
	Payload int           `default:"32" help:"Bytes of a call's payload."`
	Loops   int           `default:"0" help:"Event loops of package server; 0 is its default."`
	JSON    string        `placeholder:"FILE" help:"Write everything to FILE."`
}

// Validate reports numbers that make no sense.
func (c *sleepersCommand) Validate() error {
	if c.Share <= 0 || c.Share >= 1 {
		return errors.New("the share of sleeping calls must be between 0 and 1")
	}
	return validRounds(c.Rounds, c.Seconds)
}

// Run measures and prints, and fails if a call was not answered right.
func (c *sleepersCommand) Run() error {
	return withBench(c.JSON, func(b *bench) error {
		config := suite.SleepersConfig{
			Comparison: suite.Comparison{
				Servers:  []string{c.Server},
				Loads:    []load.Load{c.Load},
				Rounds:   c.Rounds,
				Duration: time.Duration(c.Seconds * float64(time.Second)),
				Payload:  c.Payload,
				Loops:    c.Loops,
			},
			Sleep: c.Sleep,
			Share: c.Share,
		}
		r, failed := b.Sleepers(b.ctx, config)
		b.progress.clear()
		if failed = verdict(failed, r); failed == nil && suite.SleepingErrors(r) > 0 {
			failed = errAnswers
		}
		return errors.Join(failed, suite.WriteSleepers(os.Stdout, &config, r), writeReport(c.JSON, r))
	})
}

// encoding returns a function that writes v as JSON.
func encoding(v any) func(io.Writer) error {
	return func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
}
