package report

import (
	"math/rand/v2"
	"testing"
)

func TestIntervalOf(t *testing.T) {
	if i := IntervalOf(nil); i != nil || i.String() != "-" {
		t.Errorf("of nothing: %v", i)
	}
	if i := IntervalOf([]float64{3, 1, 2}); *i != (Interval{2, 1, 3}) {
		t.Errorf("of three: %v", i)
	}
	var hundred []float64
	for i := range 100 {
		hundred = append(hundred, float64(100-i))
	}
	// The binomial distribution with n = 100 has 95 % between 40 and 60.
	if i := IntervalOf(hundred); *i != (Interval{50.5, 40, 61}) {
		t.Errorf("of a hundred: %v", i)
	}
}

// TestIntervalCovers draws samples of a skewed distribution whose median is known
// and counts how often the interval has it.
func TestIntervalCovers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const tries, median = 2000, 0.25 // of the square of a uniform number
	covered := 0
	for range tries {
		values := make([]float64, 30)
		for i := range values {
			u := random.Float64()
			values[i] = u * u
		}
		if i := IntervalOf(values); i.Low <= median && median <= i.High {
			covered++
		}
	}
	if share := float64(covered) / tries; share < 0.95 || share > 0.99 {
		t.Errorf("%.3f of the intervals have the median", share)
	}
}
