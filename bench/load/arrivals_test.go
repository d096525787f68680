package load

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestParseSteps(t *testing.T) {
	for in, ok := range map[string]bool{
		"1000:5s": true, "10000:5s,20000.5:1m30s": true, "0.5:1h0m0s": true,
		"": false, "5": false, "5s:5": false, "x:5s": false, "5:x": false, "0:5s": false, "-1:5s": false, "NaN:5s": false,
		"1e8:5s": false, "5:0s": false, "5:-1s": false, "5:200h": false, "5:5s,": false,
	} {
		steps, err := ParseSteps(in)
		if (err == nil) != ok {
			t.Errorf("%q: %v, %v", in, steps, err)
		}
		if ok && steps.String() != in {
			t.Errorf("%q is written %q", in, steps)
		}
	}
}

// all returns all arrivals of a schedule.
func all(s *schedule) (arrivals []arrival) {
	for {
		a, ok := s.take()
		if !ok {
			return arrivals
		}
		arrivals = append(arrivals, a)
	}
}

// TestConstant counts exactly, in each step and between all parts.
func TestConstant(t *testing.T) {
	a := &Arrivals{Steps: Steps{{1000, 600 * time.Millisecond}, {333, time.Second}, {10, 50 * time.Millisecond}, {7, 300 * time.Millisecond}}}
	const warmUp = 100 * time.Millisecond
	want := []int{100, 600, 333, 1, 3} // the first of a step is due when it begins: ⌈rate × duration⌉
	for _, parts := range []int{1, 2, 7} {
		var got []arrival
		for part := range parts {
			own := all(newSchedule(a, warmUp, 1, part, parts))
			if !slices.IsSortedFunc(own, func(a, b arrival) int { return int(a.at - b.at) }) {
				t.Errorf("part %d of %d is not in order", part, parts)
			}
			got = append(got, own...)
		}
		counts := make([]int, 5)
		seen := map[time.Duration]bool{}
		for _, g := range got {
			counts[g.step]++
			if seen[g.at] {
				t.Errorf("%d parts have two arrivals at %v", parts, g.at)
			}
			seen[g.at] = true
		}
		if !slices.Equal(counts, want) {
			t.Errorf("%d parts: %v arrivals in the steps, want %v", parts, counts, want)
		}
		if !seen[0] || !seen[warmUp] || !seen[warmUp+599*time.Millisecond] || !seen[warmUp+600*time.Millisecond] {
			t.Errorf("%d parts: arrivals are not where they belong", parts)
		}
	}
}

// TestPoisson checks the figures that make a Poisson process: the number of
// arrivals, and that their distances have a standard deviation like their mean.
// The seed makes them the same in every run.
func TestPoisson(t *testing.T) {
	a := &Arrivals{Poisson: true, Steps: Steps{{1000, 20 * time.Second}, {3000, 10 * time.Second}}}
	for _, parts := range []int{1, 3} {
		var got []arrival
		for part := range parts {
			got = append(got, all(newSchedule(a, 0, 7, part, parts))...)
		}
		slices.SortFunc(got, func(a, b arrival) int { return int(a.at - b.at) })
		counts := map[int]float64{}
		var sum, squares float64
		for i, g := range got {
			counts[g.step]++
			if g.step == 1 && i > 0 {
				gap := (g.at - got[i-1].at).Seconds()
				sum += gap
				squares += gap * gap
			}
		}
		// Three standard deviations of the counts are 424 and 520.
		if math.Abs(counts[1]-20000) > 500 || math.Abs(counts[2]-30000) > 600 || len(counts) != 2 {
			t.Errorf("%d parts: %v arrivals in the steps", parts, counts)
		}
		mean := sum / counts[1]
		deviation := math.Sqrt(squares/counts[1] - mean*mean)
		if math.Abs(mean-0.001) > 0.00003 || math.Abs(deviation/mean-1) > 0.05 {
			t.Errorf("%d parts: distances of %v s with a standard deviation of %v", parts, mean, deviation)
		}
	}
	one, again, other := all(newSchedule(a, 0, 7, 0, 1)), all(newSchedule(a, 0, 7, 0, 1)), all(newSchedule(a, 0, 8, 0, 1))
	if !slices.Equal(one, again) || slices.Equal(one, other) {
		t.Error("the seed does not decide")
	}
}

// TestNoWarmUp has no arrivals in a warm-up of nothing.
func TestNoWarmUp(t *testing.T) {
	for _, a := range all(newSchedule(&Arrivals{Steps: Steps{{100, time.Second}}}, 0, 1, 0, 1)) {
		if a.step != 1 {
			t.Errorf("%+v", a)
		}
	}
}
