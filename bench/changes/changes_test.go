package changes

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/measure"
	"credrpc/bench/report"
)

// example is a file of a floor and an event loop, under two loads, whose rounds differ
// by noise of some percent that random draws. speed is that of the event loop.
func example(random *rand.Rand, rounds int, speed float64) *report.File {
	r := &report.Report{Name: "quick", Seconds: 0.2, Payload: 32, Rounds: rounds,
		Machine: measure.Machine{Date: time.Unix(1e9, 0), Kernel: "Linux 6.1", CPUModel: "Example", Cores: 2, GoVersion: "go1.26", GOMAXPROCS: 2, SOMAXCONN: 4096},
		Servers: []report.Server{{Name: "floor-1", Kind: report.KindFloor, Cores: 1}, {Name: "eventloop", Kind: "eventloop", Cores: 1}},
		Loads:   []load.Load{{Batch: 1, Callers: 1}, {Batch: 1, Callers: 16}}}
	for round := range rounds {
		for i, l := range r.Loads {
			for j, s := range r.Servers {
				run := report.Run{Server: s.Name, Round: round, Process: &measure.Usage{MemoryAfter: measure.Memory{RSS: 8 << 20}}}
				rate := []float64{20000, 60000}[i] * []float64{1, speed}[j] * (1 + 0.05*(random.Float64()-0.5))
				run.Load, run.Seconds, run.Calls, run.CallsPerSecond = l, 0.2, uint64(rate/5), rate
				run.ServerSystemSeconds = 0.2
				us := 1e6 / rate
				run.Latency = load.Latency{P50: us, P90: 2 * us, P99: 3 * us, P999: 4 * us, Max: 9 * us}
				r.Runs = append(r.Runs, run)
			}
		}
	}
	return &report.File{Format: report.Format, Command: "quick", Reports: []*report.Report{r}}
}

func source() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// find returns the change of a figure.
func (r *Result) find(t *testing.T, server, l, figure string) *Change {
	t.Helper()
	for i := range r.Changes {
		if c := &r.Changes[i]; c.Server == server && c.Load.String() == l && c.Figure == figure {
			return c
		}
	}
	t.Fatalf("no %s of %s under %s", figure, server, l)
	return nil
}

// TestCompare has an event loop that became a tenth faster, and a floor that did not.
func TestCompare(t *testing.T) {
	random := source()
	r := Compare("a", example(random, 9, 0.8), "b", example(random, 9, 0.88), DefaultAlpha)
	if len(r.Changes) != 2*(6+7) || len(r.Missing) != 0 || len(r.Warnings) != 0 {
		t.Errorf("%d changes, missing %q, warnings %q", len(r.Changes), r.Missing, r.Warnings)
	}
	for _, c := range r.Changes {
		want := Unknown
		if c.Server == "eventloop" && c.Figure != "rss" {
			want = Better
		}
		if c.Verdict != want || c.OldRounds != 9 || c.NewRounds != 9 {
			t.Errorf("%+v", c)
		}
		truth := map[bool]float64{true: 1.1, false: 1}[c.Server == "eventloop" && c.Figure != "rss"]
		if !c.HigherBetter {
			truth = 1 / truth
		}
		if c.Low > truth || c.High < truth || c.Ratio < c.Low || c.Ratio > c.High {
			t.Errorf("%s of %s: %v (%v to %v), and it is %v", c.Figure, c.Server, c.Ratio, c.Low, c.High, truth)
		}
	}
	c := r.find(t, "eventloop", "t1", "throughput")
	if least := 2. / 48620; math.Abs(c.P-least) > 1e-9 || math.Abs(c.HolmP-least*26) > 1e-9 { // 18 over 9
		t.Errorf("p %v, corrected %v", c.P, c.HolmP)
	}
	back := Compare("b", example(random, 9, 0.88), "a", example(random, 9, 0.8), DefaultAlpha)
	if c := back.find(t, "eventloop", "t16", "cpu"); c.Verdict != Worse {
		t.Errorf("%+v", c)
	}
}

// TestFalseCalls compares files of the same servers. With alpha 0.05, one result in
// twenty may call a difference; without a correction far more would.
func TestFalseCalls(t *testing.T) {
	random := source()
	const tries = 200
	wrong, uncorrected := 0, 0
	for range tries {
		r := Compare("a", example(random, 9, 0.8), "b", example(random, 9, 0.8), DefaultAlpha)
		calls, below := 0, 0
		for _, c := range r.Changes {
			if c.Verdict != Unknown {
				calls++
			}
			if c.P < DefaultAlpha {
				below++
			}
		}
		wrong += min(calls, 1)
		uncorrected += min(below, 1)
	}
	if wrong > tries/10 || uncorrected < tries/10 {
		t.Errorf("%d of %d results have a false call, %d a p below 0.05", wrong, tries, uncorrected)
	}
}

// TestTooFewRounds calls nothing, however large the difference, and says how many
// rounds are needed.
func TestTooFewRounds(t *testing.T) {
	tests := []struct {
		old, now int
		want     string // "" if they are enough
	}{
		{1, 9, "it takes 7 in each file, 6 more than the 1 of the old one."},
		{4, 3, "it takes 7 in each file, 3 more than the 4 of the old one and 4 more than the 3 of the new one."},
		{6, 6, "it takes 7 in each file"},
		{7, 7, ""},
		{6, 12, ""},
		{5, 12, "2 more than the 5 of the old one."},
	}
	for _, tt := range tests {
		random := source()
		r := Compare("a", example(random, tt.old, 0.5), "b", example(random, tt.now, 1.5), DefaultAlpha)
		c := r.find(t, "eventloop", "t1", "throughput")
		if (c.Verdict == Better) != (tt.want == "") {
			t.Errorf("%d and %d: %+v", tt.old, tt.now, c)
		}
		if text := strings.Join(r.Warnings, "\n"); !strings.Contains(text, tt.want) || tt.want == "" && strings.Contains(text, "too few") {
			t.Errorf("%d and %d: %q", tt.old, tt.now, r.Warnings)
		}
	}
}

// TestWarnings differs in everything that is recorded.
func TestWarnings(t *testing.T) {
	random := source()
	before, after := example(random, 9, 0.8), example(random, 9, 0.8)
	a, b := before.Reports[0], after.Reports[0]
	b.Machine = measure.Machine{Kernel: "Linux 6.2", CPUModel: "Other", Cores: 4, GoVersion: "go1.27", GOMAXPROCS: 3, SOMAXCONN: 128, Nice: 5, DescriptorsSoft: 9}
	b.Payload, b.Seconds, b.Interrupted = 64, 1, true
	b.PressureBefore = &measure.Pressure{CPU: measure.Stall{Share: 35}}
	b.Servers[1].Cores = 2
	a.Settings = []report.Setting{{Name: "rules", Value: "5"}, {Name: "old", Value: "x"}}
	b.Settings = []report.Setting{{Name: "rules", Value: "6"}, {Name: "new", Value: "y"}}
	for i := range b.Runs {
		b.Runs[i].MachineBusySeconds = 0.4
		b.Runs[i].Failed = 1
		if b.Runs[i].Server == "floor-1" {
			b.Runs[i].CallsPerSecond *= 2
		}
	}
	r := Compare("a", before, "b", after, DefaultAlpha)
	text := strings.Join(r.Warnings, "\n")
	for _, want := range []string{"The kernel differs: old Linux 6.1, new Linux 6.2.", "The processor", "number of cores", "Go differs", "GOMAXPROCS", "backlog", "nice", "descriptors",
		"The payload of quick differs: old 32, new 64.", "The seconds of a run of quick", "quick, rules differs: old 5, new 6.", "quick, old is known of one file only: x.", "quick, new is known of one file only: y.",
		"quick, cores for eventloop differs: old 1, new 2.", "Before quick of the new file began, something waited for a core 35 % of the time.", "Other processes took 50 % of the cores while quick of the new file ran.",
		"36 calls of quick in the new file were not answered right.", "quick of the new file was interrupted.", "measured by changed too, so the machine probably did, and differences may be its: floor-1 under t1, floor-1 under t16."} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if n := len(r.Warnings); n != 19 {
		t.Errorf("%d warnings:\n%s", n, text)
	}
}

// TestMissing lists what has no counterpart.
func TestMissing(t *testing.T) {
	random := source()
	before, after := example(random, 9, 0.8), example(random, 9, 0.8)
	a, b := before.Reports[0], after.Reports[0]
	a.Runs = slices.DeleteFunc(a.Runs, func(r report.Run) bool { return r.Server == "eventloop" && r.Load.Callers == 1 })
	b.Axis = &report.Axis{Name: "payload", Unit: "bytes"}
	for i := range b.Runs {
		if b.Runs[i].Load.Callers == 16 {
			b.Runs[i].At = 7
		}
	}
	before.Reports = append(before.Reports, &report.Report{Name: "ladder"})
	after.Reports = append(after.Reports, &report.Report{Name: "peers"})
	r := Compare("a", before, "b", after, DefaultAlpha)
	want := []string{"quick, t16: floor-1 is only in a.", "quick, t16: eventloop is only in a.", "quick, t1, payload 0 bytes: eventloop is only in b.",
		"quick, t16, payload 7 bytes: floor-1 is only in b.", "quick, t16, payload 7 bytes: eventloop is only in b.", "ladder is only in a.", "peers is only in b."}
	if !slices.Equal(r.Missing, want) {
		t.Errorf("%q\nwant\n%q", r.Missing, want)
	}
	if !slices.Contains(r.Warnings, "What changes from run to run of quick differs: old nothing, new payload.") {
		t.Errorf("%q", r.Warnings)
	}
	if len(r.Changes) != 6 || r.Changes[0].Server != "floor-1" {
		t.Errorf("%+v", r.Changes)
	}
	nothing := Compare("a", &report.File{}, "b", after, DefaultAlpha)
	var text strings.Builder
	if err := nothing.WriteText(&text); err != nil || !strings.Contains(text.String(), "nothing in common") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

var update = flag.Bool("update", false, "write the golden file")

// TestText compares the whole text. Run with -update after a change that is meant.
func TestText(t *testing.T) {
	random := source()
	before, after := example(random, 9, 0.8), example(random, 9, 0.88)
	after.Reports[0].Machine.Commit = "0123456789ab"
	for i := range before.Reports[0].Runs {
		before.Reports[0].Runs[i].Process = nil
	}
	after.Reports[0].Machine.Kernel = "Linux 6.2"
	r := Compare("a.json", before, "b.json", after, DefaultAlpha)
	var text, encoded bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	const file = "testdata/text.txt"
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(text.Bytes(), want) {
		t.Errorf("%v\n%s\nwant\n%s", err, text.Bytes(), want)
	}
	if err := r.WriteJSON(&encoded); err != nil {
		t.Fatal(err)
	}
	var again Result
	if err := json.Unmarshal(encoded.Bytes(), &again); err != nil || len(again.Changes) != len(r.Changes) || again.Changes[0] != r.Changes[0] {
		t.Errorf("%v\n%s", err, encoded.Bytes())
	}
}

// TestTails compares with tables of the U test: critical values for alpha 0.05 on both
// sides. The value for 60 rounds is that of the normal distribution.
func TestTails(t *testing.T) {
	for n, critical := range map[[2]int]int{{3, 3}: -1, {4, 4}: 0, {5, 5}: 2, {7, 7}: 8, {8, 10}: 17, {20, 20}: 127, {60, 60}: 1426} {
		if got := (tails{}).of(n[0], n[1], 0.05); got != critical+1 {
			t.Errorf("%v: %d values are improbable, want %d", n, got, critical+1)
		}
	}
	// Both ways agree where they meet.
	u, all := tails{}, tails{}
	exact, normal := u.of(exactRounds, exactRounds, 0.05), all.of(exactRounds+1, exactRounds-1, 0.05)
	if diff := exact - normal; diff < -2 || diff > 2 {
		t.Errorf("%d exactly, about %d", exact, normal)
	}
	if p := leastP(5, 5); math.Abs(p-2./252) > 1e-12 {
		t.Errorf("%v", p)
	}
}

// TestShift has values of which some are 0, and too few for an interval.
func TestShift(t *testing.T) {
	if m, low, high := (tails{}).shift([]float64{0, 1}, []float64{1, 2}, 0.05); m != 0 || low != 0 || high != 0 {
		t.Errorf("%v, %v, %v", m, low, high)
	}
	if m, low, high := (tails{}).shift([]float64{1, 1}, []float64{2, 2}, 0.05); m != 2 || low != 0 || high != 0 {
		t.Errorf("%v, %v, %v", m, low, high)
	}
	if m, low, high := (tails{}).shift([]float64{1, 1, 1, 1}, []float64{2, 3, 4, 5}, 0.05); m != 3.5 || low != 2 || high != 5 {
		t.Errorf("%v, %v, %v", m, low, high)
	}
}
