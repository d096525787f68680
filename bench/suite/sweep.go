package suite

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"credrpc/bench/load"
	"credrpc/bench/report"
)

// A SweepConfig says which settings of package server [Bench.Sweep] tries. Servers are
// not given: they are the settings.
type SweepConfig struct {
	Comparison
	Verify     int      // rounds of the comparison at the end
	TryOnLoop  bool     // the handler on the event loop
	TryLoops   []int    // numbers of event loops
	GOMAXPROCS []int    // what the server's environment says
	GOGC       []string // the same
}

// A tuning is one value of one setting, or several together.
type tuning struct {
	setting string // "" for the defaults and for several
	value   string
	onLoop  bool
	loops   int      // 0: the default
	env     []string // of the server's process
	promise string   // what a program must promise to use it, "" for nothing
	parts   []tuning // of several
}

const (
	// sweepDefault is what every setting is compared with, and sweepAgain the same once
	// more: how far its interval is from 1 is what the sweep cannot tell apart.
	sweepDefault = "defaults"
	sweepAgain   = "defaults, again"

	// sweepBest and sweepBestOnLoop are the settings together that were better alone,
	// without and with those that need a promise.
	sweepBest       = "best together"
	sweepBestOnLoop = "best on the loop"
)

// name is that of the server.
func (t *tuning) name() string {
	if t.setting == "" {
		return t.value
	}
	return t.setting + " " + t.value
}

// how says how a program gets the setting.
func (t *tuning) how() string {
	switch t.setting {
	case "Loops":
		return fmt.Sprintf("Server.Loops = %s (credrpc serve --loops %s)", t.value, t.value)
	case "HandlerOnLoop":
		return "Server.HandlerOnLoop = true (credrpc serve --on-loop)"
	}
	return t.setting + "=" + t.value + " in the environment"
}

// tunings returns the settings that are tried.
func (c *SweepConfig) tunings() (all []tuning) {
	if c.TryOnLoop {
		all = append(all, tuning{setting: "HandlerOnLoop", value: "true", onLoop: true, promise: "the handler never blocks and is quick"})
	}
	for _, n := range c.TryLoops {
		all = append(all, tuning{setting: "Loops", value: strconv.Itoa(n), loops: n})
	}
	for _, n := range c.GOMAXPROCS {
		value := strconv.Itoa(n)
		all = append(all, tuning{setting: "GOMAXPROCS", value: value, env: []string{"GOMAXPROCS=" + value}})
	}
	for _, value := range c.GOGC {
		all = append(all, tuning{setting: "GOGC", value: value, env: []string{"GOGC=" + value}})
	}
	return all
}

// entrant is package server with the setting, compared with the defaults.
func (t *tuning) entrant() entrant {
	kind := Eventloop
	if t.onLoop {
		kind = EventloopOnLoop
	}
	v := eventloopVariant(kind, t.loops)
	v.Name, v.Kind, v.environment = t.name(), t.name(), t.env
	against := sweepDefault
	if t.name() == sweepDefault {
		against = ""
	}
	return entrant{v, against}
}

// Sweep tries one setting at a time against the defaults, puts together what was better
// alone, and compares that with the defaults in rounds of their own. It returns a report
// of each; the second is nil if nothing was better or ctx ended. A setting counts as
// better only where it is in one load and is worse in none: its interval is on one side
// of 1.
func (b *Bench) Sweep(ctx context.Context, c SweepConfig) (first, second *report.Report, err error) {
	tried := c.tunings()
	first = c.report("sweep")
	first.Title = "settings of package server beside its defaults"
	first.Settings = []report.Setting{{Name: "method", Value: "one setting at a time"}}
	if err := b.sweepRounds(ctx, c.Comparison, tried, first); err != nil || first.Interrupted {
		return first, nil, err
	}
	first.Findings = c.screened(tried, first)
	together := combine(c.better(tried, first), first)
	if len(together) == 0 {
		first.Findings = append(first.Findings, "The defaults are as good as anything that was tried here.")
		return first, nil, nil
	}
	last := c.Comparison
	last.Rounds, last.Seed = c.Verify, c.Seed+1
	second = last.report("sweep-best")
	second.Title = "the best settings together beside the defaults"
	for _, t := range together {
		second.Settings = append(second.Settings, report.Setting{Name: t.name(), Value: t.partNames()})
	}
	err = b.sweepRounds(ctx, last, together, second)
	if err == nil && !second.Interrupted {
		second.Findings = c.recommend(together, second)
	}
	return first, second, err
}

// sweepRounds compares settings with the defaults and adds the rounds to r.
func (b *Bench) sweepRounds(ctx context.Context, c Comparison, tried []tuning, r *report.Report) error {
	defaults, again := tuning{value: sweepDefault}, tuning{value: sweepAgain}
	entrants := []entrant{defaults.entrant(), again.entrant()}
	for _, t := range tried {
		entrants = append(entrants, t.entrant())
	}
	return b.paired(ctx, c, entrants, r)
}

// A standing is how a setting compares with the defaults in one load.
type standing int

const (
	unclear standing = iota
	better
	worse
)

// standingOf reads the interval of a pair.
func standingOf(p *report.Pair) standing {
	switch {
	case p.Throughput == nil:
		return unclear
	case p.Throughput.Verdict == report.More:
		return better
	case p.Throughput.Verdict == report.Less:
		return worse
	}
	return unclear
}

// standings returns how a server compares with the defaults, by load.
func standings(server string, r *report.Report) (all map[load.Load]standing) {
	all = map[load.Load]standing{}
	for _, p := range r.Pairs {
		if p.Server == server {
			all[p.Load] = standingOf(p)
		}
	}
	return all
}

// isBetter reports whether a server is better than the defaults somewhere and worse
// nowhere.
func isBetter(server string, r *report.Report) bool {
	all := slices.Collect(maps.Values(standings(server, r)))
	return slices.Contains(all, better) && !slices.Contains(all, worse)
}

// better returns the settings that are better than the defaults.
func (c *SweepConfig) better(tried []tuning, r *report.Report) (kept []tuning) {
	for _, t := range tried {
		if isBetter(t.name(), r) {
			kept = append(kept, t)
		}
	}
	return kept
}

// combine puts settings together, of each the value with the greatest gain: those that
// need no promise, and if there are others, all of them.
func combine(kept []tuning, r *report.Report) (together []tuning) {
	best := map[string]tuning{}
	for _, t := range kept {
		if other, had := best[t.setting]; !had || gain(t.name(), r) > gain(other.name(), r) {
			best[t.setting] = t
		}
	}
	free, all := tuning{value: sweepBest}, tuning{value: sweepBestOnLoop}
	for _, setting := range slices.Sorted(maps.Keys(best)) {
		t := best[setting]
		all.add(t)
		if t.promise == "" {
			free.add(t)
		}
	}
	if len(free.parts) > 0 {
		together = append(together, free)
	}
	if all.promise != "" {
		together = append(together, all)
	}
	return together
}

// add puts another setting beside those of t.
func (t *tuning) add(other tuning) {
	t.parts = append(t.parts, other)
	t.onLoop, t.loops, t.env = t.onLoop || other.onLoop, max(t.loops, other.loops), append(t.env, other.env...)
	if other.promise != "" {
		t.promise = other.promise
	}
}

// partNames names the settings of t.
func (t *tuning) partNames() string {
	names := make([]string, len(t.parts))
	for i := range t.parts {
		names[i] = t.parts[i].name()
	}
	return strings.Join(names, ", ")
}

// gain is the product of the medians of a server's ratios to the defaults.
func gain(server string, r *report.Report) float64 {
	product := 1.0
	for _, p := range r.Pairs {
		if p.Server == server && p.Throughput != nil {
			product *= p.Throughput.Median
		}
	}
	return product
}
