package suite

import (
	"slices"
	"strings"
	"testing"

	"credrpc/bench/load"
	"credrpc/bench/objective"
	"credrpc/bench/report"
)

// config looks for the highest rate with a p99 below a millisecond.
func config(t *testing.T) *FindMaxConfig {
	t.Helper()
	o, err := objective.Parse("p99<1ms")
	if err != nil {
		t.Fatal(err)
	}
	return &FindMaxConfig{Objective: o, Tries: 5}
}

// TestFindMaxJudge has runs in which the generator was late, or busy, or neither.
func TestFindMaxJudge(t *testing.T) {
	for _, tt := range []struct {
		name        string
		p99, pacing float64
		failed      uint64
		bottleneck  report.Bottleneck
		want        outcome
	}{
		{"it holds", 900, 10, 0, report.BoundByServer, held},
		{"it holds although the generator is late", 900, 800, 0, report.BoundByGenerator, held},
		{"it misses", 1100, 500, 0, report.BoundByServer, missed},
		{"it misses, half of it pacing error", 1100, 600, 0, report.BoundByGenerator, late},
		{"the same without a known process", 1100, 600, 0, "", late},
		{"it misses, and the generator is busy", 1100, 10, 0, report.BoundByGenerator, late},
		{"errors are not the generator's", 1100, 600, 1, report.BoundByGenerator, missed},
		{"cores are short", 1100, 10, 0, report.BoundByCores, missed},
	} {
		run := report.Run{Bottleneck: tt.bottleneck, Result: load.Result{Offered: &load.Offered{Scheduled: 10_000}}}
		run.Calls, run.Failed = 10_000-tt.failed, tt.failed
		run.Latency.P99, run.Offered.PacingError.P99 = tt.p99, tt.pacing
		if got, err := config(t).judge(&run); got != tt.want || err != nil {
			t.Errorf("%s: %v, %v", tt.name, got, err)
		}
	}
}

// TestFindMaxConclude has what is said of every kind of end.
func TestFindMaxConclude(t *testing.T) {
	c := config(t)
	g := newGrid(1000, 4000, 0.5) // 1000 1414 2000 2828 4000
	of := func(name string, f bracket, ended bool) *candidate {
		return &candidate{target: &target{variant: variant{Server: report.Server{Name: name}}}, search: search{grid: g, tries: 5}, found: f, ended: ended}
	}
	for _, tt := range []struct {
		found bracket
		ended bool
		want  string
	}{
		{bracket{holds: 1, misses: 2, low: 0, high: 3}, true,
			"s: 1414 calls/s (1000-2828) is the highest rate at which most runs hold p99<1ms; rates are 41.4 % apart. At 1000 calls/s all of 5 runs held, at 2828 none."},
		{bracket{holds: 1, misses: 2, low: -1, high: 5}, true,
			"s: 1414 calls/s (?-?) is the highest rate at which most runs hold p99<1ms; rates are 41.4 % apart. There is no rate at which all of 5 runs held."},
		{bracket{holds: 1, misses: 2, bound: true, low: 1, high: 5}, true,
			"s: at least 1414 calls/s hold p99<1ms. At 2000 calls/s the load generator was late or busy in most runs and is the limit; what the server can do is not known. At 1414 calls/s all of 5 runs held."},
		{bracket{holds: 4, misses: 5, low: 3, high: 5}, true, "s: 4000 calls/s, the highest rate that was asked for, hold p99<1ms. At 2828 calls/s all of 5 runs held."},
		{bracket{holds: -1, misses: 0, low: -1, high: 5}, true, "s: misses p99<1ms even at 1000 calls/s, the lowest rate."},
		{bracket{holds: -1, misses: 0, bound: true, low: -1, high: 5}, true,
			"s: no answer: at 1000 calls/s, the lowest rate, the load generator was late or busy in most runs. It needs cores of its own, or a lower rate."},
		{bracket{holds: 2, misses: 4, low: -1, high: 5}, false, "s: not finished; the rate is between 2000 and 4000 calls/s."},
		{bracket{holds: 2, misses: 5, low: -1, high: 5}, false, "s: not finished; most runs at 2000 calls/s held."},
		{bracket{holds: -1, misses: 0, low: -1, high: 5}, false, "s: not finished; most runs at 1000 calls/s did not hold."},
	} {
		if got := c.conclude([]*candidate{of("s", tt.found, tt.ended)}); len(got) != 1 || got[0] != tt.want {
			t.Errorf("%+v:\n%q\n%q", tt.found, got, tt.want)
		}
	}
	slow, quick := of("slow", bracket{holds: 0, misses: 1, low: 0, high: 1}, true), of("quick", bracket{holds: 2, misses: 3, low: 2, high: 3}, true)
	wide := of("wide", bracket{holds: 1, misses: 2, low: 0, high: 4}, true)
	said := c.conclude([]*candidate{slow, quick, wide})
	for _, want := range []string{"quick beside slow: 2.00 times the rate, and the intervals are apart.",
		"wide beside slow: 1.41 times the rate, but the intervals overlap, so no difference is shown."} {
		if !slices.Contains(said, want) {
			t.Errorf("%q is missing in %q", want, said)
		}
	}
	if err := c.without([]*candidate{slow, of("s", bracket{holds: -1}, true)}); err == nil || !strings.Contains(err.Error(), "s, p99<1ms") {
		t.Errorf("%v", err)
	}
}
