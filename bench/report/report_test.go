package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/measure"

	"github.com/HdrHistogram/hdrhistogram-go"
)

func TestSpreadOf(t *testing.T) {
	tests := []struct {
		name   string
		values []float64
		want   *Spread
	}{
		{"nothing", nil, nil},
		{"one value", []float64{2}, &Spread{2, 2, 2}},
		{"an odd number of values", []float64{3, 1, 2}, &Spread{2, 1, 3}},
		{"an even number of values", []float64{4, 1, 2, 9}, &Spread{3, 1, 9}},
	}
	for _, tt := range tests {
		got := SpreadOf(tt.values)
		if (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	values := []float64{3, 1, 2}
	if SpreadOf(values); values[0] != 3 {
		t.Errorf("the values were sorted: %v", values)
	}
}

func TestJudge(t *testing.T) {
	tests := []struct {
		name              string
		serverCores       int
		cores             int
		server, generator float64 // processor seconds in one second
		callers           int
		idle              float64 // of the cores' seconds
		want              Bottleneck
	}{
		{"a server of one thread that is busy", 1, 2, 0.9, 0.9, 1, 0.2, BoundByServer},
		{"a server that could use another core", 2, 2, 1.0, 0.9, 1, 0.1, BoundByGenerator},
		{"a busy caller and an idle server", 1, 2, 0.5, 0.95, 1, 0.55, BoundByGenerator},
		{"callers that could use another core, and no idle one", 1, 2, 0.8, 1.1, 16, 0.1, BoundByCores},
		{"other processes have the cores", 1, 2, 0.3, 0.3, 1, 0, BoundByCores},
		{"one after the other", 1, 2, 0.4, 0.5, 1, 1.1, BoundByWaiting},
		{"more threads than cores", 64, 2, 1.8, 0.1, 64, 0.1, BoundByServer},
		{"one core for both", 1, 1, 0.5, 0.5, 4, 0, BoundByCores},
	}
	for _, tt := range tests {
		r := Run{ServerSystemSeconds: tt.server, MachineIdleSeconds: tt.idle, MachineBusySeconds: float64(tt.cores) - tt.idle}
		r.Seconds, r.SystemSeconds, r.Callers = 1, tt.generator, tt.callers
		if got := r.Judge(tt.serverCores, tt.cores); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	late := Run{ServerSystemSeconds: 0.3, MachineIdleSeconds: 1, MachineBusySeconds: 1}
	late.Seconds, late.Latency.P99 = 1, 100
	for pacing, want := range map[float64]Bottleneck{49: BoundByWaiting, 50: BoundByGenerator} {
		late.Offered = &load.Offered{PacingError: load.Latency{P99: pacing}}
		if got := late.Judge(1, 2); got != want {
			t.Errorf("a pacing error of %v of 100 µs: %s, want %s", pacing, got, want)
		}
	}
	if got := new(Run).Judge(1, 1); got != BoundByWaiting {
		t.Errorf("a run that never was: %s", got)
	}
}

// run makes a run in which all calls took the same time.
func run(t *testing.T, server string, l load.Load, round int, calls uint64, latency time.Duration) Run {
	t.Helper()
	h := hdrhistogram.New(64, int64(time.Minute), 3)
	if err := h.RecordValues(latency.Nanoseconds(), int64(calls)); err != nil {
		t.Fatal(err)
	}
	encoded, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	r := Run{Server: server, Round: round, ServerUserSeconds: 0.1, ServerSystemSeconds: 0.8,
		MachineBusySeconds: 1.9, MachineIdleSeconds: 0.1, Bottleneck: BoundByServer}
	r.Load, r.Seconds, r.SystemSeconds = l, 1, 1
	r.Callers, r.Calls, r.CallsPerSecond = l.Callers, calls, float64(calls)
	r.Latency, r.Histogram = load.LatencyOf(h), string(encoded)
	return r
}

// example is a report of two loads. The two variants of the floor are the floor
// of one load each, and noise halves everything in the second round.
func example(t *testing.T) *Report {
	t.Helper()
	batch, one := load.Load{Batch: 32, Callers: 1}, load.Load{Batch: 1, Callers: 1}
	r := &Report{
		Machine: measure.Machine{Kernel: "Linux 6.1", CPUModel: "Example CPU", Cores: 2, GoVersion: "go1.26", GOMAXPROCS: 2, SOMAXCONN: 4096},
		Servers: []Server{{Name: "floor-1", Kind: KindFloor, Cores: 1, Checks: CheckCalls}, {Name: "floor-2", Kind: KindFloor, Cores: 2, Checks: CheckCalls},
			{Name: KindReference, Kind: KindReference, Cores: 2, Checks: CheckConnections}, {Name: "eventloop", Kind: "eventloop", Cores: 1, Checks: CheckCalls}},
		Loads:  []load.Load{batch, one},
		Rounds: 2, Seconds: 1, Payload: 32, Seed: 1,
	}
	speed := map[load.Load]map[string]uint64{
		batch: {"floor-1": 100000, "floor-2": 80000, KindReference: 40000, "eventloop": 90000},
		one:   {"floor-1": 20000, "floor-2": 24000, KindReference: 8000, "eventloop": 18000},
	}
	for round := range 2 {
		for _, l := range r.Loads {
			for _, s := range r.Servers {
				calls := speed[l][s.Name] >> round
				r.Runs = append(r.Runs, run(t, s.Name, l, round, calls, time.Second*time.Duration(l.Batch)/time.Duration(calls)))
			}
		}
	}
	return r
}

// find returns the summary of a server under a load.
func find(t *testing.T, r *Report, l load.Load, server string) Summary {
	t.Helper()
	for _, s := range r.Summaries {
		if s.Load == l && s.Server == server {
			return s
		}
	}
	t.Fatalf("no summary of %s under %v", server, l)
	return Summary{}
}

func near(a *Interval, median, least, greatest float64) bool {
	const tolerance = 0.002 // histograms have three digits
	return a != nil && math.Abs(a.Median-median) < tolerance && math.Abs(a.Min-least) < tolerance && math.Abs(a.Max-greatest) < tolerance
}

func TestSummarise(t *testing.T) {
	r := example(t)
	if err := r.Summarise(); err != nil {
		t.Fatal(err)
	}
	batch, one := r.Loads[0], r.Loads[1]
	// Noise that hits a whole round leaves no trace in ratios.
	s := find(t, r, batch, "eventloop")
	if !near(s.TimesFloor, 0.9, 0.9, 0.9) || !near(s.TimesReference, 2.25, 2.25, 2.25) || s.CallsPerSecond != (Spread{67500, 45000, 90000}) {
		t.Errorf("eventloop under a batch: %v, %v, %v", s.TimesFloor, s.TimesReference, s.CallsPerSecond)
	}
	// 0.9 s for 40,000 calls against 0.9 s for 90,000.
	if !near(s.CPUTimesReference, 40./90, 40./90, 40./90) {
		t.Errorf("processor time: %v", s.CPUTimesReference)
	}
	if cpu := s.UserPerCall + s.SystemPerCall; math.Abs(cpu-1.8/135000*1e6) > 0.001 || math.Abs(s.SystemPerCall/s.UserPerCall-8) > 0.001 {
		t.Errorf("a call costs %v + %v µs", s.UserPerCall, s.SystemPerCall)
	}
	// The floor is another variant for each load.
	if s := find(t, r, one, "eventloop"); !near(s.TimesFloor, 0.75, 0.75, 0.75) || !near(s.P50TimesFloor, 4./3, 4./3, 4./3) {
		t.Errorf("eventloop under one caller: %v, p50 %v", s.TimesFloor, s.P50TimesFloor)
	}
	for name, shown := range map[string][2]bool{"floor-1": {true, false}, "floor-2": {false, true}, KindReference: {true, true}} {
		if find(t, r, batch, name).Shown != shown[0] || find(t, r, one, name).Shown != shown[1] {
			t.Errorf("%s is shown %v, %v", name, find(t, r, batch, name).Shown, find(t, r, one, name).Shown)
		}
	}
}

// TestSummariseIncomplete has no floor, and a reference that lacks a round.
func TestSummariseIncomplete(t *testing.T) {
	r := example(t)
	r.Servers = r.Servers[2:]
	var kept []Run
	for _, run := range r.Runs {
		if run.Server == "eventloop" || run.Server == KindReference && run.Round == 1 {
			kept = append(kept, run)
		}
	}
	r.Runs = kept
	if err := r.Summarise(); err != nil {
		t.Fatal(err)
	}
	s := find(t, r, r.Loads[0], "eventloop")
	if s.TimesFloor != nil || s.P50TimesFloor != nil || !near(s.TimesReference, 2.25, 2.25, 2.25) || s.Rounds != 2 {
		t.Errorf("%+v", s)
	}
	r.Runs[0].Histogram = "broken"
	if err := r.Summarise(); err == nil {
		t.Error("a broken histogram is no error")
	}
}

var update = flag.Bool("update", false, "write the golden files")

// TestTable compares the whole table. Run with -update after a change that is
// meant.
func TestTable(t *testing.T) {
	whole := example(t)
	for i := range whole.Runs {
		if whole.Runs[i].Server == "eventloop" {
			whole.Runs[i].Bottleneck = BoundByGenerator
		}
	}
	partial := example(t)
	partial.Servers = partial.Servers[2:]
	partial.Runs = partial.Runs[:4]
	partial.Runs[3].Wrong = 3
	partial.Runs[3].MachineBusySeconds = 6
	partial.Runs[2].Bottleneck = BoundByWaiting
	partial.Runs[3].Bottleneck = BoundByCores
	partial.Interrupted = true
	partial.Notices = []string{"floor is left out: there is no compiler."}
	for name, r := range map[string]*Report{"whole": whole, "partial": partial, "empty": {}, "verdicts": decided(t)} {
		if err := r.Summarise(); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := r.WriteTable(&got); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got.Bytes(), want)
		}
	}
}

// decided has enough rounds for verdicts: the event loop is always behind the floor
// under a batch, and as often ahead of it as behind with one caller.
func decided(t *testing.T) *Report {
	t.Helper()
	r := example(t)
	batch, one := r.Loads[0], r.Loads[1]
	r.Servers, r.Runs, r.Rounds = slices.Delete(r.Servers, 1, 2), nil, 7
	for round := range r.Rounds {
		for l, calls := range map[load.Load][3]int{
			batch: {100000 + 1000*round, 40000, 90000},
			one:   {20000, 20000, 19000 + 333*round},
		} {
			for i, s := range r.Servers {
				r.Runs = append(r.Runs, run(t, s.Name, l, round, uint64(calls[i]), time.Second*time.Duration(l.Batch)/time.Duration(calls[i])))
			}
		}
	}
	return r
}

func TestErrors(t *testing.T) {
	r := example(t)
	if r.Errors() != 0 {
		t.Errorf("%d errors", r.Errors())
	}
	r.Runs[0].Failed, r.Runs[1].Wrong, r.Runs[2].Refused, r.Runs[3].BacklogFull = 1, 2, 4, 8
	if r.Errors() != 7 {
		t.Errorf("%d errors, want 7: a full backlog is none", r.Errors())
	}
}

func TestJSONFields(t *testing.T) {
	r := example(t)
	if err := r.Summarise(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := (&File{Format: Format, Command: "quick", Reports: []*Report{r}}).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var file struct {
		Format  int
		Command string
		Reports []struct {
			Machine   map[string]any
			Loads     []string
			Runs      []map[string]any
			Summaries []map[string]any
		}
	}
	if err := json.Unmarshal(b.Bytes(), &file); err != nil {
		t.Fatal(err)
	}
	if file.Format != Format || file.Command != "quick" || len(file.Reports) != 1 {
		t.Fatalf("%+v", file)
	}
	got := file.Reports[0]
	has := func(what string, fields map[string]any, names ...string) {
		for _, name := range names {
			if _, ok := fields[name]; !ok {
				t.Errorf("%s has no field %q", what, name)
			}
		}
	}
	has("a machine", got.Machine, "kernel", "cpu_model", "cores", "somaxconn")
	has("a run", got.Runs[0], "server", "round", "load", "calls", "calls_per_second", "latency", "histogram",
		"server_user_seconds", "server_system_seconds", "generator_system_seconds", "machine_idle_seconds", "bottleneck")
	has("a summary", got.Summaries[0], "load", "server", "calls_per_second", "times_floor", "times_reference", "p50_times_floor",
		"cpu_times_reference", "latency", "server_user_us_per_call", "server_system_us_per_call", "errors", "bottleneck", "shown")
	if len(got.Runs) != 16 || len(got.Summaries) != 8 || len(got.Loads) != 2 || got.Loads[0] != "b32x1" {
		t.Errorf("%d runs, %d summaries, loads %v", len(got.Runs), len(got.Summaries), got.Loads)
	}
}
