package report

import (
	"math"
	"testing"

	"credrpc/bench/load"
)

// TestPair has noise that halves everything in the second round: it is in the
// figures and not in the ratios.
func TestPair(t *testing.T) {
	r := example(t)
	batch := r.Loads[0]
	r.Runs[3].Failed, r.Runs[3].FirstError = 2, "reset" // of the eventloop in the first round
	p, err := r.Pair("eventloop", KindReference, batch)
	if err != nil || p == nil {
		t.Fatal(p, err)
	}
	if p.Rounds != 2 || p.Errors != 2 || p.FirstError != "reset" || p.Server != "eventloop" || p.Against != KindReference || p.Load != batch {
		t.Errorf("%+v", p)
	}
	if *p.CallsPerSecond != (Spread{67500, 45000, 90000}) {
		t.Errorf("calls/s: %v", p.CallsPerSecond)
	}
	about := func(what string, i *Interval, low, high float64) {
		t.Helper()
		if i == nil || math.Abs(i.Low-low) > 0.01 || math.Abs(i.High-high) > 0.01 {
			t.Errorf("%s: %v, want %v to %v", what, i, low, high)
		}
	}
	about("throughput", p.Throughput, 2.25, 2.25)
	about("p50", p.P50, 40./90, 40./90)
	about("p99", p.P99, 40./90, 40./90)
	about("processor time", p.CPU, 40./90, 40./90)
	// 0.9 s for 90,000 calls is 10 µs each, for 40,000 is 22.5; then twice as many.
	about("processor time more", p.ServerMore, 2*(10-22.5), 10-22.5)
	if p.Latency.P50 <= 0 || p.Latency.Max <= p.Latency.P50 {
		t.Errorf("latency of both rounds: %+v", p.Latency)
	}
}

func TestPairOfNothing(t *testing.T) {
	r := example(t)
	batch := r.Loads[0]
	if p, err := r.Pair("other", KindReference, batch); p != nil || err != nil {
		t.Errorf("a server that did not run: %+v, %v", p, err)
	}
	if p, err := r.Pair("eventloop", KindReference, load.Load{Batch: 7, Callers: 7}); p != nil || err != nil {
		t.Errorf("a load that nobody had: %+v, %v", p, err)
	}
	for _, against := range []string{"", "other"} {
		p, err := r.Pair("eventloop", against, batch)
		if err != nil || p == nil || p.CallsPerSecond == nil || p.Throughput != nil || p.ServerMore != nil || p.P99.String() != "-" {
			t.Errorf("against %q: %+v, %v", against, p, err)
		}
	}
	r.Runs[0].Histogram = "broken"
	if p, err := r.Pair("floor-1", "", batch); err == nil {
		t.Errorf("a broken histogram: %+v", p)
	}
}
