package condition

import (
	"fmt"
	"math"
	"strings"

	"credrpc/bench/report"
)

// An Outcome is what a condition was found to be at one point of a report.
type Outcome struct {
	Condition string
	Report    string // its name
	report.Point
	True    bool
	Left    float64 // each side of the condition, from Figures
	Right   float64
	Figures []Number
	// PerRound is what decided, if it was the rounds: left side by right side, or
	// left - right if Difference is true. Otherwise it is nil, and Left and Right
	// decided.
	PerRound   *report.Interval
	Difference bool
}

// A Number is a figure of a server, of all of its rounds.
type Number struct {
	Name   string // such as eventloop.p99
	Value  float64
	Unit   string
	Rounds int // of which the value is the median; 0 if it is of all rounds together
}

// String says in a line where the condition was checked, and with which numbers.
func (o *Outcome) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, %v", o.Condition, o.Report, o.Load)
	if o.At != 0 {
		fmt.Fprintf(&b, " at %g", o.At)
	}
	switch {
	case o.PerRound == nil:
		fmt.Fprintf(&b, ": left %s, right %s", digits(o.Left), digits(o.Right))
	case o.Difference:
		fmt.Fprintf(&b, ": left - right %s", perRound(o.PerRound))
	default:
		fmt.Fprintf(&b, ": left/right %s", perRound(o.PerRound))
	}
	for i, n := range o.Figures {
		separator := "; "
		if i > 0 {
			separator = ", "
		}
		fmt.Fprintf(&b, "%s%s", separator, n)
	}
	return b.String()
}

// perRound shows what decided, and whether chance may have.
func perRound(i *report.Interval) string {
	text := fmt.Sprintf("%s (%s to %s), median of %d rounds", digits(i.Median), digits(i.Low), digits(i.High), i.Values)
	switch i.Verdict {
	case report.NoDifference:
		text += ", which chance may explain"
	case report.TooFew:
		text += ", too few to exclude chance"
	}
	return text
}

// String shows a figure, and what it is of.
func (n Number) String() string {
	text := n.Name + " " + digits(n.Value)
	if n.Unit != "" {
		text += " " + n.Unit
	}
	if n.Rounds == 0 {
		return text + " in all rounds"
	}
	return fmt.Sprintf("%s (median of %d)", text, n.Rounds)
}

// digits shows a number with as many digits as say something.
func digits(x float64) string {
	switch {
	case x == math.Trunc(x) || math.Abs(x) >= 10_000:
		return fmt.Sprintf("%.0f", x)
	case math.Abs(x) >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.4g", x)
}
