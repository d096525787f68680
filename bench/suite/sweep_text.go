package suite

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"credrpc/bench/report"
)

// screened says in sentences what the settings did one at a time.
func (c *SweepConfig) screened(tried []tuning, r *report.Report) (said []string) {
	for _, t := range tried {
		ups, downs := c.loadsOf(t.name(), r, better), c.loadsOf(t.name(), r, worse)
		switch {
		case len(ups)+len(downs) == 0:
		case len(downs) == 0:
			said = append(said, fmt.Sprintf("%s is better with %s.", t.name(), strings.Join(ups, ", ")))
		case len(ups) == 0:
			said = append(said, fmt.Sprintf("%s is worse with %s.", t.name(), strings.Join(downs, ", ")))
		default:
			said = append(said, fmt.Sprintf("%s is better with %s and worse with %s: a matter of what the load is.",
				t.name(), strings.Join(ups, ", "), strings.Join(downs, ", ")))
		}
		if costs := costs(t.name(), r); len(costs) > 0 {
			said = append(said, fmt.Sprintf("%s takes %s the processor time a call.", t.name(), strings.Join(costs, ", and ")))
		}
	}
	if n := len(tried) * len(r.Loads); n > 0 {
		said = append(said, fmt.Sprintf("Of %d comparisons at 95 %% some %.1f are better or worse by chance, so what is better counts only if the comparison at the end says so too.", n, float64(n)*0.05))
	}
	return said
}

// loadsOf returns the loads in which a server stands so, with the intervals.
func (c *SweepConfig) loadsOf(server string, r *report.Report, s standing) (loads []string) {
	for _, p := range r.Pairs {
		if p.Server == server && standingOf(p) == s {
			loads = append(loads, fmt.Sprintf("%v, %s times", p.Load, p.Throughput))
		}
	}
	return loads
}

// costs returns the loads in which a server's processor time a call is another than that
// of the defaults, with the intervals. It is steadier than throughput where others use
// the machine too.
func costs(server string, r *report.Report) (loads []string) {
	for _, p := range r.Pairs {
		if p.Server == server && p.CPU != nil && (p.CPU.Verdict == report.More || p.CPU.Verdict == report.Less) {
			loads = append(loads, fmt.Sprintf("with %v %s times", p.Load, p.CPU))
		}
	}
	return loads
}

// recommend says which settings to choose.
func (c *SweepConfig) recommend(together []tuning, r *report.Report) (said []string) {
	for _, t := range together {
		if !isBetter(t.name(), r) {
			said = append(said, fmt.Sprintf("%s (%s): not confirmed. In rounds of their own they are not better than the defaults.", t.name(), t.partNames()))
			continue
		}
		var how []string
		for i := range t.parts {
			how = append(how, t.parts[i].how())
		}
		text := fmt.Sprintf("%s: confirmed, with %s. Set %s", t.name(), strings.Join(c.loadsOf(t.name(), r, better), "; "), strings.Join(how, ", and "))
		if t.promise != "" {
			text += ", if " + t.promise
		}
		said = append(said, text+".")
	}
	if !slices.ContainsFunc(together, func(t tuning) bool { return isBetter(t.name(), r) }) {
		said = append(said, "The defaults are as good as anything that was tried here.")
	}
	return said
}

// WriteSweep writes what [Bench.Sweep] found as text.
func WriteSweep(w io.Writer, reports ...*report.Report) error {
	var b strings.Builder
	for _, r := range reports {
		if r == nil {
			continue
		}
		fmt.Fprintf(&b, "%s\n", r.Title)
		if len(r.Pairs) == 0 {
			b.WriteString("no run was finished\n")
			continue
		}
		writePairs(&b, r, []string{"", "calls/s", "× defaults", "p99 µs", "× defaults", "CPU µs a call", "× defaults", "errors", "verdict"}, func(p *report.Pair) []string {
			return []string{p.Server, whole(p.CallsPerSecond), p.Throughput.String(), fmt.Sprintf("%.0f", p.Latency.P99), p.P99.String(),
				fmt.Sprintf("%.1f", p.ServerPerCall.Median), p.CPU.String(), fmt.Sprint(p.Errors), verdictOf(p)}
		}, func(p *report.Pair) []*report.Interval { return []*report.Interval{p.Throughput, p.P99, p.CPU} })
		b.WriteString("\n")
		for _, line := range r.Findings {
			b.WriteString(line + "\n")
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// verdictOf is the verdict of a row.
func verdictOf(p *report.Pair) string {
	switch {
	case p.Against == "":
		return ""
	case p.Throughput == nil || p.Throughput.Verdict == report.TooFew:
		return "too few rounds"
	}
	return [...]string{unclear: "-", better: "better", worse: "worse"}[standingOf(p)]
}
