package changes

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"credrpc/bench/report"

	"github.com/aclements/go-moremath/stats"
)

// exactRounds is up to how many rounds in a file the distribution of the test is
// computed, which takes milliseconds for 50; beyond, it is nearly normal. The test
// itself does the same.
const exactRounds = 50

// shift returns the median of all ratios of a new value to an old one, and the
// interval of ratios that the test does not reject. Low and high are 0 if there are
// too few values, or if one is not above 0.
func (t tails) shift(old, now []float64, alpha float64) (median, low, high float64) {
	var ratios []float64
	for _, b := range now {
		for _, a := range old {
			if a <= 0 || b <= 0 {
				return 0, 0, 0
			}
			ratios = append(ratios, b/a)
		}
	}
	slices.Sort(ratios)
	median = report.SpreadOf(ratios).Median
	outside := t.of(len(old), len(now), alpha)
	if outside == 0 {
		return median, 0, 0
	}
	return median, ratios[outside-1], ratios[len(ratios)-outside]
}

// tails remembers how many values of U are at the ends of its distributions, by the
// sizes of the samples.
type tails map[[2]int]int

// of returns how many values of U at either end are together improbable: at most
// alpha.
func (t tails) of(n, m int, alpha float64) int {
	outside, known := t[[2]int{n, m}]
	switch {
	case known:
	case max(n, m) > exactRounds:
		normal := stats.NormalDist{Mu: float64(n*m) / 2, Sigma: math.Sqrt(float64(n*m) * float64(n+m+1) / 12)}
		outside = max(0, int(math.Floor(normal.InvCDF(alpha/2)-0.5))+1)
	default:
		u := stats.UDist{N1: n, N2: m}
		outside = sort.Search(n*m/2, func(value int) bool { return u.CDF(float64(value)) > alpha/2 })
	}
	t[[2]int{n, m}] = outside
	return outside
}

// leastP is the p of samples of which every new value is above every old one.
func leastP(n, m int) float64 {
	all, _ := math.Lgamma(float64(n + m + 1))
	old, _ := math.Lgamma(float64(n + 1))
	now, _ := math.Lgamma(float64(m + 1))
	return min(1, 2*math.Exp(old+now-all))
}

// enough reports whether n and m rounds can show a difference among some figures.
func enough(n, m int, alpha float64, figures int) bool {
	return min(n, m) >= report.MinRounds && leastP(n, m) < alpha/float64(figures)
}

// holm sets the corrected p and the verdict of each change.
func (r *Result) holm() {
	order := make([]*Change, len(r.Changes))
	for i := range r.Changes {
		order[i] = &r.Changes[i]
	}
	slices.SortStableFunc(order, func(a, b *Change) int { return cmp.Compare(a.P, b.P) })
	corrected := 0.0
	for i, c := range order {
		corrected = max(corrected, min(1, c.P*float64(len(order)-i)))
		c.HolmP = corrected
		c.Verdict = Unknown
		if corrected >= r.Alpha || !enough(c.OldRounds, c.NewRounds, r.Alpha, len(order)) {
			continue
		}
		c.Verdict = Worse
		if more := c.Ratio > 1 || c.Ratio == 0 && c.New > c.Old; more == c.HigherBetter {
			c.Verdict = Better
		}
	}
}
