package suite

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/report"
)

func TestGrouped(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 999999.6: "1,000,000", -12345: "-12,345", -100: "-100"} {
		if got := grouped(n); got != want {
			t.Errorf("%v: %q, want %q", n, got, want)
		}
	}
}

func TestRatesOf(t *testing.T) {
	// A tenth and nine tenths of 10,000 and of 1,040, which round to hundreds.
	if got := ratesOf([]float64{0.1, 0.9}, 10_000, 1040); !slices.Equal(got, []float64{1000, 9000, 100, 900}) {
		t.Errorf("%v", got)
	}
	// The slowest has its own rates once, and never none.
	if got := ratesOf([]float64{0.01, 0.9}, 1000, 1000); !slices.Equal(got, []float64{100, 900}) {
		t.Errorf("%v", got)
	}
}

func TestDoublings(t *testing.T) {
	for n, want := range map[int][]int{1: {1}, 2: {1, 2}, 6: {1, 2, 4, 6}, 8: {1, 2, 4, 8}} {
		if got := doublings(n); !slices.Equal(got, want) {
			t.Errorf("%d: %v", n, got)
		}
	}
}

// TestRounds has two heats of two competitors, one value of the axis each, without a
// server.
func TestRounds(t *testing.T) {
	b := &Bench{Progress: quiet}
	competitors := []competitor{{variant: script("")}, {variant: script("")}}
	competitors[1].Name = "other"
	seeds := map[uint64]int{}
	run := func(_ context.Context, s competitor, config load.Config) (*report.Run, error) {
		seeds[config.Seed]++
		if config.WarmUp <= 0 {
			t.Error("no warm-up")
		}
		return &report.Run{Server: s.Name, Result: load.Result{Load: config.Load}}, nil
	}
	heats := []heat{{at: 0, config: load.Config{Load: bare(1)}, competitors: competitors, run: run},
		{at: 7, config: load.Config{Load: bare(1)}, competitors: competitors, run: run}}
	r := &report.Report{Axis: &report.Axis{Name: "sevens"}}
	if err := b.rounds(t.Context(), Comparison{Rounds: 20, Seed: 5}, heats, r); err != nil {
		t.Fatal(err)
	}
	if len(r.Runs) != 80 || r.Rounds != 20 || len(seeds) != 20 || seeds[5] != 4 || heats[0].at != 0 {
		t.Fatalf("%d runs of %d rounds, seeds %v", len(r.Runs), r.Rounds, seeds)
	}
	first := map[string]int{}
	for i := 0; i < len(r.Runs); i += 4 {
		round := r.Runs[i : i+4]
		if round[0].At != round[1].At || round[2].At != round[3].At || round[0].At == round[2].At ||
			round[0].Server == round[1].Server || round[0].Round != i/4 || round[3].Round != i/4 {
			t.Errorf("round %d: %+v", i/4, round)
		}
		first[round[0].Server+string(rune('0'+int(round[0].At)))]++
	}
	if len(first) != 4 { // the chance that 20 rounds lack one of four is below 2 %, and the seed decides
		t.Errorf("what comes first: %v", first)
	}
	failure := errors.New("it fails")
	heats[0].run = func(context.Context, competitor, load.Config) (*report.Run, error) { return nil, failure }
	if err := b.rounds(t.Context(), Comparison{Rounds: 1}, heats, r); !errors.Is(err, failure) {
		t.Errorf("%v", err)
	}
}

// TestOfWhole has a look at the server that comes in time, late, and when all is over.
func TestOfWhole(t *testing.T) {
	for _, tt := range []struct{ seconds, missed, want float64 }{{0.2, 0, 1}, {0.2, 0.04, 1.25}, {0.2, 0.1, 2}, {0.2, 5, 2}, {0, 0.1, 1}} {
		if got := ofWhole(tt.seconds, tt.missed); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%v of %v missed: %v", tt.missed, tt.seconds, got)
		}
	}
}

func TestTimetable(t *testing.T) {
	c := &Comparison{Rounds: 5, Budget: time.Hour}
	past := timetable{Comparison: c, began: time.Now().Add(-49 * time.Minute), runs: 10}
	for made, want := range map[int]bool{0: true, 4: true, 5: true, 6: true} {
		if got := past.goesOn(made); got != want { // a round took less than 10 minutes
			t.Errorf("after %d rounds: %v", made, got)
		}
	}
	late := timetable{Comparison: c, began: time.Now().Add(-55 * time.Minute), runs: 10}
	if !late.goesOn(4) || late.goesOn(5) {
		t.Error("after 55 minutes the fifth round is made and no sixth")
	}
	if d := late.done(10); d != 0.2 {
		t.Errorf("a round of at least five, though the time is nearly over: %v", d)
	}
	if d := late.done(100); math.Abs(d-55./60) > 0.01 {
		t.Errorf("ten rounds in 55 minutes: %v", d)
	}
	if (&timetable{Comparison: &Comparison{Rounds: 2}, began: time.Now().Add(-time.Second)}).goesOn(2) {
		t.Error("more rounds than were asked for")
	}
}

func TestAllowance(t *testing.T) {
	c := allowance{time: 100 * time.Second}.comparison(10, time.Second, 20*time.Second)
	if want := time.Second - runOverhead; c.Duration != want || c.Budget != 80*time.Second || c.Rounds != report.MinRounds {
		t.Errorf("%v, want %v; %+v", c.Duration, want, c)
	}
	if c := (allowance{time: time.Second}).comparison(100, time.Second, time.Minute); c.Duration != shortestRun || c.Rounds != report.MinRounds {
		t.Errorf("too little time: %+v", c)
	}
	if c := (allowance{time: time.Hour}).comparison(1, time.Second, 0); c.Duration != time.Second {
		t.Errorf("more time than needed: %+v", c)
	}
	if c := (allowance{time: time.Hour, short: true}).comparison(1, time.Second, 0); c.Rounds != 1 || c.Budget != 0 {
		t.Errorf("short: %+v", c)
	}
	if got := (allowance{short: true}).points(1, 2, 3, 4); !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("%v", got)
	}
}

func TestBetween(t *testing.T) {
	r := &report.Report{}
	add := func(server string, round int, at, calls float64) {
		r.Runs = append(r.Runs, report.Run{Server: server, Round: round, At: at,
			Result: load.Result{Load: bare(1), Group: load.Group{CallsPerSecond: calls}}})
	}
	add("a", 0, 0, 10)
	add("a", 0, 5, 20)
	add("a", 1, 5, 90)
	add("a", 1, 0, 30)
	add("a", 2, 5, 7) // the other is missing
	add("a", 3, 0, 0) // nothing was answered
	add("a", 3, 5, 7)
	add("b", 0, 0, 1)
	with, without := place{"a", bare(1), 5}, place{"a", bare(1), 0}
	if got := between(r, with, without, callsPerSecond); !slices.Equal(got, []float64{2, 3}) {
		t.Errorf("%v", got)
	}
	if got := between(r, without, place{"b", bare(1), 0}, callsPerSecond); !slices.Equal(got, []float64{10}) {
		t.Errorf("%v", got)
	}
	if got := values(r, "a"); !slices.Equal(got, []float64{0, 5}) {
		t.Errorf("%v", got)
	}
	if got := median(r, place{"c", bare(1), 0}, callsPerSecond); got != 0 {
		t.Errorf("%v", got)
	}
}

// TestSuiteText has a scenario that was left out and one that was interrupted.
func TestSuiteText(t *testing.T) {
	run := report.Run{Server: Eventloop}
	run.Load, run.Failed, run.FirstError = bare(1), 3, "receive: broken"
	file := &report.File{Reports: []*report.Report{
		{Name: "uids", Title: "users", Notices: []string{"uids is left out: no root."}},
		{Name: "loops", Title: "loops", Rounds: 2, Seconds: 0.5, Loads: []load.Load{bare(1)}, Runs: []report.Run{run},
			Settings: []report.Setting{{Name: "colour", Value: "blue"}}, Findings: []string{"it is fast"}, Interrupted: true},
	}}
	var b strings.Builder
	if err := WriteSuite(&b, file); err != nil {
		t.Fatal(err)
	}
	const want = `uids      users
          uids is left out: no root.
loops     loops (rounds: 2, runs of 0.50 s; t1; colour: blue)
          it is fast
          3 calls were not answered right, such as under t1 on eventloop in round 1: receive: broken.
`
	if text := b.String(); !strings.HasPrefix(text, want) || !strings.Contains(text, "Interrupted: ") {
		t.Errorf("%s", text)
	}
}

// TestSuiteFails has scenarios that cannot run and go on.
func TestSuiteFails(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var lines []string
	b := &Bench{Self: "/does/not/exist", Progress: func(done float64, line string) {
		if done < 0 || done > 1 {
			t.Errorf("%v done", done)
		}
		lines = append(lines, line)
	}}
	defer b.Close()
	file, err := b.Suite(t.Context(), Suite{Only: []string{"peers", "loops", "sleepers"}, Time: time.Minute})
	if !errors.Is(err, ErrServer) || strings.Count(err.Error(), "server failed") != 2 || len(file.Reports) != 3 {
		t.Fatalf("%v, %+v", err, file)
	}
	if notices := file.Reports[0].Notices; len(notices) != 1 || !strings.Contains(notices[0], "peers is left out") {
		t.Errorf("%q", notices)
	}
	if len(lines) == 0 || !strings.Contains(strings.Join(lines, "\n"), "left  loops: starting") {
		t.Errorf("%q", lines)
	}
}
