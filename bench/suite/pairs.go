package suite

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"credrpc/bench/report"
)

// An entrant is a server and what it is compared with.
type entrant struct {
	variant
	against string // name of another entrant, "" for none
}

// paired runs all loads of c on all entrants, in rounds as [Bench.Compare] does,
// and adds them to r. If ctx ends, r says so and has the runs up to then.
func (b *Bench) paired(ctx context.Context, c Comparison, entrants []entrant, r *report.Report) error {
	all := make([]variant, len(entrants))
	for i, e := range entrants {
		all[i] = e.variant
		all[i].Against = e.against
	}
	if len(c.Users) > 0 {
		if err := mayActAsOthers(); err != nil {
			return err
		}
	}
	competitors, err := b.enter(ctx, c, all, r)
	for _, s := range competitors {
		if err == nil && len(c.Users) > 0 {
			err = b.open(s.socket)
		}
	}
	if err == nil {
		err = b.rounds(ctx, c, c.heats(competitors), r)
	}
	return finish(ctx, r, err)
}

// writePairs writes a table for each load, whose heading names the columns of row,
// and what has to be known of the rounds. Of a pair it shows the intervals shown.
func writePairs(b *strings.Builder, p *report.Report, heading []string, row func(*report.Pair) []string, shown func(*report.Pair) []*report.Interval) {
	var intervals []*report.Interval
	for _, l := range p.Loads {
		rows := [][]string{heading}
		for _, pair := range p.Pairs {
			if pair.Load == l {
				rows = append(rows, row(pair))
				intervals = append(intervals, shown(pair)...)
			}
		}
		if len(rows) > 1 {
			fmt.Fprintf(b, "\n%v, %d bytes\n", l, p.Payload)
			report.WriteRows(b, rows)
		}
	}
	fmt.Fprintf(b, "\nMedians of up to %d rounds of %gs (least-greatest). Ratios and differences are of two runs of the\n"+
		"same round, with the 95 %% confidence interval of their median.\n", p.Rounds, p.Seconds)
	for _, line := range append(report.Legend(intervals), p.Notices...) {
		b.WriteString(line + "\n")
	}
	for _, pair := range p.Pairs {
		if pair.FirstError != "" {
			fmt.Fprintf(b, "%s under %v: %s.\n", pair.Server, pair.Load, pair.FirstError)
		}
	}
	if p.Interrupted {
		b.WriteString("Interrupted: figures come from the runs that were finished.\n")
	}
}

// settings shows what was chosen for a report.
func settings(r *report.Report) string {
	parts := make([]string, len(r.Settings))
	for i, s := range r.Settings {
		parts[i] = s.Name + ": " + s.Value
	}
	return strings.Join(parts, "; ")
}

// microseconds shows a spread of times.
func microseconds(s *report.Spread) string {
	return fmt.Sprintf("%.2f (%.2f-%.2f)", s.Median, s.Min, s.Max)
}

// difference shows an interval of differences in microseconds, with the mark of its
// verdict.
func difference(i *report.Interval) string {
	if i == nil {
		return "-"
	}
	return fmt.Sprintf("%s%+.2f (%+.2f to %+.2f)", i.Verdict.Mark(), i.Median, i.Low, i.High)
}

// grouped shows a whole number, or what is nearest to it, with commas.
func grouped(n float64) string {
	text := strconv.FormatFloat(n, 'f', 0, 64)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
