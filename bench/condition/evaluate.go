package condition

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"credrpc/bench/report"
)

// ErrNowhere reports a condition that applies to no run, or cannot be computed.
var ErrNowhere = errors.New("condition: it was not checked")

// Files are the reports of one file, under "", or of two, under [Old] and [New].
type Files map[string][]*report.Report

// Evaluate checks the condition wherever it applies. It returns [ErrNowhere] if that
// is nowhere.
func (c *Condition) Evaluate(files Files) ([]Outcome, error) {
	var outcomes []Outcome
	for _, name := range c.reports(files) {
		sides := map[string]*report.Report{}
		for side, reports := range files {
			if i := slices.IndexFunc(reports, func(r *report.Report) bool { return r.Name == name }); i >= 0 {
				sides[side] = reports[i]
			}
		}
		for _, p := range sides[c.references[0].side].Points() {
			if !c.covers(p) {
				continue
			}
			terms, ok, err := c.terms(sides, p)
			var o Outcome
			if err == nil && !ok {
				continue
			}
			if err == nil {
				o, err = c.evaluate(terms)
			}
			if err != nil {
				return outcomes, fmt.Errorf("%w: %s under %v: %w", ErrNowhere, c, p.Load, err)
			}
			o.Condition, o.Report, o.Point = c.text, name, p
			outcomes = append(outcomes, o)
		}
	}
	if len(outcomes) == 0 {
		return nil, fmt.Errorf("%w: %s: %s", ErrNowhere, c, c.missing(files))
	}
	return outcomes, nil
}

// missing says why a condition applies nowhere.
func (c *Condition) missing(files Files) string {
	for _, ref := range c.references {
		var runs, have int
		for _, r := range files[ref.side] {
			for _, p := range r.Points() {
				if c.covers(p) {
					under := named(r, ref.server, p)
					runs += len(under)
					have += len(ref.figure.Values(under))
				}
			}
		}
		switch {
		case runs == 0:
			return fmt.Sprintf("there is no run of %s there", ref.server)
		case have == 0:
			return fmt.Sprintf("no run has %v: it is not measured there", ref)
		}
	}
	return "its servers have no load in common"
}

// covers reports whether the condition is for a point.
func (c *Condition) covers(p report.Point) bool {
	return (c.load == nil || p.Load == *c.load) && (c.at == nil || p.At == *c.at)
}

// named returns the runs at a point of the server of a name, or of the fastest one of
// a kind.
func named(r *report.Report, name string, p report.Point) []report.Run {
	runs := r.RunsAt(p)
	if len(runs[name]) > 0 {
		return runs[name]
	}
	return runs[r.Fastest(name, runs)]
}

// reports returns the names of the reports of the first server's file.
func (c *Condition) reports(files Files) (names []string) {
	for _, r := range files[c.references[0].side] {
		names = append(names, r.Name)
	}
	return names
}

// terms are the runs of a point that a condition speaks of: those of a server for
// each of its references.
type terms map[*reference][]report.Run

// terms returns them, and false if one of them is missing. A server that answered nothing
// has no times, which must not pass for good ones: that is an error.
func (c *Condition) terms(sides map[string]*report.Report, p report.Point) (terms, bool, error) {
	all := terms{}
	for _, ref := range c.references {
		r := sides[ref.side]
		if r == nil {
			return nil, false, nil
		}
		all[ref] = named(r, ref.server, p)
		for i := range all[ref] {
			if run := &all[ref][i]; ref.figure.Quantity == report.Time && run.Calls == 0 && run.Latency.Max == 0 {
				return nil, false, fmt.Errorf("%s answered nothing in round %d, so it has no %s", run.Server, run.Round+1, ref.figure.Name)
			}
		}
		if _, known := ref.figure.Over(all[ref]); !known {
			return nil, false, nil
		}
	}
	return all, true, nil
}

// evaluate checks the condition at one point.
func (c *Condition) evaluate(all terms) (o Outcome, err error) {
	values := map[*reference]float64{}
	for _, ref := range c.references {
		value, _ := ref.figure.Over(all[ref])
		values[ref] = value
		n := Number{Name: ref.String(), Value: value, Unit: ref.figure.Unit}
		if ref.figure.Rounds() {
			n.Rounds = len(ref.figure.Values(all[ref]))
		}
		if !slices.Contains(o.Figures, n) {
			o.Figures = append(o.Figures, n)
		}
	}
	o.Left, o.Right = c.left.value(values), c.right.value(values)
	if !finite(o.Left) || !finite(o.Right) {
		return o, errors.New("a side is no number: something is divided by 0")
	}
	if !c.interleaved(all) {
		o.True = c.compare(o.Left, o.Right)
		return o, nil
	}
	if o.PerRound, o.Difference, err = c.perRound(all); err != nil {
		return o, err
	}
	equal := 1.0
	if o.Difference {
		equal = 0
	}
	o.True = c.compare(o.PerRound.Median, equal)
	return o, nil
}

// interleaved reports whether rounds can be compared: there are several servers, all
// in one file, and figures of each round.
func (c *Condition) interleaved(all terms) bool {
	several := false
	for ref, runs := range all {
		if ref.side != "" || !ref.figure.Rounds() {
			return false
		}
		several = several || runs[0].Server != all[c.references[0]][0].Server
	}
	return several
}

// perRound computes both sides in each round that has all figures. It returns left by
// right, or left less right if the right side is not above 0 in every round.
func (c *Condition) perRound(all terms) (per *report.Interval, difference bool, err error) {
	var ratios, differences []float64
	for _, round := range rounds(all[c.references[0]]) {
		values := map[*reference]float64{}
		for ref, runs := range all {
			for i := range runs {
				if value, ok := ref.figure.Of(&runs[i]); ok && runs[i].Round == round {
					values[ref] = value
				}
			}
		}
		if len(values) < len(all) {
			continue
		}
		left, right := c.left.value(values), c.right.value(values)
		if !finite(left) || !finite(right) {
			return nil, false, fmt.Errorf("a side is no number in round %d: something is divided by 0", round+1)
		}
		differences = append(differences, left-right)
		if right > 0 {
			ratios = append(ratios, left/right)
		}
	}
	switch {
	case len(differences) == 0:
		return nil, false, errors.New("no round has all of its servers")
	case len(ratios) < len(differences):
		return report.DifferenceOf(differences), true, nil
	}
	return report.RatioOf(ratios), false, nil
}

// rounds returns the rounds of runs.
func rounds(runs []report.Run) (rounds []int) {
	for i := range runs {
		if !slices.Contains(rounds, runs[i].Round) {
			rounds = append(rounds, runs[i].Round)
		}
	}
	return rounds
}

// compare applies the condition's comparison.
func (c *Condition) compare(left, right float64) bool {
	switch c.operator {
	case "<":
		return left < right
	case "<=":
		return left <= right
	case ">":
		return left > right
	case ">=":
		return left >= right
	case "==":
		return left == right
	}
	return left != right
}

// value computes an expression.
func (e *expression) value(values map[*reference]float64) float64 {
	switch {
	case e.reference != nil:
		return values[e.reference]
	case e.operator == 0:
		return e.number
	}
	left, right := e.left.value(values), e.right.value(values)
	switch e.operator {
	case '+':
		return left + right
	case '-':
		return left - right
	case '*':
		return left * right
	}
	return left / right
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
