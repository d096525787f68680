package suite

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestGrid(t *testing.T) {
	g := newGrid(1000, 64000, 0.05)
	if g.perDouble != 16 || g.last != 96 || g.rate(0) != 1000 || g.rate(16) != 2000 || g.rate(96) != 64000 {
		t.Errorf("%+v: %v %v %v", g, g.rate(0), g.rate(16), g.rate(96))
	}
	if ratio := g.rate(50) / g.rate(49); math.Abs(ratio-1-g.resolution) > 0.001 || g.resolution > 0.05 {
		t.Errorf("%v, %v", ratio, g.resolution)
	}
	if g := newGrid(5, 5, 1); g.last != 0 || g.rate(0) != 5 {
		t.Errorf("one rate: %+v", g)
	}
	if g := newGrid(1000, 1.5e7, 0.5); g.rate(g.last) != 1e7 {
		t.Errorf("beyond the largest rate: %v", g.rate(g.last))
	}
}

// simulate runs a search on a server whose runs have outcomes.
func simulate(t *testing.T, g grid, tries int, run func(rate float64) outcome) (*search, bracket, int) {
	t.Helper()
	s := &search{grid: g, tries: tries, votes: map[int]*votes{}}
	for runs := 0; ; runs++ {
		index, b, more := s.next()
		if !more {
			return s, b, runs
		}
		if index < 0 || index > g.last || runs > 1000 {
			t.Fatalf("run %d at %d of %d", runs, index, g.last)
		}
		s.add(index, run(g.rate(index)))
	}
}

// limit has a server whose runs hold up to a rate.
func limit(rate float64) func(float64) outcome {
	return func(r float64) outcome {
		if r <= rate {
			return held
		}
		return missed
	}
}

func TestSearch(t *testing.T) {
	g := newGrid(1000, 1e6, 0.05)
	for _, rate := range []float64{1000, 1001, 1999, 2000, 33_333, 500_000, 999_999} {
		s, b, runs := simulate(t, g, 5, limit(rate))
		if b.low != b.holds || b.high != b.misses || b.misses != b.holds+1 || g.rate(b.holds) > rate || g.rate(b.misses) <= rate || b.bound {
			t.Errorf("%v: %+v", rate, b)
		}
		// Ten doublings and four halvings of three runs, and two more at both ends.
		if runs > 3*15+4 {
			t.Errorf("%v: %d runs", rate, runs)
		}
		if v := s.votes[b.holds]; v.held != 5 {
			t.Errorf("%v: %+v", rate, v)
		}
	}
}

// TestSearchEnds has searches that end at an end of the grid.
func TestSearchEnds(t *testing.T) {
	g := newGrid(1000, 8000, 0.5)
	if _, b, runs := simulate(t, g, 5, limit(1)); b.holds != -1 || b.misses != 0 || b.bound || runs != 3 {
		t.Errorf("the lowest misses: %+v, %d runs", b, runs)
	}
	if _, b, _ := simulate(t, g, 5, limit(1e9)); b.holds != g.last || b.misses != g.last+1 || b.low != g.last || b.bound {
		t.Errorf("the highest holds: %+v", b)
	}
	always := func(float64) outcome { return late }
	if _, b, runs := simulate(t, g, 5, always); b.holds != -1 || !b.bound || runs != 3 {
		t.Errorf("the generator is late at the lowest: %+v, %d runs", b, runs)
	}
}

// TestSearchBound has a generator that is late before the server is at its limit.
func TestSearchBound(t *testing.T) {
	g := newGrid(1000, 1e6, 0.05)
	_, b, _ := simulate(t, g, 5, func(rate float64) outcome {
		if rate > 20_000 {
			return late
		}
		return held
	})
	if !b.bound || g.rate(b.holds) > 20_000 || g.rate(b.misses) <= 20_000 || b.low != b.holds || b.high <= g.last {
		t.Errorf("%+v", b)
	}
}

// TestSearchNoise has one wrong run at every rate, which must not matter, and runs that
// say nothing.
func TestSearchNoise(t *testing.T) {
	g := newGrid(1000, 1e6, 0.05)
	seen := map[float64]int{}
	_, b, _ := simulate(t, g, 5, func(rate float64) outcome {
		seen[rate]++
		right := limit(33_333)(rate)
		switch {
		case seen[rate] == 1 && rate > 20_000 && rate < 50_000:
			return held + missed - right
		case seen[rate] == 2:
			return late
		}
		return right
	})
	if g.rate(b.holds) > 33_333 || g.rate(b.misses) <= 33_333 {
		t.Errorf("%+v: %v-%v", b, g.rate(b.holds), g.rate(b.misses))
	}
	if g.rate(b.low) > 20_000 || g.rate(b.high) < 50_000 {
		t.Errorf("the interval is %v-%v, and between 20,000 and 50,000 runs differ", g.rate(b.low), g.rate(b.high))
	}
}

// TestSearchCoverage counts how often the interval holds the rate at which half of the
// runs hold, where that share falls smoothly.
func TestSearchCoverage(t *testing.T) {
	g := newGrid(1000, 1e6, 0.05)
	random := rand.New(rand.NewPCG(1, 2))
	const trials, half = 500, 40_000.0
	outside := 0
	for range trials {
		_, b, _ := simulate(t, g, 5, func(rate float64) outcome {
			if random.Float64() < 1/(1+math.Pow(rate/half, 12)) {
				return held
			}
			return missed
		})
		if b.low < 0 || b.high > g.last || g.rate(b.low) > half || g.rate(b.high) < half {
			outside++
		}
	}
	// One of 32 at each end, or 31 in all.
	if outside > 50 {
		t.Errorf("%d of %d intervals do not hold the rate", outside, trials)
	}
}
