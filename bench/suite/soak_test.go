package suite

import (
	"math"
	"slices"
	"strings"
	"testing"

	"credrpc/bench/load"
	"credrpc/bench/measure"
	"credrpc/bench/report"
	"credrpc/bench/trend"
)

// soaked returns samples a minute apart, with 1000 calls each, of a server whose memory
// and descriptors are functions of the minute.
func soaked(n int, rss func(minute int) uint64, descriptors func(minute int) int) *report.Report {
	r := &report.Report{}
	for i := range n {
		run := report.Run{At: float64(60 * i), Process: &measure.Usage{ThreadsAfter: 9, DescriptorsAfter: descriptors(i)}}
		run.Process.MemoryAfter.RSS = rss(i)
		run.Calls, run.Latency = 1000, load.Latency{P99: 100}
		r.Runs = append(r.Runs, run)
	}
	return r
}

func TestGrowth(t *testing.T) {
	c := SoakConfig{Samples: 60, WarmUp: 0.2}
	r := soaked(60, func(i int) uint64 {
		if i < 12 {
			return uint64(i) << 20 // the warm-up
		}
		return 50<<20 + uint64(i)*1000*1024 // a KiB a call
	}, func(i int) int { return 20 + i%3 })
	grown := c.growth(r)
	of := func(what string) Growth {
		i := slices.IndexFunc(grown, func(g Growth) bool { return g.What == what })
		if i < 0 {
			t.Fatalf("no %s", what)
		}
		return grown[i]
	}
	if g := of("RSS"); g.Verdict != trend.Grows || g.PerCall.Median != 1024 || math.Abs(g.PerHour.Median-60*1000*1024) > 1 || !g.leaks() {
		t.Errorf("%+v", g)
	}
	if g := of("descriptors"); g.Verdict != trend.Level || g.leaks() || g.Unseen < 10 || g.Unseen > 11 {
		t.Errorf("%+v", g)
	}
	if g := of("p99"); g.Verdict != "" || g.leaks() || g.First != 100 {
		t.Errorf("%+v", g)
	}
	if slices.ContainsFunc(grown, func(g Growth) bool { return g.What == "PSS" }) {
		t.Error("PSS is not known")
	}
	said := c.conclude(grown, nil, false, r)
	for _, want := range []string{"RSS: grows by 58.6 MiB an hour (95 %: 58.6 MiB to 58.6 MiB), 1.0 KiB a call (1.0 KiB to 1.0 KiB).",
		"descriptors: level; in so short a time a growth of less than 10.2 an hour does not show."} {
		if !slices.Contains(said, want) {
			t.Errorf("%q is missing in %q", want, said)
		}
	}
	r.Runs = r.Runs[:20]
	if said := strings.Join(c.conclude(c.growth(r), nil, false, r), " "); strings.Contains(said, "grows by") || !strings.Contains(said, "RSS: too short to say; a verdict needs 12 samples after the warm-up (more --minutes, or a shorter --every).") {
		t.Errorf("8 samples: %q", said)
	}
	r.Runs = r.Runs[:5]
	if grown := c.growth(r); grown != nil {
		t.Errorf("only the warm-up: %+v", grown)
	}
}

// TestLetIn counts who was answered and must not be.
func TestLetIn(t *testing.T) {
	r := &report.Report{Runs: make([]report.Run, 2)}
	for i := range r.Runs {
		r.Runs[i].Hostile = []load.HostileResult{{Misdeed: load.Slow, Attempts: 5, Answered: 5}, {Misdeed: load.Spliced, Attempts: 10, Answered: uint64(i)}, {Misdeed: load.Denied, Attempts: 10}}
	}
	for server, want := range map[string]uint64{Eventloop: 1, EventloopOnLoop: 1, Reference: 0, "": 0} {
		c := &SoakConfig{Scenario: Scenario{Server: server}}
		if n, attempts := c.letIn(r); n != want || (attempts == 40) != (want > 0) {
			t.Errorf("%q: %d of %d", server, n, attempts)
		}
	}
}

func TestFaults(t *testing.T) {
	var f Faults
	if err := f.UnmarshalText([]byte("stop,all")); err != nil || f.String() != "stop,reload,replace,damage,stop,descriptors" {
		t.Errorf("%v, %v", f, err)
	}
	if err := f.UnmarshalText(nil); err != nil || f != nil {
		t.Errorf("%v, %v", f, err)
	}
	if got := faultsMet(map[Fault]int{FaultStop: 2, FaultReload: 1}); got != "reload 1 times, stop 2 times" {
		t.Error(got)
	}
}

func TestBytesText(t *testing.T) {
	for n, want := range map[float64]string{-3 << 30: "-3.00 GiB", 1.5 * (1 << 20): "1.5 MiB", 2048: "2.0 KiB", 3.25: "3.25 bytes", 0: "0 bytes"} {
		if got := bytesText(n); got != want {
			t.Errorf("%v: %s", n, got)
		}
	}
}
