package main

import (
	"fmt"
	"os"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/report"
	"credrpc/bench/suite"
	"credrpc/internal/ipcserver"
	"credrpc/internal/size"
)

// A ucspiCommand compares servers that run a program for every connection.
type ucspiCommand struct {
	Loads   []load.Load `default:"t16" help:"Loads."`
	Rounds  int         `default:"11" help:"Rounds, in each of which every server has the load once."`
	Seconds float64     `default:"1" help:"Length of a run."`
	Payload size.Size   `default:"32" placeholder:"SIZE" help:"Bytes of a call's payload (${default}), such as 64K."`
	Seed    uint64      `default:"1" help:"Seed of the order of the servers."`
	Access  string      `placeholder:"PATH" help:"A credrpc-access, to measure it in place of s6-ipcserver-access too."`
	output
}

// Help says what is needed.
func (*ucspiCommand) Help() string {
	return `Needs a C compiler and the Debian package s6.`
}

// Validate reports numbers that make no sense.
func (c *ucspiCommand) Validate() error { return validRounds(c.Rounds, c.Seconds) }

// Run measures and prints, and fails if a call was not answered right.
func (c *ucspiCommand) Run() error {
	return c.measure(suite.WriteUCSPI, func(b *bench) (*report.Report, error) {
		return b.UCSPI(b.ctx, suite.UCSPIConfig{
			Comparison: suite.Comparison{
				Loads:    c.Loads,
				Rounds:   c.Rounds,
				Duration: time.Duration(c.Seconds * float64(time.Second)),
				Payload:  int(c.Payload),
				Seed:     c.Seed,
			},
			AccessProgram: c.Access,
		})
	})
}

// An ipcserverServer is credrpc ipcserver.
type ipcserverServer struct {
	Args []string `arg:"" optional:"" help:"Those of credrpc ipcserver."`
}

// Run serves until a signal.
func (c *ipcserverServer) Run() error {
	if status := ipcserver.Run(c.Args, os.Stdout, os.Stderr); status != 0 {
		return fmt.Errorf("ended with status %d", status)
	}
	return nil
}
