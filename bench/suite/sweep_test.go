package suite

import (
	"slices"
	"strings"
	"testing"

	"credrpc/bench/load"
	"credrpc/bench/report"
)

// swept is a report in which servers are so many times as fast as the defaults, load by
// load: the low, middle and high end of the interval.
func swept(ratios map[string][]report.Interval) *report.Report {
	r := &report.Report{Loads: []load.Load{{Batch: 1, Callers: 16}, {Batch: 1, Callers: 64}}}
	for server, all := range ratios {
		for i, ratio := range all {
			r.Pairs = append(r.Pairs, &report.Pair{Server: server, Against: sweepDefault, Load: r.Loads[i], Rounds: 15, Throughput: &ratio})
		}
	}
	return r
}

var (
	up   = report.Interval{Low: 1.1, Median: 1.2, High: 1.3, Verdict: report.More}
	more = report.Interval{Low: 1.2, Median: 1.4, High: 1.5, Verdict: report.More}
	same = report.Interval{Low: 0.9, Median: 1, High: 1.1, Verdict: report.NoDifference}
	down = report.Interval{Low: 0.7, Median: 0.8, High: 0.9, Verdict: report.Less}
	few  = report.Interval{Low: 1.1, Median: 1.2, High: 1.3, Verdict: report.TooFew}
)

// names are those of tunings and of their parts.
func names(all []tuning) string {
	var text []string
	for i := range all {
		text = append(text, all[i].name()+": "+all[i].partNames())
	}
	return strings.Join(text, "; ")
}

func TestSweepChoice(t *testing.T) {
	c := SweepConfig{TryOnLoop: true, TryLoops: []int{2, 4}, GOMAXPROCS: []int{1}, GOGC: []string{"off"}}
	for _, tt := range []struct {
		name   string
		ratios map[string][]report.Interval
		want   string
	}{
		{"nothing is better", map[string][]report.Interval{"Loops 2": {same, same}, "GOGC off": {down, same}}, ""},
		{"too few rounds", map[string][]report.Interval{"Loops 2": {few, few}}, ""},
		{"better here and worse there", map[string][]report.Interval{"Loops 2": {down, more}}, ""},
		{"the better of two values", map[string][]report.Interval{"Loops 2": {up, same}, "Loops 4": {same, more}}, "best together: Loops 4"},
		{"a promise apart", map[string][]report.Interval{"HandlerOnLoop true": {up, up}, "GOGC off": {same, up}},
			"best together: GOGC off; best on the loop: GOGC off, HandlerOnLoop true"},
		{"a promise alone", map[string][]report.Interval{"HandlerOnLoop true": {up, same}}, "best on the loop: HandlerOnLoop true"},
	} {
		r := swept(tt.ratios)
		if got := names(combine(c.better(c.tunings(), r), r)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestSweepWords(t *testing.T) {
	c := SweepConfig{TryOnLoop: true, TryLoops: []int{2}, GOGC: []string{"off"}}
	tried := c.tunings()
	first := swept(map[string][]report.Interval{"HandlerOnLoop true": {up, same}, "Loops 2": {down, up}, "GOGC off": {same, down}})
	for _, p := range first.Pairs {
		if p.Server == "Loops 2" {
			p.CPU = &more
		}
	}
	said := strings.Join(c.screened(tried, first), "\n")
	for _, want := range []string{
		"HandlerOnLoop true is better with t16, 1.200 (1.100-1.300) times.",
		"Loops 2 is better with t64, 1.200 (1.100-1.300) times and worse with t16, 0.800 (0.700-0.900) times: a matter of what the load is.",
		"GOGC off is worse with t64, ",
		"Loops 2 takes with t16 1.400 (1.200-1.500) times, and with t64 1.400 (1.200-1.500) times the processor time a call.",
		"Of 6 comparisons at 95 % some 0.3 are better or worse by chance",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing:\n%s", want, said)
		}
	}
	together := combine(c.better(tried, first), first)
	confirmed := c.recommend(together, swept(map[string][]report.Interval{sweepBestOnLoop: {up, same}}))
	if want := "best on the loop: confirmed, with t16, 1.200 (1.100-1.300) times. Set Server.HandlerOnLoop = true (credrpc serve --on-loop), if the handler never blocks and is quick."; !slices.Equal(confirmed, []string{want}) {
		t.Errorf("%q", confirmed)
	}
	refuted := c.recommend(together, swept(map[string][]report.Interval{sweepBestOnLoop: {same, same}}))
	if len(refuted) != 2 || !strings.Contains(refuted[0], "not confirmed") || refuted[1] != "The defaults are as good as anything that was tried here." {
		t.Errorf("%q", refuted)
	}
}

// TestSweepServers checks what servers are started with.
func TestSweepServers(t *testing.T) {
	c := SweepConfig{TryOnLoop: true, TryLoops: []int{2}, GOMAXPROCS: []int{1}, GOGC: []string{"off"}}
	b := &Bench{Self: "/self"}
	all := tuning{value: sweepBestOnLoop}
	for _, part := range c.tunings() {
		all.add(part)
	}
	e := all.entrant()
	command, err := e.command(b, t.Context(), "/socket")
	if got := strings.Join(command, " "); err != nil || got != "/self server eventloop --on-loop --loops 2 /socket" ||
		!slices.Equal(e.environment, []string{"GOMAXPROCS=1", "GOGC=off"}) || e.against != sweepDefault || e.Cores != 2 {
		t.Errorf("%q, %+v, %v", got, e, err)
	}
	defaults := tuning{value: sweepDefault}
	if e := defaults.entrant(); e.against != "" || len(e.environment) != 0 {
		t.Errorf("%+v", e)
	}
}

// TestEnvironment checks that a server has the variables of its variant.
func TestEnvironment(t *testing.T) {
	b := &Bench{Self: "/self", Progress: quiet}
	defer b.Close()
	v := script(`echo "GOGC is $GOGC" >&2; exit 3`)
	v.environment = []string{"GOGC=77"}
	if _, err := b.start(t.Context(), v); err == nil || !strings.Contains(err.Error(), "GOGC is 77") {
		t.Errorf("%v", err)
	}
}
