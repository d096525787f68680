package page

import (
	"math"
	"testing"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/measure"
	"credrpc/bench/report"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// encoded returns a histogram of n latencies around one, with a tail.
func encoded(t testing.TB, n int, around time.Duration) (string, load.Latency) {
	t.Helper()
	h := hdrhistogram.New(64, int64(10*time.Second), 1)
	for i := range n {
		part := (float64(i) + 0.5) / float64(n)
		if err := h.RecordValue(int64(float64(around) * (0.7 + 0.3/math.Sqrt(1-part)))); err != nil {
			t.Fatal(err)
		}
	}
	text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), load.LatencyOf(h)
}

// sampleServers are those of sample reports, the slowest last.
func sampleServers() []report.Server {
	return []report.Server{
		{Name: "floor-1", Kind: report.KindFloor, Cores: 1, Checks: report.CheckCalls},
		{Name: "floor-2", Kind: report.KindFloor, Cores: 2, Checks: report.CheckCalls},
		{Name: "eventloop", Kind: "eventloop", Cores: 1, Checks: report.CheckCalls},
		{Name: "grpc", Kind: "grpc", Cores: 2, Checks: report.CheckConnections},
		{Name: "reference", Kind: report.KindReference, Cores: 2, Checks: report.CheckCalls},
	}
}

// sampleRun is a run of the nth server. slower is by how much than it could be.
func sampleRun(t testing.TB, s report.Server, nth, round int, l load.Load, slower float64) report.Run {
	t.Helper()
	noise := 1 + 0.1*float64((7*nth+5*round)%4)
	perCall := time.Duration(float64(10*time.Microsecond) * (1 + 0.7*float64(nth)) * slower * noise)
	r := report.Run{Server: s.Name, Round: round, ServerUserSeconds: 0.1 * float64(nth), ServerSystemSeconds: 0.5,
		MachineBusySeconds: 1.9, MachineIdleSeconds: 0.1, Bottleneck: report.BoundByServer}
	if nth < 2 {
		r.Bottleneck = report.BoundByGenerator
	}
	r.Load, r.Payload, r.Seconds, r.SystemSeconds = l, 32, 1, 0.8
	r.Callers, r.CallsPerSecond = l.Callers, float64(time.Second)/float64(perCall)
	r.Calls = uint64(r.CallsPerSecond)
	r.Histogram, r.Latency = encoded(t, 500, perCall*time.Duration(l.Callers))
	r.ServiceHistogram, r.ServiceTime = r.Histogram, r.Latency
	r.Process = &measure.Usage{MemoryAfter: measure.Memory{RSS: uint64(1+nth) << 20 * uint64(1+slower)}}
	return r
}

// sampleReport is a report of some loads without an axis.
func sampleReport(t testing.TB, name string, loads ...load.Load) *report.Report {
	t.Helper()
	r := &report.Report{
		Name: name, Title: "what is compared",
		Machine: measure.Machine{Date: time.Date(2026, 11, 22, 19, 24, 47, 0, time.UTC), CommandLine: []string{"credrpc-bench", name, "--json", "a file.json"},
			Commit: "0123abc", Kernel: "Linux 6.18.44 #1 SMP", CPUModel: "Example CPU", Cores: 2, GoVersion: "go1.26", GOMAXPROCS: 2, SOMAXCONN: 4096},
		Settings: []report.Setting{{Name: "rules in the file", Value: "1000"}},
		Servers:  sampleServers(), Loads: loads, Rounds: 3, Seconds: 1, Payload: 32, Seed: 1,
		Findings:       []string{"The event loop is " + name + " and fast."},
		Notices:        []string{"gnet is left out: it was not asked for."},
		PressureBefore: &measure.Pressure{CPU: measure.Stall{Share: 1.5}},
	}
	for round := range r.Rounds {
		for _, l := range loads {
			for nth, s := range r.Servers {
				r.Runs = append(r.Runs, sampleRun(t, s, nth, round, l, 1+1/float64(l.Callers)))
			}
		}
	}
	return r
}

// payloadReport has the payload as axis, and pairs.
func payloadReport(t testing.TB) *report.Report {
	t.Helper()
	l := load.Load{Batch: 1, Callers: 16}
	r := sampleReport(t, "payload", l)
	r.Runs, r.Axis = nil, &report.Axis{Name: "payload", Unit: "bytes", Logarithmic: true}
	for i := range r.Servers {
		if r.Servers[i].Name != "eventloop" {
			r.Servers[i].Against = "eventloop"
		}
	}
	for _, bytes := range []float64{0, 32, 512, 4 << 10, 32 << 10, 256 << 10, 1 << 20} {
		for round := range r.Rounds {
			for nth, s := range r.Servers {
				run := sampleRun(t, s, nth, round, l, 1+bytes/20e3)
				run.At = bytes
				r.Runs = append(r.Runs, run)
			}
		}
	}
	return r
}

// callersReport has the number of callers as axis: each load has one value of it.
func callersReport(t testing.TB) *report.Report {
	t.Helper()
	r := sampleReport(t, "callers", load.Load{Batch: 1, Callers: 1}, load.Load{Batch: 1, Callers: 4}, load.Load{Batch: 1, Callers: 64})
	r.Axis = &report.Axis{Name: "callers", Logarithmic: true}
	for i := range r.Runs {
		r.Runs[i].At = float64(r.Runs[i].Load.Callers)
	}
	return r
}

// ratesReport has open loops at several rates.
func ratesReport(t testing.TB) *report.Report {
	t.Helper()
	l := load.Load{Batch: 1, Callers: 16}
	r := sampleReport(t, "rates", l)
	r.Runs, r.Axis = nil, &report.Axis{Name: "offered rate", Unit: "calls/s"}
	for _, rate := range []float64{10000, 20000, 30000, 40000} {
		for round := range r.Rounds {
			for nth, s := range r.Servers {
				run := sampleRun(t, s, nth, round, l, 1)
				run.At = rate
				run.Arrivals = &load.Arrivals{Steps: load.Steps{{Rate: rate, Duration: time.Second}}}
				run.Offered = &load.Offered{PerSecond: rate}
				run.CallsPerSecond = min(rate, run.CallsPerSecond)
				run.Histogram, run.Latency = encoded(t, 500, time.Duration(rate/run.CallsPerSecond*float64(time.Millisecond)))
				r.Runs = append(r.Runs, run)
			}
		}
	}
	return r
}

// secondsReport has the time as axis.
func secondsReport(t testing.TB) *report.Report {
	t.Helper()
	l := load.Load{Batch: 1, Callers: 16}
	r := sampleReport(t, "soak", l)
	r.Servers, r.Runs, r.Axis = r.Servers[2:4], nil, &report.Axis{Name: "time", Unit: "s"}
	for second := range 20 {
		for nth, s := range r.Servers {
			run := sampleRun(t, s, nth, second, l, 1)
			run.At = float64(second)
			r.Runs = append(r.Runs, run)
		}
	}
	return r
}

// sampleFile has reports of all kinds.
func sampleFile(t testing.TB) *report.File {
	t.Helper()
	f := &report.File{Format: report.Format, Command: "suite", Reports: []*report.Report{
		sampleReport(t, "compare", load.Load{Batch: 32, Callers: 1}, load.Load{Batch: 1, Callers: 16}),
		payloadReport(t), callersReport(t), ratesReport(t), secondsReport(t)}}
	for _, r := range f.Reports {
		if err := r.Summarise(); err != nil {
			t.Fatal(err)
		}
	}
	return f
}
