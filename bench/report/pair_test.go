package report

import (
	"math"
	"testing"

	"credrpc/bench/load"

	"github.com/HdrHistogram/hdrhistogram-go"
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

// TestNothingAnswered has a server that answers nothing in one round of seven, where its
// processor time was not looked at either: it is no faster and no cheaper for that.
func TestNothingAnswered(t *testing.T) {
	l := load.Load{Batch: 1, Callers: 1}
	r := &Report{Loads: []load.Load{l}, Servers: []Server{{Name: "a", Kind: KindFloor}, {Name: "b", Kind: "b", Against: "a"}}}
	h, err := hdrhistogram.New(1, 1000, 3).Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 7 {
		for _, name := range []string{"a", "b"} {
			run := Run{Server: name, Round: round, ServerUserSeconds: 1}
			run.Load, run.Calls, run.CallsPerSecond, run.Histogram = l, 1000, 1000, string(h)
			run.Latency = load.Latency{P50: 10, P99: 20, Max: 30}
			if name == "b" && round == 3 {
				run.Calls, run.CallsPerSecond, run.Latency, run.ServerUserSeconds, run.Failed = 0, 0, load.Latency{}, 0, 9
			}
			r.Runs = append(r.Runs, run)
		}
	}
	if err := r.Summarise(); err != nil {
		t.Fatal(err)
	}
	p := r.Pairs[1]
	for name, i := range map[string]*Interval{"p50": p.P50, "p99": p.P99, "CPU": p.CPU, "p50 by the floor's": r.Summaries[1].P50TimesFloor} {
		if i.Min != 1 || i.Values != 6 {
			t.Errorf("%s: %+v", name, i)
		}
	}
	if p.Throughput.Min != 0 || p.Throughput.Values != 7 || p.ServerMore.Min != 0 || p.ServerMore.Values != 6 {
		t.Errorf("throughput %+v, more %+v", p.Throughput, p.ServerMore)
	}
}
