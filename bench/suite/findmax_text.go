package suite

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"credrpc/bench/report"
)

// without returns [ErrMissed] if a search has ended without a rate.
func (c *FindMaxConfig) without(all []*candidate) error {
	for _, s := range all {
		if s.ended && s.found.holds < 0 {
			return fmt.Errorf("%w: %s, %s", ErrMissed, s.Name, c.Objective)
		}
	}
	return nil
}

// conclude says in sentences what was found.
func (c *FindMaxConfig) conclude(all []*candidate) []string {
	var said []string
	for _, s := range all {
		said = append(said, s.Name+": "+s.conclude(c))
	}
	for _, s := range all[min(1, len(all)):] {
		said = append(said, s.beside(all[0]))
	}
	return said
}

// conclude says what was found of one server.
func (s *candidate) conclude(c *FindMaxConfig) string {
	f := s.found
	switch {
	case !s.ended:
		return s.soFar()
	case f.holds < 0 && f.bound:
		return fmt.Sprintf("no answer: at %s calls/s, the lowest rate, the load generator was late or busy in most runs. It needs cores of its own, or a lower rate.", s.shown(0))
	case f.holds < 0:
		return fmt.Sprintf("misses %s even at %s calls/s, the lowest rate.", c.Objective, s.shown(0))
	case f.bound:
		return fmt.Sprintf("at least %s calls/s hold %s. At %s calls/s the load generator was late or busy in most runs and is the limit; what the server can do is not known. %s",
			s.shown(f.holds), c.Objective, s.shown(f.misses), s.trusted())
	case f.misses > s.last:
		return fmt.Sprintf("%s calls/s, the highest rate that was asked for, hold %s. %s", s.shown(f.holds), c.Objective, s.trusted())
	}
	return fmt.Sprintf("%s calls/s (%s) is the highest rate at which most runs hold %s; rates are %.1f %% apart. %s",
		s.shown(f.holds), s.interval(), c.Objective, s.resolution*100, s.trusted())
}

// soFar says what is known of a search that was not finished.
func (s *candidate) soFar() string {
	f := s.found
	switch {
	case f.holds < 0 && f.misses > s.last:
		return "not finished; nothing is known yet."
	case f.misses > s.last:
		return fmt.Sprintf("not finished; most runs at %s calls/s held.", s.shown(f.holds))
	case f.holds < 0:
		return fmt.Sprintf("not finished; most runs at %s calls/s did not hold.", s.shown(f.misses))
	}
	return fmt.Sprintf("not finished; the rate is between %s and %s calls/s.", s.shown(f.holds), s.shown(f.misses))
}

// trusted says what the ends of the interval are.
func (s *candidate) trusted() string {
	f := s.found
	text := fmt.Sprintf("There is no rate at which all of %d runs held.", s.tries)
	if f.low >= 0 {
		text = fmt.Sprintf("At %s calls/s all of %d runs held", s.shown(f.low), s.tries)
	}
	switch {
	case f.bound || f.misses > s.last:
	case f.high <= s.last && f.low >= 0:
		return text + fmt.Sprintf(", at %s none.", s.shown(f.high))
	case f.high <= s.last:
		return text + fmt.Sprintf(" At %s calls/s none held.", s.shown(f.high))
	}
	return strings.TrimSuffix(text, ".") + "."
}

// interval shows the rates between which the highest is.
func (s *candidate) interval() string {
	low, high := "?", "?"
	if s.found.low >= 0 {
		low = s.shown(s.found.low)
	}
	if s.found.high <= s.last {
		high = s.shown(s.found.high)
	}
	return low + "-" + high
}

// shown is a rate in figures.
func (s *candidate) shown(index int) string { return rateText(s.rate(index)) }

func rateText(rate float64) string {
	if rate < 10 {
		return fmt.Sprintf("%.3g", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}

// beside compares with another server.
func (s *candidate) beside(first *candidate) string {
	names := fmt.Sprintf("%s beside %s: ", s.Name, first.Name)
	if !s.whole() || !first.whole() {
		return names + "one of the two has no rate with an interval, so they cannot be compared."
	}
	ratio := s.rate(s.found.holds) / first.rate(first.found.holds)
	switch {
	case s.found.low > first.found.high:
		return names + fmt.Sprintf("%.2f times the rate, and the intervals are apart.", ratio)
	case s.found.high < first.found.low:
		return names + fmt.Sprintf("%.2f of the rate, and the intervals are apart.", ratio)
	}
	return names + fmt.Sprintf("%.2f times the rate, but the intervals overlap, so no difference is shown.", ratio)
}

// whole reports whether a rate was found with both ends of its interval.
func (s *candidate) whole() bool {
	return s.ended && s.found.low >= 0 && s.found.high <= s.last
}

// A rateRow is the runs of one server at one rate.
type rateRow struct {
	server string
	rate   float64
	runs   []*report.Run
	votes  votes
	missed map[string]int // how often a term was missed
}

// WriteFindMax writes what [Bench.FindMax] found as text.
func WriteFindMax(w io.Writer, c *FindMaxConfig, r *report.Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; %s arrivals, %d callers, runs of %gs\n", c.Objective, c.settings()[1].Value, c.Load.Load.Callers, r.Seconds)
	for _, s := range r.Servers {
		rows, err := c.rows(s.Name, r)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			writeRates(&b, s.Name, rows)
		}
	}
	b.WriteString("\n")
	for _, line := range append(slices.Clone(r.Findings), limits(c, r)...) {
		b.WriteString(line + "\n")
	}
	for _, line := range r.Notices {
		b.WriteString(line + "\n")
	}
	if r.Interrupted {
		b.WriteString("Interrupted: the search was not finished.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// rows returns the runs of a server by their rates, the lowest first.
func (c *FindMaxConfig) rows(server string, r *report.Report) (rows []*rateRow, err error) {
	byRate := map[float64]*rateRow{}
	for i := range r.Runs {
		run := &r.Runs[i]
		if run.Server != server {
			continue
		}
		row := byRate[run.At]
		if row == nil {
			row = &rateRow{server: server, rate: run.At, missed: map[string]int{}}
			byRate[run.At] = row
			rows = append(rows, row)
		}
		row.runs = append(row.runs, run)
		j, err := c.Objective.Judge(&run.Result)
		if err != nil {
			return nil, err
		}
		for _, term := range j.Missed {
			row.missed[term]++
		}
		switch o, err := c.judge(run); {
		case err != nil:
			return nil, err
		case o == held:
			row.votes.held++
		case o == late:
			row.votes.late++
		default:
			row.votes.missed++
		}
	}
	slices.SortFunc(rows, func(a, b *rateRow) int { return int(a.rate) - int(b.rate) })
	return rows, nil
}

// writeRates writes the table of one server.
func writeRates(b *strings.Builder, server string, all []*rateRow) {
	rows := [][]string{{"offered/s", "held", "missed", "generator", "calls/s", "p50 µs", "p99 µs", "p99.9 µs", "service p99", "pacing p99", "errors", "unstarted", "bottleneck", "missed"}}
	for _, row := range all {
		middle := func(figure func(*report.Run) float64) string {
			values := make([]float64, len(row.runs))
			for i, run := range row.runs {
				values[i] = figure(run)
			}
			return fmt.Sprintf("%.0f", report.SpreadOf(values).Median)
		}
		var errors, unstarted uint64
		for _, run := range row.runs {
			errors += run.Errors()
			unstarted += run.Offered.Unstarted
		}
		rows = append(rows, []string{rateText(row.rate), fmt.Sprint(row.votes.held), fmt.Sprint(row.votes.missed), fmt.Sprint(row.votes.late),
			middle(func(r *report.Run) float64 { return r.CallsPerSecond }),
			middle(func(r *report.Run) float64 { return r.Latency.P50 }),
			middle(func(r *report.Run) float64 { return r.Latency.P99 }),
			middle(func(r *report.Run) float64 { return r.Latency.P999 }),
			middle(func(r *report.Run) float64 { return r.ServiceTime.P99 }),
			middle(func(r *report.Run) float64 { return r.Offered.PacingError.P99 }),
			fmt.Sprint(errors), fmt.Sprint(unstarted), row.bottleneck(), row.terms()})
	}
	fmt.Fprintf(b, "\n%s\n", server)
	report.WriteRows(b, rows)
}

// bottleneck is that of most of the runs.
func (row *rateRow) bottleneck() string {
	votes := map[report.Bottleneck]int{}
	var most report.Bottleneck
	for _, run := range row.runs {
		votes[run.Bottleneck]++
		if votes[run.Bottleneck] > votes[most] {
			most = run.Bottleneck
		}
	}
	if most == "" {
		return "unknown"
	}
	return string(most)
}

// terms are those that were missed, and how often.
func (row *rateRow) terms() string {
	var all []string
	for term, n := range row.missed {
		all = append(all, fmt.Sprintf("%s %d×", term, n))
	}
	if len(all) == 0 {
		return "-"
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// limits says of each server what was busy in the runs that missed the objective: of
// those at rates up to twice the lowest of them.
func limits(c *FindMaxConfig, r *report.Report) (said []string) {
	for _, server := range r.Servers {
		rows, err := c.rows(server.Name, r)
		if err != nil {
			continue // the table has said so
		}
		lowest, runs, callers := 0.0, map[report.Bottleneck]int{}, 0
		for _, row := range rows {
			if row.votes.missed <= row.votes.held || lowest > 0 && row.rate > 2*lowest {
				continue
			}
			if lowest == 0 {
				lowest = row.rate
			}
			for _, run := range row.runs {
				runs[run.Bottleneck]++
				if run.Bottleneck == report.BoundByWaiting && run.Offered.CallerWait.P99 >= run.Latency.P99/2 {
					callers++
				}
			}
		}
		said = append(said, busyAbove(server.Name, runs, callers)...)
	}
	return said
}

// busyAbove says what was busy in the runs of one server that missed the objective.
func busyAbove(server string, runs map[report.Bottleneck]int, callers int) (said []string) {
	total := 0
	for _, n := range runs {
		total += n
	}
	switch {
	case callers > total/2:
		said = append(said, fmt.Sprintf("%s: where it misses, neither server nor cores were busy, but all callers were. If the server can have more calls in flight, more --callers show more.", server))
	case runs[report.BoundByCores] > total/2:
		said = append(said, fmt.Sprintf("%s: where it misses, server, load generator and other processes took cores from one another. With cores of its own the server may do more.", server))
	case runs[report.BoundByServer] > total/2:
		said = append(said, fmt.Sprintf("%s: where it misses, the server was busy, so the rate is its own.", server))
	}
	return said
}
