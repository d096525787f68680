package condition

import (
	"errors"
	"strings"
	"testing"

	"credrpc/bench/load"
	"credrpc/bench/measure"
	"credrpc/bench/report"
)

// example has two variants of the floor and an event loop at 0.9 of the faster one, in
// seven rounds of which each is half as fast as the one before. In one round the event
// loop has an error.
func example(t testing.TB) Files {
	t.Helper()
	one, many := load.Load{Batch: 1, Callers: 1}, load.Load{Batch: 1, Callers: 64}
	r := &report.Report{Name: "quick", Loads: []load.Load{one, many},
		Servers: []report.Server{{Name: "floor-1", Kind: "floor"}, {Name: "floor-2", Kind: "floor"}, {Name: "eventloop", Kind: "eventloop"}}}
	speed := map[load.Load][]float64{one: {1000, 500, 900}, many: {1000, 2000, 1800}}
	for round := range 7 {
		for _, l := range r.Loads {
			for i, s := range r.Servers {
				run := report.Run{Server: s.Name, Round: round, ServerUserSeconds: 1}
				run.Load, run.Calls, run.CallsPerSecond = l, 1000, speed[l][i]/float64(int(1)<<round)
				us := 1e6 / run.CallsPerSecond
				run.Latency = load.Latency{P50: us, P90: us, P99: us, P999: us, Max: us}
				r.Runs = append(r.Runs, run)
			}
		}
	}
	r.Runs[8].Failed = 1 // of the event loop
	return Files{"": {r}}
}

// check parses and evaluates a condition.
func check(t *testing.T, text string, files Files) ([]Outcome, error) {
	t.Helper()
	c, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return c.Evaluate(files)
}

func TestEvaluate(t *testing.T) {
	tests := []struct {
		text string
		want string // whether it is true under t1 and t64, in this order
	}{
		// The floor is another variant under each load, and the speed that halves
		// from round to round does not matter.
		{"eventloop.throughput < 0.89 * floor.throughput", "no no"},
		{"eventloop.throughput < 0.91 * floor.throughput", "yes yes"},
		{"eventloop.throughput < 0.91 * floor-1.throughput", "yes no"},
		{"eventloop.throughput < 0.91 * floor.throughput on t64", "yes"},
		{"eventloop.p99 > 1.1 * floor.p99", "yes yes"},
		{"eventloop.p99 - floor.p99 > 800us", "yes no"}, // medians of 889 and 444
		{"eventloop.p99 - floor.p99 <= 0us", "no no"},
		{"eventloop.throughput - floor.throughput >= 0", "no no"},
		{"eventloop.throughput == 112.5", "yes no"}, // of the fourth round
		{"eventloop.throughput != 112.5", "no yes"},
		{"eventloop.p99 > 1s / 113", "yes no"},
		{"eventloop.p99 > 8ms", "yes no"},
		// The error is in one round of seven.
		{"eventloop.errors > 0", "yes no"},
		{"eventloop.errors > floor.errors", "yes no"},
		{"eventloop.error_rate > 0.01%", "yes no"},
		{"eventloop.error_rate > 0.02%", "no no"},
		{"eventloop.max > 71ms", "yes no"}, // of the last round
		{"floor.p99 < 5ms", "no yes"},
		{"-eventloop.throughput < -(100 + 2 * 3)", "yes yes"},
	}
	for _, tt := range tests {
		outcomes, err := check(t, tt.text, example(t))
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		var got []string
		for _, o := range outcomes {
			got = append(got, map[bool]string{true: "yes", false: "no"}[o.True])
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %v, want %s", tt.text, got, tt.want)
			for _, o := range outcomes {
				t.Log(o.String())
			}
		}
	}
}

// TestNothingAnswered has a round in which the event loop answered nothing under one
// load: a condition on its times is not checked there, and says so.
func TestNothingAnswered(t *testing.T) {
	files := example(t)
	run := &files[""][0].Runs[5] // of t64
	run.Calls, run.CallsPerSecond, run.Latency, run.Failed = 0, 0, load.Latency{}, 1000
	for _, text := range []string{"eventloop.p99 > 60s", "eventloop.max > 60s", "eventloop.p99 > 2 * floor.p99", "eventloop.p99 > 60s on t64"} {
		if _, err := check(t, text, files); !errors.Is(err, ErrNowhere) || !strings.Contains(err.Error(), "under t64: eventloop answered nothing in round 1") {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"eventloop.p99 > 60s on t1", "eventloop.throughput > 1000000", "floor.p99 > 60s"} {
		if outcomes, err := check(t, text, files); err != nil || outcomes[0].True {
			t.Errorf("%s: %v, %v", text, outcomes, err)
		}
	}
}

// TestOutcome says with which numbers.
func TestOutcome(t *testing.T) {
	files := example(t)
	tests := []struct{ text, want string }{
		{"eventloop.throughput < 0.95 * floor.throughput on t1", "eventloop.throughput < 0.95 * floor.throughput on t1, quick, t1: left/right 0.9474 (0.9474 to 0.9474), median of 7 rounds; " +
			"eventloop.throughput 112.5 calls/s (median of 7), floor.throughput 125 calls/s (median of 7)"},
		{"eventloop.throughput - floor.throughput < 0 on t1", "eventloop.throughput - floor.throughput < 0 on t1, quick, t1: left - right -12.5 (-100 to -1.562), median of 7 rounds; " +
			"eventloop.throughput 112.5 calls/s (median of 7), floor.throughput 125 calls/s (median of 7)"},
		{"eventloop.errors > 0 on t1", "eventloop.errors > 0 on t1, quick, t1: left 1, right 0; eventloop.errors 1 in all rounds"},
	}
	for _, tt := range tests {
		outcomes, err := check(t, tt.text, files)
		if err != nil || len(outcomes) != 1 || outcomes[0].String() != tt.want {
			t.Errorf("%s: %v\n%v\nwant\n%s", tt.text, err, outcomes, tt.want)
		}
	}
	r := files[""][0]
	r.Runs = r.Runs[:5*6]
	for i := range r.Runs {
		r.Runs[i].At = 7
	}
	if outcomes, err := check(t, "eventloop.p99 > floor.p99 on t1 at 7", files); err != nil || len(outcomes) != 1 ||
		!strings.Contains(outcomes[0].String(), "t1 at 7: ") || !strings.Contains(outcomes[0].String(), "too few to exclude chance") {
		t.Errorf("%v, %v", outcomes, err)
	}
}

// TestNowhere has conditions that apply nowhere or cannot be computed. None is
// silently false.
func TestNowhere(t *testing.T) {
	files := example(t)
	lonely := example(t)
	r := lonely[""][0]
	for i := range r.Runs {
		if r.Runs[i].Server == "eventloop" {
			r.Runs[i].Round += 100
		}
	}
	for _, tt := range []struct {
		files      Files
		text, want string
	}{
		{files, "reference.p99 > 1us", "no run of reference"},
		{files, "eventloop.p99 > 1us on t2", "no run of eventloop"},
		{files, "eventloop.p99 > 1us at 5", "no run of eventloop"},
		{files, "eventloop.rss > 1MiB", "not measured"},
		{files, "eventloop.p99 / 0 > 1us", "divided by 0"},
		{files, "eventloop.p99 / floor-1.errors > 1us", "divided by 0"},
		{lonely, "eventloop.p99 > floor.p99", "no round has all"},
		{Files{}, "eventloop.p99 > 1us", "no run"},
	} {
		if outcomes, err := check(t, tt.text, tt.files); !errors.Is(err, ErrNowhere) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v", tt.text, outcomes, err)
		}
	}
}

// TestTwoFiles compares medians: rounds of two files have nothing in common.
func TestTwoFiles(t *testing.T) {
	before, after := example(t)[""], example(t)[""]
	for i := range after[0].Runs {
		after[0].Runs[i].CallsPerSecond *= 0.5
		after[0].Runs[i].Process = &measure.Usage{MemoryAfter: measure.Memory{RSS: 2 << 20}}
	}
	files := Files{Old: before, New: after}
	for text, want := range map[string]bool{
		"new.eventloop.throughput < 0.51 * old.eventloop.throughput": true,
		"new.eventloop.throughput < 0.49 * old.eventloop.throughput": false,
		"new.eventloop.rss > 1MiB":                                   true,
	} {
		outcomes, err := check(t, text, files)
		if err != nil || len(outcomes) != 2 || outcomes[0].True != want || outcomes[0].PerRound != nil {
			t.Errorf("%s: %v, %v", text, outcomes, err)
		}
	}
	if outcomes, err := check(t, "old.eventloop.rss > 1MiB", files); err == nil {
		t.Errorf("%v", outcomes)
	}
	after[0].Name = "other"
	if outcomes, err := check(t, "new.eventloop.p99 > old.eventloop.p99", files); !errors.Is(err, ErrNowhere) {
		t.Errorf("reports that do not match: %v, %v", outcomes, err)
	}
}

// TestCheck has what is wrong before a server has run.
func TestCheck(t *testing.T) {
	one := example(t)
	one[""][0].Runs = nil
	two := Files{Old: one[""], New: one[""]}
	for _, tt := range []struct {
		files        Files
		text, reason string // "" if nothing is wrong
		position     int
	}{
		{one, "eventloop.p99 > floor.p99 on t64", "", 0},
		{one, "eventloop.p99 > floor-1.p99", "", 0},
		{one, "eventloop.p99 > gnet.p99", `there is no server "gnet"; there are floor-1, floor, floor-2, eventloop`, 16},
		{one, "eventloop.p99 > 1us on t2", "there is no load t2; there are t1, t64", 23},
		{one, "new.eventloop.p99 > 1us", "for the comparison of two files", 0},
		{two, "new.eventloop.p99 > old.eventloop.p99", "", 0},
		{two, "new.eventloop.p99 > eventloop.p99", "Write old.eventloop.p99 or new.eventloop.p99", 20},
		{two, "new.x.p99 > old.eventloop.p99", `no server "x"`, 0},
	} {
		c, err := Parse(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		if err = c.CheckFiles(len(tt.files) == 2); err == nil {
			err = c.Check(tt.files)
		}
		var wrong *Error
		if tt.reason == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.text, err)
			}
		} else if !errors.As(err, &wrong) || wrong.Position != tt.position || !strings.Contains(wrong.Reason, tt.reason) {
			t.Errorf("%s: %v", tt.text, err)
		}
	}
	if got := list([]string{"a b", "a", "a b", "old"}); got != `"a b", a, "old"` {
		t.Errorf("%s", got)
	}
}
