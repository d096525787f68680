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

// An idleCommand measures what connections that send nothing do.
type idleCommand struct {
	Connections    int           `default:"10000" help:"Connections that send nothing."`
	Load           load.Load     `default:"t16" help:"Load of the calls beside them."`
	OnLoop         bool          `help:"Run handlers on the event loop."`
	RequestTimeout time.Duration `default:"4s" help:"When the server ends a connection that sends nothing. Longer than a run."`
	Rounds         int           `default:"7" help:"Pairs of runs."`
	Seconds        float64       `default:"1" help:"Length of a run."`
	Payload        size.Size     `default:"32" placeholder:"SIZE" help:"Bytes of a call's payload (${default}), such as 64K."`
	Loops          int           `default:"0" help:"Event loops of package server; 0 is its default."`

	output
}

// Validate reports numbers that make no sense.
func (c *idleCommand) Validate() error {
	if c.Connections < 1 {
		return errors.New("there must be a connection")
	}
	if c.RequestTimeout.Seconds() <= c.Seconds {
		return errors.New("the request timeout must be longer than a run")
	}
	return validRounds(c.Rounds, c.Seconds)
}

// Run measures and prints. It fails if a call was not answered right or a
// connection missed its deadline.
func (c *idleCommand) Run() error {
	name := suite.Eventloop
	if c.OnLoop {
		name = suite.EventloopOnLoop
	}
	config := suite.IdleConfig{
		Comparison: suite.Comparison{
			Servers:  []string{name},
			Loads:    []load.Load{c.Load},
			Rounds:   c.Rounds,
			Duration: time.Duration(c.Seconds * float64(time.Second)),
			Payload:  int(c.Payload),
			Loops:    c.Loops,
		},
		Connections:    []int{c.Connections},
		RequestTimeout: c.RequestTimeout,
	}
	text := func(w io.Writer, r *report.Report) error { return suite.WriteIdle(w, &config, r) }
	return c.measure(text, func(b *bench) (*report.Report, error) {
		r, err := b.Idle(b.ctx, config)
		if err == nil && config.MissedDeadlines(r) > 0 {
			err = suite.ErrDeadline
		}
		return r, err
	})
}
