package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"credrpc/bench/load"
)

// WriteTable writes a table for each load, and below what has to be known to
// read them. It shows r.Summaries.
func (r *Report) WriteTable(w io.Writer) error {
	var b strings.Builder
	m := &r.Machine
	fmt.Fprintf(&b, "%s\n%s, %d cores, %s, GOMAXPROCS %d, backlog up to %d, %d bytes of payload, %d rounds of %gs\n",
		m.Kernel, m.CPUModel, m.Cores, m.GoVersion, m.GOMAXPROCS, m.SOMAXCONN, r.Payload, r.Rounds, r.Seconds)
	for _, l := range r.Loads {
		rows := [][]string{{"", "calls/s", "× floor", "× reference", "p50 µs", "p99 µs", "p99.9 µs", "p50 × floor",
			"CPU µs", "user+sys", "CPU × ref", "errors", "bottleneck"}}
		for i := range r.Summaries {
			if s := &r.Summaries[i]; s.Load == l && s.Shown {
				rows = append(rows, s.row())
			}
		}
		if len(rows) == 1 {
			continue
		}
		fmt.Fprintf(&b, "\n%s: %s\n", l, Explain(l))
		WriteRows(&b, rows)
	}
	b.WriteString("\n")
	for _, line := range r.remarks() {
		b.WriteString(line + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// row returns the cells of a summary.
func (s *Summary) row() []string {
	return []string{
		s.Server,
		fmt.Sprintf("%.0f", s.CallsPerSecond.Median),
		s.TimesFloor.text(2),
		s.TimesReference.text(2),
		fmt.Sprintf("%.1f", s.Latency.P50),
		fmt.Sprintf("%.1f", s.Latency.P99),
		fmt.Sprintf("%.1f", s.Latency.P999),
		s.P50TimesFloor.text(2),
		fmt.Sprintf("%.1f", s.UserPerCall+s.SystemPerCall),
		fmt.Sprintf("%.1f+%.1f", s.UserPerCall, s.SystemPerCall),
		s.CPUTimesReference.text(2),
		fmt.Sprint(s.Errors),
		string(s.Bottleneck),
	}
}

// Explain says a load in words.
func Explain(l load.Load) string {
	callers := "1 caller"
	if l.Callers != 1 {
		callers = fmt.Sprintf("%d callers", l.Callers)
	}
	if l.Batch == 1 {
		return callers + ", one call at a time"
	}
	return fmt.Sprintf("%s with %d calls in flight each (latency includes the batching)", callers, l.Batch)
}

// WriteRows writes a table and aligns the columns: the first to the left, the others
// to the right. The first row is the longest.
func WriteRows(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, row := range rows {
		line := ""
		for i, c := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if i == 0 {
				line = c + pad
			} else {
				line += "  " + pad + c
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// remarks returns what has to be known to read the tables.
func (r *Report) remarks() []string {
	lines := []string{
		"calls/s: median of the rounds. Ratios: median of the rounds' ratios (95 % confidence interval). Latency: all rounds. CPU: the server's, a call.",
	}
	lines = append(lines, Legend(r.ratiosShown())...)
	lines = append(lines, r.remarkOn(BoundByGenerator, "The load generator was the bottleneck (client-bound), so the server's own limit is higher: ",
		"The load generator was the bottleneck in no load."))
	if line := r.remarkOn(BoundByCores, "Server and load generator, or other processes, took cores from one another (machine-bound): ", ""); line != "" {
		lines = append(lines, line)
	}
	if line := r.remarkOn(BoundByWaiting, "Server and load generator waited for one another, neither was busy: ", ""); line != "" {
		lines = append(lines, line)
	}
	if others := r.OthersShare(); others > 0.05 {
		lines = append(lines, fmt.Sprintf("Other processes took %.0f %% of the machine's cores while the loads ran: expect wide spreads.", others*100))
	}
	if line := r.checkRemark(); line != "" {
		lines = append(lines, line)
	}
	lines = append(lines, r.Notices...)
	if r.Interrupted {
		lines = append(lines, "Interrupted: figures come from the runs that were finished.")
	}
	return lines
}

// ratiosShown returns the intervals of the tables.
func (r *Report) ratiosShown() (intervals []*Interval) {
	for i := range r.Summaries {
		if s := &r.Summaries[i]; s.Shown {
			intervals = append(intervals, s.TimesFloor, s.TimesReference, s.P50TimesFloor, s.CPUTimesReference)
		}
	}
	return intervals
}

// remarkOn names the loads and servers with bottleneck b, or returns none.
func (r *Report) remarkOn(b Bottleneck, text, none string) string {
	var parts []string
	for _, l := range r.Loads {
		var servers []string
		for i := range r.Summaries {
			if s := &r.Summaries[i]; s.Load == l && s.Shown && s.Bottleneck == b {
				servers = append(servers, s.Server)
			}
		}
		if len(servers) > 0 {
			parts = append(parts, l.String()+" on "+strings.Join(servers, ", "))
		}
	}
	if len(parts) == 0 {
		return none
	}
	return text + strings.Join(parts, "; ") + "."
}

// OthersShare is the share of the machine's cores that other processes had while the
// loads ran.
func (r *Report) OthersShare() float64 {
	var others, all float64
	for i := range r.Runs {
		others += r.Runs[i].othersSeconds()
		all += r.Runs[i].MachineBusySeconds + r.Runs[i].MachineIdleSeconds
	}
	if all == 0 {
		return 0
	}
	return others / all
}
