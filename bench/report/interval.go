package report

import (
	"fmt"
	"math"
	"slices"
)

// confidence is what an interval must have to say that there is a difference.
const confidence = 0.95

// MinRounds is the fewest rounds that can show a difference within a file, by the sign
// test with that confidence: five that agree are chance once in 16 times. Everything
// that chooses or demands a number of rounds does not go below it, and neither do
// comparisons of files, though their test could do with five.
const MinRounds = 6

// An Interval is the median of the rounds' figures and where the true median lies
// with a confidence of at least 95 %, whatever the figures' distribution.
type Interval struct {
	Median     float64 `json:"median"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Min        float64 `json:"min"` // of the figures
	Max        float64 `json:"max"`
	Values     int     `json:"values"`            // how many figures there are
	Confidence float64 `json:"confidence"`        // from 0 to 1; below 0.95 with fewer than six figures
	Verdict    Verdict `json:"verdict,omitempty"` // of ratios and of differences
}

// A Verdict says whether an interval shows a difference. See the package's
// documentation.
type Verdict string

// The verdicts.
const (
	More         Verdict = "more"
	Less         Verdict = "less"
	NoDifference Verdict = "no difference"
	TooFew       Verdict = "too few"
)

// Mark is what stands before a figure in a table: "~ " where no difference is
// shown, "? " where there are too few rounds to show one.
func (v Verdict) Mark() string {
	switch v {
	case NoDifference:
		return "~ "
	case TooFew:
		return "? "
	}
	return ""
}

// String shows an interval with its verdict's mark, "-" for nil, and "1" for the
// ratio of something to itself.
func (i *Interval) String() string { return i.text(3) }

// text shows an interval with some decimals.
func (i *Interval) text(decimals int) string {
	switch {
	case i == nil:
		return "-"
	case i.Min == 1 && i.Max == 1:
		return "1"
	}
	return fmt.Sprintf("%s%.*f (%.*f-%.*f)", i.Verdict.Mark(), decimals, i.Median, decimals, i.Low, decimals, i.High)
}

// RatioOf returns the interval of ratios, with a verdict, and nil if there are
// none.
func RatioOf(values []float64) *Interval { return IntervalOf(values).judged(1) }

// DifferenceOf returns the interval of differences, with a verdict, and nil if
// there are none.
func DifferenceOf(values []float64) *Interval { return IntervalOf(values).judged(0) }

// judged sets the verdict of an interval of figures that are equal where there is
// no difference.
func (i *Interval) judged(equal float64) *Interval {
	switch {
	case i == nil:
	case i.Confidence < confidence:
		i.Verdict = TooFew
	case i.Low > equal:
		i.Verdict = More
	case i.High < equal:
		i.Verdict = Less
	default:
		i.Verdict = NoDifference
	}
	return i
}

// IntervalOf returns the interval of values, and nil if there are none. Its ends
// are order statistics, as many values from either end: as many values lie below
// the true median as a coin shows heads. So the interval of ratios leaves out 1
// exactly where the sign test rejects that they are as often below as above it.
// With fewer than six values it is all of them, and the confidence is less: five
// that agree are chance once in 16 times.
func IntervalOf(values []float64) *Interval {
	spread := SpreadOf(values)
	if spread == nil {
		return nil
	}
	v := slices.Sorted(slices.Values(values))
	outside := 0 // values that are left out at either end
	below := heads(len(v), 0)
	for {
		more := below + heads(len(v), outside+1)
		if 2*more > 1-confidence {
			break
		}
		outside, below = outside+1, more
	}
	return &Interval{Median: spread.Median, Low: v[outside], High: v[len(v)-1-outside], Min: spread.Min, Max: spread.Max,
		Values: len(v), Confidence: max(0, 1-2*below)}
}

// heads is the probability of k heads among n coins. Logarithms keep it from
// becoming 0 where there are many.
func heads(n, k int) float64 {
	all, _ := math.Lgamma(float64(n + 1))
	some, _ := math.Lgamma(float64(k + 1))
	others, _ := math.Lgamma(float64(n - k + 1))
	return math.Exp(all - some - others - float64(n)*math.Ln2)
}

// Legend says what the marks of intervals that were shown mean, and how far they can
// be trusted.
func Legend(shown []*Interval) (lines []string) {
	has := map[Verdict]int{}
	for _, i := range shown {
		if i != nil && (i.Min != 1 || i.Max != 1) {
			has[i.Verdict]++
		}
	}
	if has[NoDifference] > 0 {
		lines = append(lines, "~ no difference is shown: the interval holds 1 (of a difference: 0).")
	}
	if has[TooFew] > 0 {
		lines = append(lines, fmt.Sprintf("? too few rounds to show a difference: that takes %d.", MinRounds))
	}
	if judged := has[More] + has[Less] + has[NoDifference]; judged > 0 {
		lines = append(lines, fmt.Sprintf("Of %d intervals up to %.1f would show a difference by chance if there were none.", judged, float64(judged)*(1-confidence)))
	}
	return lines
}
