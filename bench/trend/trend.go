package trend

import (
	"math"
	"slices"
)

const (
	// Blocks is the most blocks that points are put together into: some hundred pairs,
	// and still a dozen blocks in the second half.
	Blocks = 24

	// Least is the least number of points of a verdict: six in the second half, of
	// which Kendall's statistic can be above chance.
	Least = 12

	// confidence is how many standard deviations 95 % are.
	confidence = 1.96
)

// A Slope is how much y changes when x changes by 1, and where the true slope lies
// with a confidence of 95 %.
type Slope struct {
	Median, Low, High float64
}

// Times returns the slope with x in another unit: n times as large.
func (s Slope) Times(n float64) Slope { return Slope{s.Median * n, s.Low * n, s.High * n} }

// Fit returns the slope of points. ok is false if there are fewer than two different
// x. Fewer than about six points have no interval, and then it is infinite.
func Fit(x, y []float64) (s Slope, ok bool) {
	var slopes []float64
	for i := range x {
		for j := range i {
			if x[i] != x[j] {
				slopes = append(slopes, (y[i]-y[j])/(x[i]-x[j]))
			}
		}
	}
	if len(slopes) == 0 {
		return s, false
	}
	slices.Sort(slopes)
	s.Median = median(slopes)
	pairs := float64(len(slopes))
	chance := confidence * math.Sqrt(kendallVariance(y))
	low, high := int(math.Floor((pairs-chance)/2))-1, int(math.Ceil((pairs+chance)/2))
	s.Low, s.High = math.Inf(-1), math.Inf(1)
	if low >= 0 && high < len(slopes) {
		s.Low, s.High = slopes[low], slopes[high]
	}
	return s, true
}

// kendallVariance returns how much Kendall's statistic of y varies by chance, with a
// correction for values that are the same. See Kendall, Rank Correlation Methods.
func kendallVariance(y []float64) float64 {
	term := func(n float64) float64 { return n * (n - 1) * (2*n + 5) }
	v := term(float64(len(y)))
	sorted := slices.Sorted(slices.Values(y))
	for i := 0; i < len(sorted); {
		same := i + 1
		for same < len(sorted) && sorted[same] == sorted[i] {
			same++
		}
		v -= term(float64(same - i))
		i = same
	}
	return v / 18
}

// median returns the median of sorted values, of which there is at least one.
func median(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// A Verdict says whether something grows.
type Verdict string

// The verdicts. See the package's documentation.
const (
	Grows    Verdict = "grows"
	Level    Verdict = "level"
	TooShort Verdict = "too short to say"
)

// A Finding is a verdict, and the slope of the whole series on which it is founded.
// Of a series that is too short the slope may be zero.
type Finding struct {
	Verdict Verdict
	Slope   Slope
}

// Judge says whether y grows with x, which rises. tolerance is by how much it may grow
// from the first point to the last.
func Judge(x, y []float64, tolerance float64) Finding {
	if len(x) < Least {
		return Finding{Verdict: TooShort}
	}
	length := x[len(x)-1] - x[0]
	x, y = blocks(x), blocks(y)
	whole, ok := Fit(x, y)
	half, _ := Fit(x[len(x)/2:], y[len(y)/2:])
	f := Finding{TooShort, whole}
	switch {
	case !ok:
	case whole.Low > 0 && half.Low > 0 && whole.Median*length > tolerance:
		f.Verdict = Grows
	case min(whole.High, half.High)*length <= tolerance:
		f.Verdict = Level
	}
	return f
}

// blocks puts neighbours together: their medians, of which there are at most [Blocks].
func blocks(values []float64) []float64 {
	n := min(Blocks, len(values))
	all := make([]float64, n)
	for i := range all {
		part := values[len(values)*i/n : len(values)*(i+1)/n]
		all[i] = median(slices.Sorted(slices.Values(part)))
	}
	return all
}
