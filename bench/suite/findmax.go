package suite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/measure"
	"credrpc/bench/objective"
	"credrpc/bench/report"
)

// ErrMissed reports a server that does not hold an objective even at the lowest rate.
var ErrMissed = errors.New("suite: no rate holds the objective")

// A FindMaxConfig says what [Bench.FindMax] looks for, and on which servers.
type FindMaxConfig struct {
	Servers []string // names of servers that are started; none with a Socket
	// Scenario has everything else about the servers. Its Load has no Duration and no
	// Arrivals.
	Scenario
	Objective  objective.Objective
	Poisson    bool
	From, To   float64       // rates in calls a second, the lowest and the highest
	Resolution float64       // how far apart rates are at most, as a share of the rate
	Tries      int           // runs that decide about a rate: odd, at least 3
	Duration   time.Duration // of a run
	Seed       uint64        // of the order of servers; runs have further seeds of arrivals
}

// Validate reports numbers that make no sense.
func (c *FindMaxConfig) Validate() error {
	switch calls, name := c.Objective.LeastCalls(); {
	case calls == 0:
		return errors.New("there must be an objective: --slo TERM,..., such as p99<500us,errors<0.01%")
	case !(c.From > 0 && c.From <= c.To && c.To <= load.MaxRate):
		return fmt.Errorf("the lowest rate, %v, must be above 0 and at most the highest, %v, and that at most %v", c.From, c.To, load.MaxRate)
	case !(c.Resolution >= 0.001 && c.Resolution <= 1):
		return errors.New("the resolution must be from 0.1 to 100 percent")
	case c.Tries < 3 || c.Tries > 31 || c.Tries%2 == 0:
		return errors.New("the number of tries must be odd, so that there is a majority, and from 3 to 31")
	case c.From*c.Duration.Seconds() < calls:
		return fmt.Errorf("%s needs %.0f calls a run or some few of them decide, and the lowest rate makes %.0f in %v: raise --from or --seconds",
			name, calls, c.From*c.Duration.Seconds(), c.Duration)
	}
	return nil
}

// A candidate is a server whose highest rate is looked for.
type candidate struct {
	*target
	search
	found bracket
	ended bool // the search is over
}

// FindMax looks for the highest offered rate at which each server holds the objective.
// The servers take turns, run by run, so that what else the machine does falls on all.
// If ctx ends, the report says so and has the runs up to then. It returns [ErrMissed]
// with a report if a server has no such rate.
func (b *Bench) FindMax(ctx context.Context, c FindMaxConfig) (*report.Report, error) {
	r := &report.Report{
		Name: "find-max", Title: "the highest offered rate at which " + c.Objective.String() + " holds",
		Machine: measure.Describe(), PressureBefore: measure.PressureNow(),
		Loads: []load.Load{c.Load.Load}, Axis: &report.Axis{Name: "offered rate", Unit: "calls/s", Logarithmic: true},
		Rounds: c.Tries, Seconds: c.Duration.Seconds(), Payload: c.Load.Payload, Seed: c.Seed,
		Settings: c.settings(),
	}
	if err := c.Validate(); err != nil {
		return r, err
	}
	candidates, err := b.candidates(ctx, &c, r)
	if err == nil {
		err = b.probeAll(ctx, &c, candidates, r)
	}
	r.Findings = c.conclude(candidates)
	if err == nil {
		err = c.without(candidates)
	}
	return r, finish(ctx, r, err)
}

// settings are what all runs have in common.
func (c *FindMaxConfig) settings() []report.Setting {
	arrivals := "constant"
	if c.Poisson {
		arrivals = "poisson"
	}
	all := []report.Setting{{Name: "objective", Value: c.Objective.String()}, {Name: "arrivals", Value: arrivals},
		{Name: "runs that decide", Value: strconv.Itoa(c.Tries)}}
	if len(c.Load.Sizes) > 0 {
		all = append(all, report.Setting{Name: "sizes", Value: c.Load.Sizes.String()})
	}
	return all
}

// candidates starts the servers, or takes the one that runs.
func (b *Bench) candidates(ctx context.Context, c *FindMaxConfig, r *report.Report) (all []*candidate, err error) {
	names := c.Servers
	if c.Socket != "" {
		names = []string{""}
	}
	for _, name := range names {
		s := c.Scenario
		s.Server = name
		t, err := b.target(ctx, &s, r)
		if err != nil {
			return nil, err
		}
		all = append(all, &candidate{target: t, search: search{
			grid: newGrid(c.From, c.To, c.Resolution), tries: c.Tries, votes: map[int]*votes{},
		}})
	}
	return all, nil
}

// probeAll lets servers have one run each in turn, in another order each time, until
// all searches have ended.
func (b *Bench) probeAll(ctx context.Context, c *FindMaxConfig, all []*candidate, r *report.Report) error {
	random := rand.New(rand.NewPCG(c.Seed, 0))
	for left := len(all); left > 0; {
		left = 0
		for _, i := range random.Perm(len(all)) {
			s := all[i]
			index, found, more := s.next()
			s.found, s.ended = found, !more
			if !more {
				continue
			}
			left++
			if err := b.probeRate(ctx, c, s, index, r); err != nil || ctx.Err() != nil {
				return err
			}
		}
	}
	return nil
}

// probeRate makes one run at a rate and counts what it says.
func (b *Bench) probeRate(ctx context.Context, c *FindMaxConfig, s *candidate, index int, r *report.Report) error {
	rate := s.rate(index)
	config := c.Load
	config.Seed = c.Seed + uint64(len(r.Runs))
	config.Arrivals = &load.Arrivals{Poisson: c.Poisson, Steps: load.Steps{{Rate: rate, Duration: c.Duration}}}
	told := b.Progress
	b.Progress = func(float64, string) {
		told(progressOf(s.found, s.last), fmt.Sprintf("run %d: %.0f calls/s on %s", len(r.Runs)+1, rate, s.Name))
	}
	b.Progress(0, "") // a short run says nothing
	run, err := b.offer(ctx, s.target, config, &Profiles{}, r)
	b.Progress = told
	if run == nil || run.Interrupted {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	o, judged := c.judge(run)
	if v := s.votes[index]; v != nil {
		run.Round = v.held + v.missed + v.late
	}
	run.At = rate
	s.add(index, o)
	r.Runs = append(r.Runs, *run)
	return errors.Join(err, judged)
}

// progressOf guesses how much of a search is done: half when the bracket is found.
func progressOf(b bracket, last int) float64 {
	switch {
	case b.misses > last && b.holds < last:
		return 0.25
	case b.misses-b.holds > 1:
		return 0.5
	}
	return 0.8
}

// judge says what a run says about its rate. A run that holds the objective does so
// also if the generator was late, since latency counts from the scheduled arrival.
func (c *FindMaxConfig) judge(run *report.Run) (outcome, error) {
	j, err := c.Objective.Judge(&run.Result)
	switch {
	case err != nil:
		return undecided, err
	case len(j.Missed) == 0:
		return held, nil
	case j.Late && (run.Late() || run.Bottleneck == report.BoundByGenerator):
		return late, nil
	}
	return missed, nil
}
