package main

import (
	"time"

	"credrpc/bench/load"
	"credrpc/bench/report"
	"credrpc/bench/suite"
	"credrpc/internal/size"
)

// A straceCommand counts system calls.
type straceCommand struct {
	Servers []string  `default:"floor,reference,eventloop-on-loop,eventloop" enum:"floor,reference,eventloop-on-loop,eventloop,gnet" help:"Servers: ${enum}."`
	Load    load.Load `default:"b32x1" help:"Load on each."`
	Seconds float64   `default:"2" help:"Length of a run."`
	Payload size.Size `default:"32" placeholder:"SIZE" help:"Bytes of a call's payload (${default}), such as 64K."`
	Loops   int       `default:"0" help:"Event loops of package server; 0 is its default."`

	output
}

// Run counts and prints, and fails if a call was not answered right.
func (c *straceCommand) Run() error {
	return c.measure(suite.WriteSystemCalls, func(b *bench) (*report.Report, error) {
		config := load.Config{Load: c.Load, Payload: int(c.Payload), Duration: time.Duration(c.Seconds * float64(time.Second))}
		return b.Strace(b.ctx, c.Servers, config, c.Loops)
	})
}
