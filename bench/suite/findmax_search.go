package suite

import (
	"math"

	"credrpc/bench/load"
)

// A grid is the rates that a search can try: from the lowest on, each the same factor
// above the one before, so many to a doubling.
type grid struct {
	lowest     float64 // calls a second
	perDouble  int
	last       int // index of the highest
	resolution float64
}

// newGrid returns the rates from lowest to highest, which is included, that are at most
// a share of the rate apart, such as 0.05.
func newGrid(lowest, highest, resolution float64) grid {
	perDouble := 1 // a power of two, so that halving ends where there is a rate
	for math.Exp2(1/float64(perDouble))-1 > resolution {
		perDouble *= 2
	}
	g := grid{lowest: lowest, perDouble: perDouble, resolution: math.Exp2(1/float64(perDouble)) - 1}
	g.last = int(math.Ceil(math.Log2(highest/lowest)*float64(perDouble) - 1e-9))
	return g
}

// rate returns the rate with an index, a whole number from 10 on.
func (g *grid) rate(index int) float64 {
	rate := min(load.MaxRate, g.lowest*math.Exp2(float64(index)/float64(g.perDouble)))
	if rate >= 10 {
		return math.Round(rate)
	}
	return rate
}

// An outcome is what one run says about a rate.
type outcome uint8

const (
	undecided outcome = iota // more runs are needed
	held                     // the objective held
	missed                   // it did not
	late                     // it did not, and the generator may be why: nothing is said of the server
)

// votes are the runs at one rate.
type votes struct {
	held, missed, late int
}

// A search looks for the highest rate of a grid at which more than half of the runs
// hold the objective. What it wants next follows from the votes alone.
type search struct {
	grid
	tries int // runs that decide about a rate, an odd number
	votes map[int]*votes
}

// A bracket is what a search knows.
type bracket struct {
	holds int // the highest rate at which most runs held; -1 if there is none
	// misses is the lowest at which most did not, or said nothing (bound is true);
	// past the grid if there is none.
	misses int
	bound  bool
	// At low all runs held, at high all missed; -1 and past the grid where there is no
	// such rate.
	low, high int
}

// add counts a run.
func (s *search) add(index int, o outcome) {
	v := s.votes[index]
	if v == nil {
		v = new(votes)
		s.votes[index] = v
	}
	switch o {
	case held:
		v.held++
	case missed:
		v.missed++
	case late:
		v.late++
	}
}

// decide says what most runs at a rate say. It is decided as soon as more runs could
// not change it.
func (s *search) decide(index int) outcome {
	majority := s.tries/2 + 1
	switch v := s.votes[index]; {
	case v == nil:
		return undecided
	case v.held >= majority:
		return held
	case v.missed >= majority:
		return missed
	case v.late >= majority:
		return late
	}
	return undecided
}

// unanimous reports whether all runs at a rate say o: held or missed. decided is false
// as long as they might.
func (s *search) unanimous(index int, o outcome) (yes, decided bool) {
	v := s.votes[index]
	if v == nil {
		return false, false
	}
	wanted, other := v.held, v.missed
	if o == missed {
		wanted, other = other, wanted
	}
	switch {
	case other > 0 || v.late > s.tries/2:
		return false, true
	default:
		return wanted >= s.tries, wanted >= s.tries
	}
}

// next returns the rate at which a run is wanted. more is false if there is none; b is
// then complete, and else what is known so far.
func (s *search) next() (index int, b bracket, more bool) {
	b = bracket{holds: -1, misses: s.last + 1, low: -1, high: s.last + 1}
	if index, more = s.double(&b); more {
		return index, b, true
	}
	if index, more = s.halve(&b); more {
		return index, b, true
	}
	index, more = s.ends(&b)
	return index, b, more
}

// double doubles the rate until it is too high.
func (s *search) double(b *bracket) (index int, more bool) {
	for index = 0; ; index = min(index+s.perDouble, s.last) {
		switch o := s.decide(index); o {
		case undecided:
			return index, true
		case held:
			b.holds = index
			if index == s.last {
				return 0, false
			}
		default:
			b.misses, b.bound = index, o == late
			return 0, false
		}
	}
}

// halve halves what lies between the highest rate that is not too high and the lowest
// that is, until nothing does.
func (s *search) halve(b *bracket) (index int, more bool) {
	for b.holds >= 0 && b.misses-b.holds > 1 {
		middle := (b.holds + b.misses) / 2
		switch o := s.decide(middle); o {
		case undecided:
			return middle, true
		case held:
			b.holds = middle
		default:
			b.misses, b.bound = middle, o == late
		}
	}
	return 0, false
}

// ends goes away from the bracket, in larger and larger steps, until all runs say the
// same.
func (s *search) ends(b *bracket) (index int, more bool) {
	for low, step := b.holds, 1; low >= 0; low, step = low-step, step*2 {
		yes, decided := s.unanimous(low, held)
		if !decided {
			return low, true
		}
		if yes {
			b.low = low
			break
		}
	}
	if b.bound || b.holds < 0 {
		return 0, false
	}
	for high, step := b.misses, 1; high <= s.last; high, step = high+step, step*2 {
		yes, decided := s.unanimous(high, missed)
		if !decided {
			return high, true
		}
		if yes {
			b.high = high
			break
		}
	}
	return 0, false
}
