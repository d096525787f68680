package report

import (
	"slices"
	"testing"

	"credrpc/bench/load"
	"credrpc/bench/measure"
)

// figure returns the figure of a name.
func figure(t *testing.T, name string) Figure {
	t.Helper()
	for _, f := range Figures() {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("no figure %q", name)
	return Figure{}
}

// TestFigures takes each from a run that has all of them, and one from a run that has
// none.
func TestFigures(t *testing.T) {
	full := Run{ServerUserSeconds: 0.25, ServerSystemSeconds: 0.75, Process: &measure.Usage{MemoryAfter: measure.Memory{RSS: 1 << 20}}}
	full.Calls, full.Failed, full.Refused, full.CallsPerSecond = 90, 6, 4, 45
	full.Latency, full.ServiceTime = load.Latency{P50: 1, P90: 2, P99: 3, P999: 4, Max: 5}, load.Latency{P50: 6, P90: 7, P99: 8, P999: 9, Max: 10}
	full.Offered = &load.Offered{PerSecond: 50}
	full.UserSeconds, full.SystemSeconds = 0.5, 1.5
	want := map[string]float64{"throughput": 45, "offered": 50, "p50": 1, "p90": 2, "p99": 3, "p99.9": 4, "max": 5,
		"service.p50": 6, "service.p90": 7, "service.p99": 8, "service.p99.9": 9, "service.max": 10,
		"cpu": 10_000, "user": 2500, "system": 7500, "callers.cpu": 20_000, "rss": 1 << 20, "errors": 10, "error_rate": 0.1}
	empty := map[string]bool{"throughput": true, "max": true, "service.max": true, "errors": true, "error_rate": true}
	for _, f := range Figures() {
		if got, ok := f.Of(&full); !ok || got != want[f.Name] {
			t.Errorf("%s: %v, %v", f.Name, got, ok)
		}
		if got, ok := f.Of(new(Run)); ok != empty[f.Name] || got != 0 {
			t.Errorf("%s of a run that has nothing: %v, %v", f.Name, got, ok)
		}
		delete(want, f.Name)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}

// TestFigureOver has rounds of which one has most of the errors and the longest time.
func TestFigureOver(t *testing.T) {
	runs := make([]Run, 4)
	for i := range runs {
		runs[i].Calls, runs[i].CallsPerSecond = 100, float64(10*i)
		runs[i].Latency = load.Latency{P99: float64(10 * i), Max: 1}
	}
	runs[1].Calls, runs[1].Failed, runs[1].Latency.Max = 20, 80, 1000
	runs[0].Latency = load.Latency{} // without a time
	for name, want := range map[string]float64{"throughput": 15, "p99": 20, "max": 1000, "errors": 80, "error_rate": 0.2} {
		f := figure(t, name)
		if got, ok := f.Over(runs); !ok || got != want {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
		if f.Rounds() != slices.Contains([]string{"throughput", "p99"}, name) {
			t.Errorf("%s: of each round %v", name, f.Rounds())
		}
		if _, ok := f.Over(nil); ok {
			t.Errorf("%s of no rounds", name)
		}
	}
	p99, rss := figure(t, "p99"), figure(t, "rss")
	if values := p99.Values(runs); !slices.Equal(values, []float64{10, 20, 30}) {
		t.Errorf("%v", values)
	}
	if _, ok := rss.Over(runs); ok {
		t.Error("memory of runs that do not have it")
	}
}
