package main

import (
	"errors"
	"os"

	"credrpc/bench/changes"
	"credrpc/bench/condition"
	"credrpc/bench/report"
)

// A compareCommand compares two results.
type compareCommand struct {
	Old   string  `arg:"" help:"Result of before, as --json writes it."`
	New   string  `arg:"" help:"Result of after."`
	Alpha float64 `default:"0.05" help:"Probability that even one difference is called that is none."`
	resultFlags
}

// Help says what is compared, and how.
func (*compareCommand) Help() string {
	return `Runs of the same server under the same load are compared, with the rounds as sample. A difference is called one if Mann-Whitney's p, corrected by Holm's method for the number of figures, is below --alpha and there are rounds enough; otherwise the change is "~". Runs of two files are not interleaved, so the machine may be what changed: the comparison warns where that shows.

Conditions of --fail-if name the file: 'new.eventloop.p99 > 1.1 * old.eventloop.p99'.`
}

// Validate reports a probability that is none.
func (c *compareCommand) Validate() error {
	if c.Alpha <= 0 || c.Alpha >= 1 {
		return errors.New("--alpha must be between 0 and 1")
	}
	return nil
}

// errNothingCommon reports two files that cannot be compared.
var errNothingCommon = errors.New("the files have nothing in common: compare two results of one command, with a server and a load that both have")

// Run compares and prints. It fails if a condition is true, or if there is nothing to
// compare.
func (c *compareCommand) Run() error {
	if err := c.checkFiles(true); err != nil {
		return err
	}
	before, err := report.ReadFile(c.Old)
	if err != nil {
		return err
	}
	after, err := report.ReadFile(c.New)
	if err != nil {
		return err
	}
	files := condition.Files{condition.Old: before.Reports, condition.New: after.Reports}
	if err := c.check(files); err != nil {
		return err
	}
	r := changes.Compare(c.Old, before, c.New, after, c.Alpha)
	var nothing error
	if len(r.Changes) == 0 {
		nothing = errNothingCommon
	}
	return errors.Join(r.WriteText(os.Stdout), writeFile(c.JSON, r.WriteJSON), c.judge(os.Stdout, files, true), nothing)
}
