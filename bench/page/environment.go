package page

import (
	"fmt"
	"strings"
	"time"

	"credrpc/bench/measure"
	"credrpc/bench/report"
)

// A fact is a line of a list of what is known.
type fact struct{ Name, Value string }

// An environment is a machine and how a program ran on it.
type environment struct {
	ID      string
	Of      []string // headings of the reports that were made there
	Facts   []fact
	Command string // that repeats them, as a shell reads it
	machine measure.Machine
}

// sameEnvironment reports whether two reports were made by one program on one machine.
func sameEnvironment(a, b measure.Machine) bool {
	a.Date, b.Date = time.Time{}, time.Time{}
	return strings.Join(a.CommandLine, "\x00") == strings.Join(b.CommandLine, "\x00") && described(a) == described(b)
}

// described is a machine without what cannot be compared with ==.
func described(m measure.Machine) string {
	m.CommandLine = nil
	return fmt.Sprintf("%+v", m)
}

// newEnvironment describes a machine.
func newEnvironment(m measure.Machine) environment {
	known := func(n int) string {
		if n == 0 {
			return "unknown"
		}
		return fmt.Sprint(n)
	}
	commit := printable(m.Commit)
	if commit == "" {
		commit = "unknown: built without version control"
	}
	return environment{machine: m, Command: shellLine(m.CommandLine), Facts: []fact{
		{"kernel", printable(m.Kernel)},
		{"CPU", printable(m.CPUModel)},
		{"cores", known(m.Cores)},
		{"Go", printable(m.GoVersion)},
		{"GOMAXPROCS", known(m.GOMAXPROCS)},
		{"longest backlog (net.core.somaxconn)", known(m.SOMAXCONN)},
		{"descriptors a process", fmt.Sprintf("%d, hard limit %d", m.DescriptorsSoft, m.DescriptorsHard)},
		{"nice", fmt.Sprint(m.Nice)},
		{"commit", commit},
	}}
}

// machineLine says in a line where figures are from.
func machineLine(m measure.Machine) string {
	kernel, _, _ := strings.Cut(m.Kernel, " #")
	return fmt.Sprintf("%s, %d cores, %s, %s", printable(m.CPUModel), m.Cores, printable(kernel), printable(m.GoVersion))
}

// shellLine quotes a command line for a shell.
func shellLine(args []string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%"
	quoted := make([]string, len(args))
	for i, a := range args {
		a = printable(a)
		if a == "" || strings.Trim(a, plain) != "" {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		quoted[i] = a
	}
	return strings.Join(quoted, " ")
}

// pressureLine says for how long something on the machine had to wait.
func pressureLine(p *measure.Pressure) string {
	if p == nil {
		return "unknown"
	}
	return fmt.Sprintf("of 10 s something waited for CPU %.1f %%, memory %.1f %%, I/O %.1f %%", p.CPU.Share, p.Memory.Share, p.IO.Share)
}

// facts are what was chosen for a report and when it was made.
func facts(r *report.Report) []fact {
	all := []fact{{"made", r.Machine.Date.UTC().Format("2006-01-02 15:04:05 UTC")}}
	all = append(all, fact{"runs", fmt.Sprintf("%s of %s s, in %s", plural(len(r.Runs), "run"), digits(r.Seconds), plural(r.Rounds, "round"))})
	if r.Payload > 0 {
		all = append(all, fact{"payload", thousands(float64(r.Payload)) + " bytes"})
	}
	for _, s := range r.Settings {
		all = append(all, fact{printable(s.Name), printable(s.Value)})
	}
	if r.Axis != nil {
		all = append(all, fact{"over", axisLabel(r.Axis)})
	}
	var calls float64
	for i := range r.Runs {
		calls += float64(r.Runs[i].Calls)
	}
	return append(all,
		fact{"calls", fmt.Sprintf("%s answered right, %s not", thousands(calls), thousands(float64(r.Errors())))},
		fact{"seed of the order", fmt.Sprint(r.Seed)},
		fact{"pressure (PSI) before", pressureLine(r.PressureBefore)},
		fact{"pressure (PSI) after", pressureLine(r.PressureAfter)})
}
