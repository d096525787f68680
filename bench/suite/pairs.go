package suite

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"credrpc/bench/report"
)

// Paired is a report of servers of which some are compared with others, each with
// the one that it differs from in one thing, and with confidence intervals.
type Paired struct {
	report.Report
	Pairs []*report.Pair `json:"pairs"` // in the order of loads and servers
}

// An entrant is a server and what it is compared with.
type entrant struct {
	variant
	against string // name of another entrant, "" for none
}

// paired runs all loads of c on all entrants, in rounds as [Bench.Compare] does,
// and adds them to p. If ctx ends, p says so and has the runs up to then.
func (b *Bench) paired(ctx context.Context, c Comparison, entrants []entrant, p *Paired) error {
	all := make([]variant, len(entrants))
	for i, e := range entrants {
		all[i] = e.variant
	}
	competitors, err := b.enter(ctx, c, all, &p.Report)
	if err == nil {
		err = b.rounds(ctx, c, competitors, &p.Report)
	}
	if ctx.Err() != nil {
		p.Interrupted = true
		err = nil
	}
	return errors.Join(err, p.Summarise(), p.compare(entrants))
}

// compare sets p.Pairs.
func (p *Paired) compare(entrants []entrant) error {
	for _, l := range p.Loads {
		for _, e := range entrants {
			pair, err := p.Pair(e.Name, e.against, l)
			if err != nil {
				return err
			}
			if pair != nil {
				p.Pairs = append(p.Pairs, pair)
			}
		}
	}
	return nil
}

// write writes a table for each load, whose heading names the columns of row, and
// what has to be known of the rounds.
func (p *Paired) write(b *strings.Builder, heading []string, row func(*report.Pair) []string) {
	for _, l := range p.Loads {
		rows := [][]string{heading}
		for _, pair := range p.Pairs {
			if pair.Load == l {
				rows = append(rows, row(pair))
			}
		}
		if len(rows) > 1 {
			fmt.Fprintf(b, "\n%v, %d bytes\n", l, p.Payload)
			report.WriteRows(b, rows)
		}
	}
	fmt.Fprintf(b, "\nMedians of up to %d rounds of %gs (least-greatest). Ratios and differences are of two runs of the\n"+
		"same round, with the 95 %% confidence interval of their median: one that holds 1, or 0, shows nothing.\n", p.Rounds, p.Seconds)
	for _, line := range p.Notices {
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

// microseconds shows a spread of times.
func microseconds(s *report.Spread) string {
	return fmt.Sprintf("%.2f (%.2f-%.2f)", s.Median, s.Min, s.Max)
}

// difference shows an interval of differences in microseconds.
func difference(i *report.Interval) string {
	if i == nil {
		return "-"
	}
	return fmt.Sprintf("%+.2f (%+.2f to %+.2f)", i.Median, i.Low, i.High)
}
