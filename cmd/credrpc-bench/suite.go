package main

import (
	"fmt"
	"os"
	"time"

	"credrpc/bench/report"
	"credrpc/bench/suite"
)

// A suiteCommand measures all scenarios.
type suiteCommand struct {
	Minutes float64  `default:"10" help:"Time for all scenarios together. Each has its share, and as many rounds as fit into it, at least ${rounds}; floods have eleven."`
	Only    []string `default:"${scenarios}" enum:"${scenarios}" placeholder:"NAME" help:"Scenarios to measure: ${enum}."`
	List    bool     `help:"Write the names of the scenarios, the time each takes and what it measures, and exit."`
	Short   bool     `help:"One round of very short runs, below a minute: shows that everything works, not how fast."`
	Seed    uint64   `default:"1" help:"Seed of the order of runs and of arrivals."`

	output
}

// Help is what --help shows besides the flags.
func (*suiteCommand) Help() string {
	return `What cannot run here (no C compiler, no s6, no Go toolchain for the peers, not root) is left out with a notice. Interrupted, it prints and writes what it has.`
}

// Validate reports a time that makes no sense.
func (c *suiteCommand) Validate() error {
	if !(c.Minutes > 0 && c.Minutes <= maxMinutes) { // NaN is neither
		return fmt.Errorf("--minutes must be above 0 and at most %d", maxMinutes)
	}
	return nil
}

// maxMinutes is a week.
const maxMinutes = 7 * 24 * 60

// Run measures and prints the findings. It fails if a scenario failed or a call was
// not answered right.
func (c *suiteCommand) Run() error {
	s := suite.Suite{Only: c.Only, Time: time.Duration(c.Minutes * float64(time.Minute)), Short: c.Short, Seed: c.Seed}
	if c.List {
		return s.WriteScenarios(os.Stdout)
	}
	return c.measureAll(suite.WriteSuite, func(b *bench) (*report.File, error) {
		file, err := b.Suite(b.ctx, s)
		if err == nil && b.ctx.Err() != nil {
			err = errInterrupted
		}
		return file, err
	})
}
