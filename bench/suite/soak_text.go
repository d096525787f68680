package suite

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/report"
	"credrpc/bench/trend"
)

// conclude says in sentences what was found: of the server that ended or did not, of
// answers, of who was let in, and of what grew.
func (c *SoakConfig) conclude(grown []Growth, met map[Fault]int, ended bool, r *report.Report) (said []string) {
	if len(r.Runs) > 0 {
		said = append(said, c.sentences(met, ended, r)...)
	}
	for i := range grown {
		if g := &grown[i]; g.leak {
			said = append(said, g.sentence())
		}
	}
	return said
}

// sentences are those about what does not grow.
func (c *SoakConfig) sentences(met map[Fault]int, ended bool, r *report.Report) (said []string) {
	crashes := "the server did not end"
	if ended {
		crashes = "the server ended"
	}
	said = append(said, "Crashes: "+crashes+".")
	var all load.Counts
	for i := range r.Runs {
		all.Add(r.Runs[i].Counts)
	}
	said = append(said, fmt.Sprintf("Answers: %s right, compared byte for byte; %d wrong, %d refused, %d failed.",
		grouped(float64(all.Calls)), all.Wrong, all.Refused, all.Failed))
	if c.Load.Identify {
		said = append(said, fmt.Sprintf("Identities: %d answers were for somebody else.", all.Mistaken))
	}
	if n, attempts := c.letIn(r); attempts > 0 {
		said = append(said, fmt.Sprintf("Let in: %d of %s attempts that must be refused.", n, grouped(float64(attempts))))
	}
	if text := faultsMet(met); text != "" {
		said = append(said, "Faults: "+text+".")
	}
	return said
}

// letIn counts the attempts of hostile callers who must not be answered, and those that
// were. A server without rules, or that does not compare senders, is not asked for that.
func (c *SoakConfig) letIn(r *report.Report) (answered, attempts uint64) {
	if c.Server != Eventloop && c.Server != EventloopOnLoop {
		return 0, 0
	}
	for i := range r.Runs {
		for _, h := range r.Runs[i].Hostile {
			switch h.Misdeed {
			case load.Denied, load.Spliced, load.Garbage, load.Linger:
				answered, attempts = answered+h.Answered, attempts+h.Attempts
			}
		}
	}
	return answered, attempts
}

// sentence says what a series did.
func (g *Growth) sentence() string {
	switch {
	case g.Verdict == trend.Grows:
		return fmt.Sprintf("%s: grows by %s an hour (95 %%: %s to %s), %s a call (%s to %s).", g.What,
			g.amount(g.PerHour.Median), g.amount(g.PerHour.Low), g.amount(g.PerHour.High),
			g.amount(g.PerCall.Median), g.amount(g.PerCall.Low), g.amount(g.PerCall.High))
	case g.Verdict == trend.Level:
		return fmt.Sprintf("%s: level; in so short a time a growth of less than %s an hour does not show.", g.What, g.amount(g.Unseen))
	case g.Slope == (trend.Slope{}):
		return fmt.Sprintf("%s: too short to say; a verdict needs %d samples after the warm-up (more --minutes, or a shorter --every).", g.What, trend.Least)
	}
	return fmt.Sprintf("%s: too short to say whether it grows; it changed by %s an hour (95 %%: %s to %s).", g.What,
		g.amount(g.PerHour.Median), g.amount(g.PerHour.Low), g.amount(g.PerHour.High))
}

// amount shows a number in units of the series.
func (g *Growth) amount(n float64) string {
	switch {
	case math.IsInf(n, 0):
		return "unknown"
	case g.Unit == "bytes":
		return bytesText(n)
	}
	return strings.TrimSpace(fmt.Sprintf("%.3g %s", n, g.Unit))
}

// bytesText shows bytes in the unit that suits them.
func bytesText(n float64) string {
	switch size := math.Abs(n); {
	case size >= 1<<30:
		return fmt.Sprintf("%.2f GiB", n/(1<<30))
	case size >= 1<<20:
		return fmt.Sprintf("%.1f MiB", n/(1<<20))
	case size >= 1<<10:
		return fmt.Sprintf("%.1f KiB", n/(1<<10))
	}
	return fmt.Sprintf("%.3g bytes", n)
}

// WriteSoak writes what [Bench.Soak] found as text.
func WriteSoak(w io.Writer, r *report.Report, grown []Growth) error {
	if len(r.Runs) == 0 {
		_, err := fmt.Fprintln(w, "no run was finished")
		return err
	}
	var b strings.Builder
	first := &r.Runs[0]
	calls := uint64(0)
	for i := range r.Runs {
		calls += r.Runs[i].Calls
	}
	took := time.Duration(r.Runs[len(r.Runs)-1].At * float64(time.Second)).Round(time.Second)
	fmt.Fprintf(&b, "%s: %v, %d callers; %d samples in %v, %d calls answered, %d not\n%s\n\n", first.Server, r.Loads[0], first.Callers,
		len(r.Runs), took, calls, r.Errors(), settings(r))
	rows := [][]string{{"after the warm-up", "first quarter", "last quarter", "an hour (95 %)", "a call (95 %)", "verdict"}}
	for i := range grown {
		g := &grown[i]
		rows = append(rows, []string{g.What, g.amount(g.First), g.amount(g.Last), g.slope(g.PerHour), g.slope(g.PerCall), g.verdict()})
	}
	if len(rows) > 1 {
		report.WriteRows(&b, rows)
		b.WriteString("\n")
	}
	for _, line := range r.Findings {
		b.WriteString(line + "\n")
	}
	writeSoakErrors(&b, r)
	for _, line := range r.Notices {
		b.WriteString(line + "\n")
	}
	if r.Interrupted {
		b.WriteString("Interrupted: the verdict is on the samples that were taken.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// verdict shows whether something grows, "-" where that is no leak.
func (g *Growth) verdict() string {
	if !g.leak {
		return "-"
	}
	return string(g.Verdict)
}

// slope shows a slope with its interval.
func (g *Growth) slope(s trend.Slope) string {
	if !g.leak || s == (trend.Slope{}) && g.Verdict == trend.TooShort {
		return "-"
	}
	return fmt.Sprintf("%s (%s to %s)", g.amount(s.Median), g.amount(s.Low), g.amount(s.High))
}

// writeSoakErrors says what became of calls that were not answered right, and of
// hostile callers.
func writeSoakErrors(b *strings.Builder, r *report.Report) {
	shown := 0
	for i := range r.Runs {
		run := &r.Runs[i]
		if run.Errors() == 0 {
			continue
		}
		if shown++; shown > 5 {
			b.WriteString("  and in later samples too\n")
			break
		}
		fmt.Fprintf(b, "  at %.0f s: %d × %s\n", run.At, run.Errors(), run.FirstError)
	}
	kinds := map[load.Misdeed]load.HostileResult{}
	var order []load.Misdeed
	for i := range r.Runs {
		for _, h := range r.Runs[i].Hostile {
			sum, had := kinds[h.Misdeed]
			if !had {
				order = append(order, h.Misdeed)
			}
			sum.Attempts, sum.Answered, sum.Refused = sum.Attempts+h.Attempts, sum.Answered+h.Answered, sum.Refused+h.Refused
			kinds[h.Misdeed] = sum
		}
	}
	for _, name := range order {
		h := kinds[name]
		fmt.Fprintf(b, "hostile callers, %s: %d attempts, %d of them refused with an error, %d answered\n", name, h.Attempts, h.Refused, h.Answered)
	}
}
