package report

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// upTo returns the numbers from n down to 1.
func upTo(n int) (values []float64) {
	for i := range n {
		values = append(values, float64(n-i))
	}
	return values
}

// TestIntervalOf compares with the binomial distribution: that of 100 coins has
// 96.5 % from 40 to 60, and 94.3 % from 41 to 59.
func TestIntervalOf(t *testing.T) {
	if i := IntervalOf(nil); i != nil || i.String() != "-" {
		t.Errorf("of nothing: %v", i)
	}
	tests := []struct {
		n                             int
		median, low, high, confidence float64
	}{
		{1, 1, 1, 1, 0},
		{3, 2, 1, 3, 0.75},
		{5, 3, 1, 5, 0.9375},
		{6, 3.5, 1, 6, 1 - 2./64},
		{8, 4.5, 1, 8, 1 - 2./256},
		{9, 5, 2, 8, 1 - 20./512},
		{15, 8, 4, 12, 0.9648},
		{100, 50.5, 40, 61, 0.9648},
		{3000, 1500.5, 1446, 1555, 0.9534},
	}
	for _, tt := range tests {
		i := IntervalOf(upTo(tt.n))
		if i.Median != tt.median || i.Low != tt.low || i.High != tt.high || i.Min != 1 || i.Max != float64(tt.n) || i.Values != tt.n || math.Abs(i.Confidence-tt.confidence) > 0.0001 {
			t.Errorf("of %d: %+v", tt.n, *i)
		}
	}
}

func TestVerdict(t *testing.T) {
	const less, more = 0.9, 1.1
	tests := []struct {
		name   string
		ratios []float64
		want   Verdict
		text   string
	}{
		{"no rounds", nil, "", "-"},
		{"five rounds that agree", []float64{less, less, less, less, less}, TooFew, "? 0.900 (0.900-0.900)"},
		{"six that agree", []float64{less, less, less, less, less, less}, Less, "0.900 (0.900-0.900)"},
		{"six that agree on more", []float64{more, more, more, more, more, more}, More, "1.100 (1.100-1.100)"},
		{"five of six", []float64{more, less, less, less, less, less}, NoDifference, "~ 0.900 (0.900-1.100)"},
		{"eight of nine", []float64{more, less, less, less, less, less, less, less, less}, Less, "0.900 (0.900-0.900)"},
		{"six that agree but for one that is equal", []float64{1, less, less, less, less, less}, NoDifference, "~ 0.900 (0.900-1.000)"},
		{"with itself", []float64{1, 1, 1, 1, 1, 1, 1}, NoDifference, "1"},
	}
	for _, tt := range tests {
		i := RatioOf(tt.ratios)
		if i.String() != tt.text || i != nil && i.Verdict != tt.want {
			t.Errorf("%s: %v, %+v", tt.name, i, i)
		}
		var differences []float64
		for _, r := range tt.ratios {
			differences = append(differences, r-1)
		}
		if d := DifferenceOf(differences); d != nil && d.Verdict != tt.want {
			t.Errorf("%s, as a difference: %+v", tt.name, d)
		}
	}
}

func TestLegend(t *testing.T) {
	itself, few, none := RatioOf([]float64{1, 1}), RatioOf([]float64{1, 2}), RatioOf(upTo(9)).judged(5)
	if lines := Legend([]*Interval{nil, itself, RatioOf(upTo(9)).judged(0)}); len(lines) != 1 || !strings.HasPrefix(lines[0], "Of 1 intervals up to 0.1 ") {
		t.Errorf("%q", lines)
	}
	if lines := Legend([]*Interval{few, none}); len(lines) != 3 || lines[0][0] != '~' || lines[1][0] != '?' {
		t.Errorf("%q", lines)
	}
}

// TestIntervalCovers draws samples of a skewed distribution whose median is known
// and counts how often the interval has it.
func TestIntervalCovers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const tries, median = 2000, 0.25 // of the square of a uniform number
	for _, n := range []int{6, 9, 30} {
		covered, more, less := 0, 0, 0
		var confidence float64
		for range tries {
			values := make([]float64, n)
			for i := range values {
				u := random.Float64()
				values[i] = u * u / median
			}
			i := RatioOf(values)
			confidence = i.Confidence
			switch i.Verdict {
			case NoDifference:
				covered++
			case More:
				more++
			case Less:
				less++
			}
		}
		if share := float64(covered) / tries; math.Abs(share-confidence) > 0.02 || more+less+covered != tries || more == 0 || less == 0 {
			t.Errorf("of %d: %.3f of the intervals have the median, want %.3f; %d are above, %d below", n, share, confidence, more, less)
		}
	}
}
