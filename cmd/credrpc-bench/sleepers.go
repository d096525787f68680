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

// A sleepersCommand measures what sleeping handlers do to other calls.
type sleepersCommand struct {
	Server  string        `default:"eventloop" enum:"eventloop,reference" help:"Server: ${enum}."`
	Load    load.Load     `default:"t16" help:"Load of the calls that do not sleep."`
	Sleep   time.Duration `default:"50ms" help:"How long the handler sleeps."`
	Share   float64       `default:"0.01" help:"Share of sleeping calls among all."`
	Rounds  int           `default:"7" help:"Pairs of runs."`
	Seconds float64       `default:"1" help:"Length of a run."`
	Payload size.Size     `default:"32" placeholder:"SIZE" help:"Bytes of a call's payload (${default}), such as 64K."`
	Loops   int           `default:"0" help:"Event loops of package server; 0 is its default."`

	output
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
	config := suite.SleepersConfig{
		Comparison: suite.Comparison{
			Servers:  []string{c.Server},
			Loads:    []load.Load{c.Load},
			Rounds:   c.Rounds,
			Duration: time.Duration(c.Seconds * float64(time.Second)),
			Payload:  int(c.Payload),
			Loops:    c.Loops,
		},
		Sleep: c.Sleep,
		Share: c.Share,
	}
	text := func(w io.Writer, r *report.Report) error { return suite.WriteSleepers(w, &config, r) }
	return c.measure(text, func(b *bench) (*report.Report, error) {
		r, err := b.Sleepers(b.ctx, config)
		if err == nil && suite.SleepingErrors(r) > 0 {
			err = errAnswers
		}
		return r, err
	})
}
