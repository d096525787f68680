package suite

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"credrpc/bench/report"
)

// Scenarios returns the names of the suite's scenarios in their order.
func Scenarios() (names []string) {
	for _, sc := range allScenarios() {
		names = append(names, sc.name)
	}
	return names
}

// WriteScenarios writes a line for each chosen scenario: its name, about how long it
// takes, and what it measures.
func (s *Suite) WriteScenarios(w io.Writer) error {
	all := s.scenarios()
	total := 0.0
	for _, sc := range all {
		total += sc.weight
	}
	for _, sc := range all {
		if _, err := fmt.Fprintf(w, "%-9s %4.0f s  %s\n", sc.name, s.Time.Seconds()*sc.weight/total, sc.what); err != nil {
			return err
		}
	}
	return nil
}

// conclude gives a report of the suite its title and findings.
func conclude(r *report.Report, sc scenario) {
	if r.Title == "" {
		r.Title = strings.TrimSuffix(sc.what, ".")
	}
	if len(r.Runs) == 0 {
		return
	}
	r.Findings = append(r.Findings, sc.findings(r)...)
	if r.Rounds < report.MinRounds {
		r.Notices = append(r.Notices, fmt.Sprintf("Fewer than %d rounds: no figures to rely on.", report.MinRounds))
	}
}

// WriteSuite writes the findings of a suite as text, and what has to be known of them.
func WriteSuite(w io.Writer, file *report.File) error {
	var b strings.Builder
	for _, r := range file.Reports {
		fmt.Fprintf(&b, "%-9s %s%s\n", r.Name, r.Title, conditions(r))
		for _, line := range slices.Concat(r.Findings, r.Notices) {
			fmt.Fprintf(&b, "%-9s %s\n", "", line)
		}
		if line := failures(r); line != "" {
			fmt.Fprintf(&b, "%-9s %s\n", "", line)
		}
	}
	fmt.Fprintf(&b, "\nOf eventloop where no server is named. Ratios and differences are medians of those within a round, with the 95 %% confidence\n"+
		"interval of the median. ~ one that holds 1 (of a difference: 0) shows none. ? fewer than %d rounds cannot show any.\n"+
		"× floor and × reference are of calls a second. Other figures are medians of the rounds.\n", report.MinRounds)
	if slices.ContainsFunc(file.Reports, func(r *report.Report) bool { return r.Interrupted }) {
		b.WriteString("Interrupted: figures come from the runs that were finished.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// failures says how many calls were not answered right, and what became of one, "" if
// there are none.
func failures(r *report.Report) string {
	for i := range r.Runs {
		if run := &r.Runs[i]; run.Errors() > 0 {
			return fmt.Sprintf("%s calls were not answered right, such as under %v on %s in round %d: %s.",
				grouped(float64(r.Errors())), run.Load, run.Server, run.Round+1, run.FirstError)
		}
	}
	return ""
}

// conditions says how the runs of a report were made, "" if there are none.
func conditions(r *report.Report) string {
	if len(r.Runs) == 0 {
		return ""
	}
	all := []string{fmt.Sprintf("rounds: %d, runs of %.2f s", r.Rounds, r.Seconds)}
	if r.Axis == nil || r.Axis.Name != "callers" { // which are its loads
		loads := make([]string, len(r.Loads))
		for i, l := range r.Loads {
			loads[i] = l.String()
		}
		all = append(all, strings.Join(loads, " "))
	}
	for _, s := range r.Settings {
		all = append(all, s.Name+": "+s.Value)
	}
	return " (" + strings.Join(all, "; ") + ")"
}
