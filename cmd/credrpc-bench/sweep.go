package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/report"
	"credrpc/bench/suite"
	"credrpc/internal/size"
	"credrpc/server"
)

// A sweepCommand finds the best settings of package server for this machine.
type sweepCommand struct {
	Loads      []load.Load `default:"b32x1,t16,t64" help:"Loads: bKxN is N callers with K calls in flight each, tN is N callers with one."`
	OnLoop     bool        `default:"true" negatable:"" help:"Try handlers on the event loop."`
	Loops      []int       `placeholder:"N" help:"Numbers of event loops to try; without it powers of two up to the number of cores, and that number."`
	GOMAXPROCS []int       `name:"gomaxprocs" placeholder:"N" help:"Values of GOMAXPROCS to try; without it powers of two up to twice the number of cores."`
	GOGC       []string    `name:"gogc" default:"50,200,400,off" help:"Values of GOGC to try."`
	Rounds     int         `default:"15" help:"Rounds in which every setting has every load once; at least ${rounds}."`
	Verify     int         `default:"31" help:"Rounds of the comparison at the end; at least ${rounds}."`
	Seconds    float64     `default:"0.25" help:"Length of a run."`
	Payload    size.Size   `default:"32" placeholder:"SIZE" help:"Bytes of a call's payload (${default}), such as 64K."`
	Seed       uint64      `default:"1" help:"Seed of the order of the settings."`

	output
}

// Help is what --help shows besides the flags.
func (c *sweepCommand) Help() string {
	return `Each setting is tried alone against the defaults, in rounds in which all have each load in turn. It is called better only if the 95 % interval of its ratio is above 1 in one load and below 1 in none. What is better is then put together and compared with the defaults once more, in rounds of their own, and only what that confirms is recommended. "defaults, again" are the defaults twice: what they seem to differ by is chance.`
}

// Validate reports numbers that make no sense.
func (c *sweepCommand) Validate() error {
	if len(c.Loads) == 0 {
		return errors.New("there must be a load")
	}
	if c.Rounds < report.MinRounds || c.Verify < report.MinRounds {
		return fmt.Errorf("--rounds and --verify must be at least %d: fewer cannot show a difference", report.MinRounds)
	}
	for _, n := range append(slices.Clone(c.Loops), c.GOMAXPROCS...) {
		if n < 1 || n > 1024 {
			return fmt.Errorf("%d is no number of loops or of GOMAXPROCS: 1 to 1024", n)
		}
	}
	for _, value := range c.GOGC {
		if percent, err := strconv.Atoi(value); value != "off" && (err != nil || percent < 1) {
			return fmt.Errorf("--gogc: %q is neither off nor a percentage above 0", value)
		}
	}
	return validRounds(c.Rounds, c.Seconds)
}

// config returns what is tried.
func (c *sweepCommand) config() suite.SweepConfig {
	cores := runtime.NumCPU()
	loops, procs := c.Loops, c.GOMAXPROCS
	if loops == nil {
		loops = powers(cores, server.DefaultLoops())
	}
	if procs == nil {
		procs = powers(2*cores, cores) // that of Go
	}
	return suite.SweepConfig{
		Comparison: suite.Comparison{Loads: c.Loads, Rounds: c.Rounds, Duration: time.Duration(c.Seconds * float64(time.Second)), Payload: int(c.Payload), Seed: c.Seed},
		Verify:     c.Verify, TryOnLoop: c.OnLoop, TryLoops: loops, GOMAXPROCS: procs, GOGC: c.GOGC,
	}
}

// powers returns the powers of two up to a number, and that number, but for one that is
// the default.
func powers(most, without int) (all []int) {
	for n := 1; n < most; n *= 2 {
		all = append(all, n)
	}
	return slices.DeleteFunc(append(all, most), func(n int) bool { return n == without })
}

// Run tries the settings, prints what they do, and fails if a call was not answered
// right.
func (c *sweepCommand) Run() error {
	text := func(w io.Writer, file *report.File) error { return suite.WriteSweep(w, file.Reports...) }
	return c.measureAll(text, func(b *bench) (*report.File, error) {
		first, second, err := b.Sweep(b.ctx, c.config())
		file := &report.File{Format: report.Format, Command: "sweep", Reports: []*report.Report{first}}
		if second != nil {
			file.Reports = append(file.Reports, second)
		}
		return file, err
	})
}
