package report

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"credrpc/bench/load"
	"credrpc/bench/measure"

	"golang.org/x/perf/benchfmt"
)

// TestGoBench reads what was written with the package that benchstat reads it with.
func TestGoBench(t *testing.T) {
	r := example(t)
	r.Name, r.Machine.Commit = "find-max", "0123abc"
	r.Servers[3].Name = "s6-ipcserver, no rules"
	for i := range r.Runs {
		if r.Runs[i].Server == "eventloop" {
			r.Runs[i].Server = r.Servers[3].Name
		}
	}
	second := example(t)
	second.Name, second.Axis = "open", &Axis{Name: "offered rate"}
	second.Runs = second.Runs[:2]
	second.Runs[0].At = 1e21
	second.Runs[0].Offered = &load.Offered{PerSecond: 7}
	second.Runs[0].ServiceTime = load.Latency{P50: 1, Max: 2}
	second.Runs[0].Process = &measure.Usage{MemoryAfter: measure.Memory{RSS: 4096}}
	second.Runs[1].Calls = 0
	var b bytes.Buffer
	if err := (&File{Reports: []*Report{r, second}}).WriteGoBench(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	var results []*benchfmt.Result
	reader := benchfmt.NewReader(&b, "r.txt")
	for reader.Scan() {
		switch record := reader.Result().(type) {
		case *benchfmt.Result:
			results = append(results, record.Clone())
		case *benchfmt.SyntaxError:
			t.Errorf("%v", record)
		}
	}
	if reader.Err() != nil || len(results) != 17 {
		t.Fatalf("%v, %d results of\n%s", reader.Err(), len(results), text)
	}
	if reader.Units().GetBetter("calls/s") != 1 {
		t.Error("more calls a second are not better")
	}
	want := map[string]float64{"sec/op": 1. / 90000, "calls/s": 90000, "p50-sec": 355.6e-6, "p99.9-sec": 355.6e-6, "server-cpu-sec/op": 10e-6, "server-system-sec/op": 0.8 / 90000, "errors": 0, "error_rate": 0}
	base, parts := results[3].Name.Parts()
	if string(base) != "FindMax" || !slices.EqualFunc(parts, []string{"/server=s6-ipcserver,_no_rules", "/load=b32x1", "-2"}, func(a []byte, b string) bool { return string(a) == b }) {
		t.Errorf("%s: %q", results[3].Name, parts)
	}
	for unit, value := range want {
		if got, ok := results[3].Value(unit); !ok || math.Abs(got-value) > math.Abs(value)/500 {
			t.Errorf("%s: %v, %v, want %v", unit, got, ok, value)
		}
	}
	if _, ok := results[3].Value("service.p50-sec"); ok || results[3].Iters != 90000 || results[3].GetConfig("commit") != "0123abc" || results[3].GetConfig("cpu") != "Example CPU" {
		t.Errorf("%+v", results[3])
	}
	last := results[16]
	if name := "Open/server=floor-1/load=b32x1/offered_rate=1000000000000000000000-2"; last.Name.String() != name || last.GetConfig("commit") != "" {
		t.Errorf("%s of commit %q, want %s", last.Name, last.GetConfig("commit"), name)
	}
	for unit, value := range map[string]float64{"offered-calls/s": 7, "service.p50-sec": 1e-6, "server-rss-bytes": 4096} {
		if got, ok := last.Value(unit); !ok || math.Abs(got-value) > 1e-9 {
			t.Errorf("%s: %v, %v", unit, got, ok)
		}
	}
}
