package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"credrpc/bench/condition"
	"credrpc/bench/report"
)

// resultFlags say what is done with a result, besides showing it.
type resultFlags struct {
	JSON   string                `placeholder:"FILE" help:"Write everything to FILE."`
	FailIf []condition.Condition `sep:"none" placeholder:"CONDITION" help:"Exit with status 1 if it is true of the result, such as 'eventloop.throughput < 0.95 * floor.throughput on t64'. May be given several times."`
}

// output is what every command that makes a report has, as flags and as a method that
// writes the result.
type output struct {
	resultFlags
	mayFail bool   // calls that are not answered right are a result and no failure
	GoBench string `placeholder:"FILE" help:"Write the runs to FILE as Go's benchmarks do, for benchstat."`
}

var (
	// errInterrupted reports a benchmark that is not complete.
	errInterrupted = errors.New("interrupted")

	// errCondition reports a condition of --fail-if that is true.
	errCondition = errors.New("a condition of --fail-if is true")
)

// measure runs a benchmark and shows what it found with text. It returns what went
// wrong: with the benchmark, with a call, with writing; or that a condition is true.
// Interrupted, it shows what there is. f may return no report if it failed.
func (o *output) measure(text func(io.Writer, *report.Report) error, f func(b *bench) (*report.Report, error)) error {
	return o.measureAll(func(w io.Writer, file *report.File) error { return text(w, file.Reports[0]) },
		func(b *bench) (*report.File, error) {
			// Servers are known before they have a load.
			b.Check = func(r *report.Report) error { return o.check(condition.Files{"": {r}}) }
			r, err := f(b)
			if r == nil {
				return nil, err
			}
			return &report.File{Format: report.Format, Command: r.Name, Reports: []*report.Report{r}}, err
		})
}

// measureAll is measure for benchmarks that make several reports.
func (o *output) measureAll(text func(io.Writer, *report.File) error, f func(b *bench) (*report.File, error)) error {
	if err := o.checkFiles(false); err != nil {
		return err
	}
	if err := checkWritable(o.GoBench); err != nil {
		return err
	}
	return withBench(o.JSON, func(b *bench) error {
		file, failed := f(b)
		b.progress.clear()
		var wrong *condition.Error
		if file == nil || errors.As(failed, &wrong) {
			return failed
		}
		state := verdict(failed, file, o.mayFail)
		return errors.Join(state, text(os.Stdout, file), writeFile(o.JSON, file.WriteJSON), writeFile(o.GoBench, file.WriteGoBench),
			o.judge(os.Stdout, condition.Files{"": file.Reports}, state == nil))
	})
}

// verdict returns failed, or what is wrong with reports of a benchmark that did not
// fail.
func verdict(failed error, file *report.File, callsMayFail bool) error {
	if failed != nil {
		return failed
	}
	for _, r := range file.Reports {
		switch {
		case r.Errors() > 0 && !callsMayFail:
			return errAnswers
		case r.Interrupted:
			return errInterrupted
		}
	}
	return nil
}

// checkFiles reports conditions for another number of files.
func (f *resultFlags) checkFiles(two bool) error {
	for i := range f.FailIf {
		if err := f.FailIf[i].CheckFiles(two); err != nil {
			return fmt.Errorf("--fail-if: %w", err)
		}
	}
	return nil
}

// check reports conditions on servers or loads that files do not have.
func (f *resultFlags) check(files condition.Files) error {
	for i := range f.FailIf {
		if err := f.FailIf[i].Check(files); err != nil {
			return fmt.Errorf("--fail-if: %w", err)
		}
	}
	return nil
}

// judge writes a line for each place where a condition is true, and returns
// [errCondition] if there is one. A condition that could not be checked anywhere is an
// error of its own, but where the result is incomplete, which is an error already.
func (f *resultFlags) judge(w io.Writer, files condition.Files, complete bool) error {
	if len(f.FailIf) == 0 {
		return nil
	}
	var failed, unchecked error
	places, violations := 0, 0
	for i := range f.FailIf {
		outcomes, err := f.FailIf[i].Evaluate(files)
		if err != nil && !complete {
			fmt.Fprintln(w, err)
		} else if err != nil {
			unchecked = errors.Join(unchecked, err)
		}
		places += len(outcomes)
		for j := range outcomes {
			if outcomes[j].True {
				violations++
				failed = errCondition
				fmt.Fprintf(w, "FAILED %v\n", &outcomes[j])
			}
		}
	}
	if places > 0 {
		fmt.Fprintf(w, "--fail-if: %d of %d checks failed.\n", violations, places)
	}
	return errors.Join(failed, unchecked)
}
