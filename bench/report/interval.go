package report

import (
	"fmt"
	"math"
	"slices"
)

// An Interval is the median of the rounds' figures and where the true median lies
// with a confidence of 95 %, whatever the figures' distribution.
type Interval struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// String shows an interval of ratios, "-" for nil.
func (i *Interval) String() string {
	if i == nil {
		return "-"
	}
	return fmt.Sprintf("%.3f (%.3f-%.3f)", i.Median, i.Low, i.High)
}

// IntervalOf returns the interval of values, and nil if there are none. Its ends
// are order statistics: as many values lie below the true median as a coin shows
// heads, n/2 give or take √n/2, and 1.96 of these are 95 %. With fewer than six
// values it is all of them, and the confidence is less.
func IntervalOf(values []float64) *Interval {
	spread := SpreadOf(values)
	if spread == nil {
		return nil
	}
	v := slices.Sorted(slices.Values(values))
	n := float64(len(v))
	low := max(0, int(math.Floor(n/2-1.96*math.Sqrt(n)/2))-1)
	return &Interval{Median: spread.Median, Low: v[low], High: v[len(v)-1-low]}
}
