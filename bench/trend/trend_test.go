package trend

import (
	"math"
	"math/rand/v2"
	"testing"
)

// series returns n points of f at 0, 1, …
func series(n int, f func(i float64) float64) (x, y []float64) {
	for i := range n {
		x = append(x, float64(i))
		y = append(y, f(float64(i)))
	}
	return x, y
}

func TestFit(t *testing.T) {
	x, y := series(20, func(i float64) float64 { return 3*i + 7 })
	if s, ok := Fit(x, y); !ok || s != (Slope{3, 3, 3}) {
		t.Errorf("a line: %+v", s)
	}
	y[3], y[11] = 1e9, -1e9
	if s, _ := Fit(x, y); s.Median != 3 || s.Low > 3 || s.High < 3 || s.High-s.Low > 1 {
		t.Errorf("a line with outliers: %+v", s)
	}
	x, y = series(20, func(float64) float64 { return 5 })
	if s, ok := Fit(x, y); !ok || s != (Slope{}) {
		t.Errorf("a constant: %+v", s)
	}
	if s, ok := Fit([]float64{1, 2, 3}, []float64{1, 2, 4}); !ok || !math.IsInf(s.Low, -1) || !math.IsInf(s.High, 1) {
		t.Errorf("three points: %+v", s)
	}
	if _, ok := Fit([]float64{1, 1}, []float64{2, 3}); ok {
		t.Error("one x")
	}
	if s := (Slope{1, 2, 3}).Times(10); s != (Slope{10, 20, 30}) {
		t.Errorf("%+v", s)
	}
}

// TestFitCoverage counts how often the interval holds the true slope.
func TestFitCoverage(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const trials = 2000
	missed := 0
	for range trials {
		x, y := series(24, func(i float64) float64 { return 2*i + 10*random.NormFloat64() })
		if s, _ := Fit(x, y); s.Low > 2 || s.High < 2 {
			missed++
		}
	}
	// 5 % of 2000 are 100, with a standard deviation of 10.
	if missed > 140 || missed < 50 {
		t.Errorf("the true slope is outside of %d intervals of %d", missed, trials)
	}
}

func TestJudge(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	noise := func() float64 { return 10 * random.NormFloat64() }
	for _, tt := range []struct {
		name string
		n    int
		f    func(i float64) float64
		want Verdict
	}{
		{"level with noise", 200, func(float64) float64 { return noise() }, Level},
		{"constant", 12, func(float64) float64 { return 7 }, Level},
		{"a leak", 200, func(i float64) float64 { return i + noise() }, Grows},
		{"a leak in steps", 200, func(i float64) float64 { return 20 * math.Floor(i/20) }, Grows},
		{"a leak under a sawtooth", 200, func(i float64) float64 { return i + 100*math.Mod(i/3, 1) }, Grows},
		{"a sawtooth", 200, func(i float64) float64 { return 40 * math.Mod(i/3, 1) }, Level},
		{"one step early", 200, func(i float64) float64 { return 100 * min(1, math.Floor(i/60)) }, Level},
		{"one step late, which may be the first of many", 200, func(i float64) float64 { return 100 * math.Floor(i/150) }, TooShort},
		{"it fills and stays", 200, func(i float64) float64 { return 100 * (1 - math.Exp(-i/20)) }, Level},
		{"less than the tolerance", 200, func(i float64) float64 { return i / 10 }, Level},
		{"it falls", 200, func(i float64) float64 { return -i }, Level},
		{"too few points", 11, func(i float64) float64 { return i * 100 }, TooShort},
		{"too much noise", 12, func(float64) float64 { return 100 * noise() }, TooShort},
	} {
		x, y := series(tt.n, tt.f)
		if f := Judge(x, y, 50); f.Verdict != tt.want {
			t.Errorf("%s: %+v", tt.name, f)
		}
	}
}

// TestJudgeAlarms counts false alarms where neighbours resemble each other: a sum that
// forgets a fifth of itself at each step.
func TestJudgeAlarms(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	const trials = 500
	alarms := 0
	for range trials {
		state := 0.0
		x, y := series(240, func(float64) float64 {
			state = 0.8*state + random.NormFloat64()
			return state
		})
		if Judge(x, y, 0).Verdict == Grows {
			alarms++
		}
	}
	// 2.5 % of each of two intervals that overlap would be 1 %.
	if alarms > trials/50 {
		t.Errorf("%d alarms in %d series that do not grow", alarms, trials)
	}
}
