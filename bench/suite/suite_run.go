package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"credrpc/bench/floor"
	"credrpc/bench/load"
	"credrpc/bench/report"
	"credrpc/bench/s6chain"
)

// A Suite says what [Bench.Suite] measures.
type Suite struct {
	Only  []string      // names of scenarios; empty is all
	Time  time.Duration // for all of them
	Short bool          // one round of very short runs, whatever Time is: shows that everything works
	Seed  uint64        // of the order of runs, sizes and arrivals
}

// Suite measures one scenario after another, each in its part of the time, and
// returns a report for each. What cannot run here is left out: its report has no run
// and a notice that says why. Another scenario that fails is named in the error and
// does not keep the rest from being measured. If ctx ends, the file has what there is.
func (b *Bench) Suite(ctx context.Context, s Suite) (*report.File, error) {
	file := &report.File{Format: report.Format, Command: "suite"}
	all := s.scenarios()
	var errs []error
	began, total := time.Now(), 0.0
	for _, sc := range all {
		total += sc.weight
	}
	left := total
	for _, sc := range all {
		if ctx.Err() != nil {
			break
		}
		// What one scenario leaves or takes too much changes what the others have.
		budget := max(0, time.Duration(float64(s.Time-time.Since(began))*sc.weight/left))
		progress := b.Progress
		begun := time.Now()
		b.Progress = s.telling(progress, sc, began, (total-left)/total, sc.weight/total)
		r, err := sc.run(b, ctx, allowance{budget, s.Short, s.Seed})
		b.Progress = progress
		b.stopServers() // no server of one scenario is there in the next
		left -= sc.weight
		switch {
		case isUnavailable(err):
			r.Notices = append(r.Notices, fmt.Sprintf("%s is left out: %v.", sc.name, err))
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", sc.name, err))
		}
		if took := time.Since(begun); !s.Short && took > budget*5/4 {
			r.Notices = append(r.Notices, fmt.Sprintf("It took %v and not the %v of its share: fewer rounds would mean little.",
				took.Round(time.Second), budget.Round(time.Second)))
		}
		conclude(r, sc)
		file.Reports = append(file.Reports, r)
	}
	return file, errors.Join(errs...)
}

// isUnavailable reports whether an error says that something cannot run here.
func isUnavailable(err error) bool {
	return slices.ContainsFunc([]error{load.ErrNotRoot, ErrNoPeers, s6chain.ErrUnavailable, floor.ErrNoCompiler},
		func(target error) bool { return errors.Is(err, target) })
}

// telling returns what a scenario tells its progress: it fills the given part of the
// whole, from a share of it on.
func (s *Suite) telling(tell func(float64, string), sc scenario, began time.Time, from, part float64) func(float64, string) {
	return func(done float64, line string) {
		left := max(0, s.Time-time.Since(began)).Round(time.Second)
		if s.Short {
			tell(from+done*part, sc.name+": "+line)
			return
		}
		tell(from+done*part, fmt.Sprintf("about %v left  %s: %s", left, sc.name, line))
	}
}

// scenarios are the chosen scenarios in their order.
func (s *Suite) scenarios() []scenario {
	return slices.DeleteFunc(allScenarios(), func(sc scenario) bool {
		return len(s.Only) > 0 && !slices.Contains(s.Only, sc.name)
	})
}

// An allowance is what a scenario may take.
type allowance struct {
	time  time.Duration
	short bool
	seed  uint64
}

const (
	// aimedRounds is the number of rounds that the length of runs is chosen for.
	aimedRounds = 8

	// shortestRun is the shortest run in a scenario. Then there are fewer rounds, and
	// if they would be fewer than the least, it takes longer than it should.
	shortestRun = 100 * time.Millisecond

	// shortRun is the length of runs that show only that everything works.
	shortRun = 25 * time.Millisecond

	// runOverhead is about what starting a load generator takes, and its warm-up.
	runOverhead = 90 * time.Millisecond
)

// comparison returns a comparison that fits the allowance: one whose rounds have a
// number of runs, none of them longer than longest, and that takes some time besides.
func (a allowance) comparison(runs int, longest, besides time.Duration) Comparison {
	c := Comparison{Rounds: report.MinRounds, Payload: 32, Seed: a.seed}
	if a.short {
		c.Rounds, c.Duration = 1, shortRun
		return c
	}
	c.Budget = max(1, a.time-besides)
	c.Duration = c.lasting(aimedRounds, runs, longest)
	return c
}

// lasting returns how long runs are, of which a round has some, so that a number of
// rounds fit.
func (c *Comparison) lasting(rounds, runs int, longest time.Duration) time.Duration {
	return min(longest, max(shortestRun, c.Budget/time.Duration(rounds*runs)-runOverhead))
}

// points are the values of a scenario's axis: all, or in a short suite the first two
// and the last but one, since the last takes seconds to set up.
func (a allowance) points(all ...int) []int {
	if !a.short {
		return all
	}
	return []int{all[0], all[1], all[len(all)-2]}
}
