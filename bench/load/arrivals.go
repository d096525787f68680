package load

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Step is a time with one rate.
type Step struct {
	Rate     float64 // arrivals a second
	Duration time.Duration
}

// Steps follow one another. They are written RATE:DURATION,… with durations as
// [time.ParseDuration] reads them.
type Steps []Step

const (
	// MaxRate is the largest rate of a step: arrivals that are nearer to each
	// other than 100 ns are not told apart by the clock.
	MaxRate = 1e7

	// MaxSteps is the largest number of steps. Each caller has histograms for
	// each.
	MaxSteps = 100
)

// ParseSteps reads the notation of steps.
func ParseSteps(s string) (Steps, error) {
	var all Steps
	for _, text := range strings.Split(s, ",") {
		rate, duration, ok := strings.Cut(text, ":")
		if !ok {
			return nil, fmt.Errorf("load: the step %q is not RATE:DURATION, such as 10000:5s", text)
		}
		var step Step
		var err error
		if step.Rate, err = strconv.ParseFloat(rate, 64); err != nil {
			return nil, fmt.Errorf("load: the rate %q of a step is no number", rate)
		}
		if step.Duration, err = time.ParseDuration(duration); err != nil {
			return nil, fmt.Errorf("load: the duration %q of a step is none, such as 5s", duration)
		}
		all = append(all, step)
	}
	return all, all.validate()
}

func (s Steps) validate() error {
	if len(s) == 0 || len(s) > MaxSteps {
		return fmt.Errorf("load: %d steps are not in 1 to %d", len(s), MaxSteps)
	}
	for _, step := range s {
		if !(step.Rate > 0 && step.Rate <= MaxRate) { // NaN is neither
			return fmt.Errorf("load: %v arrivals a second are not above 0 and at most %v", step.Rate, MaxRate)
		}
		if step.Duration <= 0 || step.Duration > MaxDuration {
			return fmt.Errorf("load: a step of %v is not above 0 and at most %v", step.Duration, MaxDuration)
		}
	}
	return nil
}

// duration returns how long all steps take.
func (s Steps) duration() (d time.Duration) {
	for _, step := range s {
		d += step.Duration
	}
	return d
}

// String returns the notation that [ParseSteps] reads.
func (s Steps) String() string {
	all := make([]string, len(s))
	for i, step := range s {
		all[i] = strconv.FormatFloat(step.Rate, 'f', -1, 64) + ":" + step.Duration.String()
	}
	return strings.Join(all, ",")
}

// UnmarshalText reads the notation of steps.
func (s *Steps) UnmarshalText(text []byte) error {
	parsed, err := ParseSteps(string(text))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// MarshalText returns the notation of steps.
func (s Steps) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Arrivals are the schedule of an open loop.
type Arrivals struct {
	// Poisson makes the times between arrivals exponential and independent, as
	// those of calls that many callers make who do not know of each other. Else
	// all are the same within a step.
	Poisson bool  `json:"poisson"`
	Steps   Steps `json:"steps"`
}

// String says what the schedule is, in words.
func (a *Arrivals) String() string {
	kind := "constant"
	if a.Poisson {
		kind = "poisson"
	}
	return kind + " " + a.Steps.String()
}

// An arrival is a call that is due.
type arrival struct {
	at   time.Duration // since the run began
	step int           // 0 is the warm-up
}

// A schedule gives out arrivals in the order of their times. It is safe for
// concurrent use. Whoever takes one has it for good.
type schedule struct {
	mu     sync.Mutex
	steps  []timedStep
	random *rand.Rand    // nil: constant
	part   int           // of parts: the others have the other arrivals
	parts  int           // at least 1
	step   int           // guarded by mu: of the next arrival
	taken  int           // guarded by mu: arrivals of this step
	last   time.Duration // guarded by mu: random only, the last arrival or the step's begin
}

// A timedStep is a step that knows when it is.
type timedStep struct {
	rate        float64
	from, until time.Duration
}

// newSchedule returns one part of the arrivals, which begin with a warm-up at the
// rate of the first step. In constant arrivals part i of n has every nth arrival;
// Poisson processes of the nth part of the rate are together one of the rate.
func newSchedule(a *Arrivals, warmUp time.Duration, seed uint64, part, parts int) *schedule {
	s := &schedule{part: part, parts: parts}
	if a.Poisson {
		s.random = rand.New(rand.NewPCG(seed, uint64(part)))
	}
	s.steps = append(s.steps, timedStep{a.Steps[0].Rate, 0, warmUp})
	for _, step := range a.Steps {
		from := s.steps[len(s.steps)-1].until
		s.steps = append(s.steps, timedStep{step.Rate, from, from + step.Duration})
	}
	return s
}

// take returns the next arrival. ok is false if there is none left.
func (s *schedule) take() (a arrival, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; s.step < len(s.steps); s.step++ {
		if at, ok := s.next(s.steps[s.step]); ok {
			return arrival{at, s.step}, true
		}
		s.taken, s.last = 0, s.steps[s.step].until
	}
	return a, false
}

// roundingError is less than any number of arrivals and more than what a rate
// times a duration is off. An arrival that is due when its step ends belongs to
// the next step.
const roundingError = 1e-6

// next returns the next arrival of the step. ok is false if it has no more.
func (s *schedule) next(step timedStep) (at time.Duration, ok bool) {
	if s.random != nil {
		gap := s.random.ExpFloat64() / step.rate * float64(s.parts)
		s.last += time.Duration(math.Min(gap*float64(time.Second), float64(MaxDuration)))
		return s.last, s.last < step.until
	}
	index := float64(s.taken*s.parts + s.part)
	if index+roundingError >= step.rate*(step.until-step.from).Seconds() {
		return 0, false
	}
	s.taken++
	return step.from + time.Duration(index/step.rate*float64(time.Second)), true
}
