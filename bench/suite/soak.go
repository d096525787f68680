package suite

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/measure"
	"credrpc/bench/report"
	"credrpc/bench/trend"
)

// A SoakConfig says for how long a server has a load, and how often it is looked at.
type SoakConfig struct {
	// Scenario has the server, whose process must be known, and the load: without
	// Arrivals and Duration.
	Scenario
	Rate    float64       // calls a second that arrive as a Poisson process; 0 is a closed loop
	Every   time.Duration // length of a run, at whose end the server is looked at
	Samples int           // runs
	WarmUp  float64       // share of the samples that does not count
	Faults  Faults        // that befall the server meanwhile
}

// Tolerances of a soak: by how much something may grow, from the end of the warm-up to
// the last sample, and still be level. Nobody tuned them; a server of this module that
// does not leak stays below.
const (
	memoryTolerance      = 1 << 20 // bytes
	memoryToleranceShare = 0.02    // of what there is: the more, if it is more
	descriptorTolerance  = 8
	threadTolerance      = 8
	goroutineTolerance   = 16
)

// ErrLeak reports a server that grows.
var ErrLeak = errors.New("suite: the server grows")

// ErrLetIn reports hostile callers who were answered and must not be.
var ErrLetIn = errors.New("suite: hostile callers were answered who must be refused")

// ErrSoakProcess reports a server whose process is not known.
var ErrSoakProcess = errors.New("suite: a soak looks at the server's process, which must be known")

// Soak has a server serve a load for long, in runs one after the other, and says
// whether it grows. Between two runs nobody calls, so descriptors are counted when none
// of the load is open. If ctx ends, the report says so and has the runs up to then. It
// returns [ErrLeak] with a report if the server grows, and [ErrServer] if it ends.
func (b *Bench) Soak(ctx context.Context, c SoakConfig) (*report.Report, []Growth, error) {
	r := &report.Report{
		Name: "soak", Title: "whether a server under load grows",
		Machine: measure.Describe(), PressureBefore: measure.PressureNow(), Loads: []load.Load{c.Load.Load},
		Axis: &report.Axis{Name: "time", Unit: "seconds"}, Rounds: 1, Seconds: c.Every.Seconds(), Payload: c.Load.Payload,
		Seed: c.Load.Seed, Settings: c.settings(),
	}
	if c.Socket != "" && c.PID == 0 {
		return r, nil, ErrSoakProcess
	}
	met := map[Fault]int{}
	server, err := b.soakTarget(ctx, &c, r)
	if err == nil {
		err = b.soakAll(ctx, &c, server, met, r)
	}
	grown := c.growth(r)
	r.Findings = c.conclude(grown, met, errors.Is(err, ErrServer), r)
	for _, g := range grown {
		if g.leaks() {
			err = errors.Join(err, fmt.Errorf("%w: %s", ErrLeak, g.What))
		}
	}
	if n, _ := c.letIn(r); n > 0 {
		err = errors.Join(err, fmt.Errorf("%w: %d", ErrLetIn, n))
	}
	return r, grown, finish(ctx, r, err)
}

// soakTarget returns the server, with rules that faults can befall.
func (b *Bench) soakTarget(ctx context.Context, c *SoakConfig, r *report.Report) (*target, error) {
	if len(c.Faults) == 0 {
		return b.target(ctx, &c.Scenario, r)
	}
	if c.Rules != "" || c.Socket != "" || c.Server == Reference {
		return nil, fmt.Errorf("%w: faults are for package server, started with rules of their own", ErrCannot)
	}
	var err error
	if c.Rules, err = b.openRules(&c.Scenario); err != nil {
		return nil, err
	}
	return b.target(ctx, &c.Scenario, r)
}

// settings are what all runs have in common.
func (c *SoakConfig) settings() []report.Setting {
	loop := "closed"
	if c.Rate > 0 {
		loop = fmt.Sprintf("open, %g calls/s, poisson", c.Rate)
	}
	all := []report.Setting{{Name: "loop", Value: loop}, {Name: "sizes", Value: c.Load.Sizes.String()},
		{Name: "warm-up", Value: fmt.Sprintf("%g %% of the samples", c.WarmUp*100)}, {Name: "samples", Value: strconv.Itoa(c.Samples)}}
	if len(c.Load.Hostile) > 0 {
		all = append(all, report.Setting{Name: "hostile callers", Value: c.Load.Hostile.String()})
	}
	if c.Load.Identify {
		all = append(all, report.Setting{Name: "answers", Value: "say who called, which is verified"})
	}
	if len(c.Faults) > 0 {
		all = append(all, report.Setting{Name: "faults", Value: c.Faults.String()})
	}
	if len(c.Load.UIDs) > 0 {
		all = append(all, report.Setting{Name: "users", Value: c.Load.UIDs.String()})
	}
	return all
}

// soakAll makes the runs. What befalls the server is counted in met.
func (b *Bench) soakAll(ctx context.Context, c *SoakConfig, server *target, met map[Fault]int, r *report.Report) error {
	began := time.Now()
	told := b.Progress
	defer func() { b.Progress = told }()
	for i := range c.Samples {
		b.Progress = func(float64, string) {
			told(float64(i)/float64(c.Samples), fmt.Sprintf("sample %d of %d: %s", i+1, c.Samples, soFar(r)))
		}
		b.Progress(0, "") // a short run says nothing
		config := c.Load
		config.Seed += uint64(i)
		config.Duration = c.Every
		if c.Rate > 0 {
			config.Arrivals = &load.Arrivals{Poisson: true, Steps: load.Steps{{Rate: c.Rate, Duration: c.Every}}}
		}
		calm := b.disturb(ctx, c, server, met)
		run, err := b.offer(ctx, server, config, &Profiles{}, r)
		err = errors.Join(err, calm())
		if run != nil && !run.Interrupted {
			run.At = time.Since(began).Seconds()
			r.Runs = append(r.Runs, *run)
		}
		if err != nil || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// soFar says in a few words what the last run found.
func soFar(r *report.Report) string {
	if len(r.Runs) == 0 || r.Runs[len(r.Runs)-1].Process == nil {
		return "nothing yet"
	}
	last := &r.Runs[len(r.Runs)-1]
	return fmt.Sprintf("RSS %.1f MiB, %d descriptors, %.0f calls/s, %d errors", mib(last.Process.MemoryAfter.RSS),
		last.Process.DescriptorsAfter, last.CallsPerSecond, r.Errors())
}

// A Growth is how something of the server changed while it was under load.
type Growth struct {
	What        string
	Unit        string  // of its values
	First, Last float64 // medians of the first and the last quarter after the warm-up
	trend.Finding
	PerHour trend.Slope // in units an hour
	PerCall trend.Slope // in units a call
	// Unseen is how much growth an hour the tolerance hides in so short a time.
	Unseen float64
	leak   bool // growing is a leak; else there is no verdict
}

// leaks reports whether the server has a leak.
func (g *Growth) leaks() bool { return g.leak && g.Verdict == trend.Grows }

// A series is something of which every run has a value.
type series struct {
	what, unit string
	tolerance  func(level float64) float64 // nil if growing is no leak
	of         func(*report.Run) float64
}

// allSeries returns what a soak looks at.
func allSeries() []series {
	memory := func(level float64) float64 { return max(memoryTolerance, memoryToleranceShare*level) }
	fixed := func(n float64) func(float64) float64 { return func(float64) float64 { return n } }
	return []series{
		{"RSS", "bytes", memory, func(r *report.Run) float64 { return float64(r.Process.MemoryAfter.RSS) }},
		{"PSS", "bytes", memory, func(r *report.Run) float64 { return float64(r.Process.MemoryAfter.PSS) }},
		{"descriptors", "", fixed(descriptorTolerance), func(r *report.Run) float64 { return float64(r.Process.DescriptorsAfter) }},
		{"threads", "", fixed(threadTolerance), func(r *report.Run) float64 { return float64(r.Process.ThreadsAfter) }},
		{"goroutines", "", fixed(goroutineTolerance), func(r *report.Run) float64 {
			if r.Runtime == nil {
				return 0
			}
			return float64(r.Runtime.GoroutinesAfter)
		}},
		{"throughput", "calls/s", nil, func(r *report.Run) float64 { return r.CallsPerSecond }},
		{"p99", "µs", nil, func(r *report.Run) float64 { return r.Latency.P99 }},
		{"server CPU", "µs a call", nil, (*report.Run).ServerPerCall},
	}
}

// growth says what grew after the warm-up.
func (c *SoakConfig) growth(r *report.Report) (all []Growth) {
	var runs []*report.Run
	var seconds, calls []float64
	total := 0.0
	for i := range r.Runs {
		run := &r.Runs[i]
		total += float64(run.Calls + run.Errors())
		if i < int(c.WarmUp*float64(c.Samples)) || run.Process == nil {
			continue
		}
		runs, seconds, calls = append(runs, run), append(seconds, run.At), append(calls, total)
	}
	if len(runs) == 0 {
		return nil
	}
	for _, s := range allSeries() {
		values := make([]float64, len(runs))
		for i, run := range runs {
			values[i] = s.of(run)
		}
		if g := s.growth(seconds, calls, values); g.First > 0 { // else the kernel does not say
			all = append(all, g)
		}
	}
	return all
}

// growth says how the values of a series changed. There is at least one.
func (s *series) growth(seconds, calls, values []float64) Growth {
	quarter := (len(values) + 3) / 4
	g := Growth{What: s.what, Unit: s.unit,
		First: report.SpreadOf(values[:quarter]).Median, Last: report.SpreadOf(values[len(values)-quarter:]).Median}
	if s.tolerance == nil {
		return g
	}
	tolerance := s.tolerance(report.SpreadOf(values).Median)
	g.leak = true
	g.Finding = trend.Judge(seconds, values, tolerance)
	g.PerHour = g.Slope.Times(time.Hour.Seconds())
	g.PerCall = trend.Judge(calls, values, tolerance).Slope
	g.Unseen = tolerance / (seconds[len(seconds)-1] - seconds[0]) * time.Hour.Seconds()
	return g
}
