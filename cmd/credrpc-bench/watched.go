package main

import (
	"errors"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/report"
	"credrpc/bench/suite"
	"credrpc/internal/size"
)

// A watchedCommand measures what it costs to be looked at.
type watchedCommand struct {
	Loads    []load.Load `default:"b32x1,t16" help:"Loads."`
	Flooders int         `default:"16" help:"Callers of the user who is denied."`
	Rounds   int         `default:"30" help:"Rounds, in each of which every server has every load once."`
	Seconds  float64     `default:"0.5" help:"Length of a run."`
	Payload  size.Size   `default:"32" placeholder:"SIZE" help:"Bytes of a call's payload (${default}), such as 64K."`
	Loops    int         `default:"0" help:"Event loops of package server; 0 is its default."`
	Seed     uint64      `default:"1" help:"Seed of the order of the servers."`
	output
}

// Validate reports numbers that make no sense.
func (c *watchedCommand) Validate() error {
	if len(c.Loads) == 0 || c.Flooders < 1 || c.Flooders > load.MaxCallers {
		return errors.New("there must be a load, and callers who flood")
	}
	return validRounds(c.Rounds, c.Seconds)
}

// Help describes what is measured.
func (c *watchedCommand) Help() string {
	return `Servers that differ in who looks on have the same loads in turn. Metrics are asked for
every tenth of a second, or not at all ("durations"); the records of the audit log are of one user, who is denied and
floods the server, and the calls that are counted are of another. That part needs root.

What is wanted of a quiet machine:

    credrpc-bench watched --fail-if 'durations.throughput < 0.99 * plain.throughput' \
        --fail-if 'metrics.throughput < 0.99 * plain.throughput' \
        --fail-if 'flooded-audit.throughput < 0.95 * flooded.throughput'`
}

// Run measures and prints, and fails if a call was not answered right.
func (c *watchedCommand) Run() error {
	return c.measure(suite.WriteWatched, func(b *bench) (*report.Report, error) {
		return b.Watched(b.ctx, suite.WatchedConfig{
			Comparison: suite.Comparison{
				Loads:    c.Loads,
				Rounds:   c.Rounds,
				Duration: time.Duration(c.Seconds * float64(time.Second)),
				Payload:  int(c.Payload),
				Loops:    c.Loops,
				Seed:     c.Seed,
			},
			Flooders: c.Flooders,
		})
	})
}
