package page

import (
	"math"
	"slices"

	"gonum.org/v1/plot"
)

// A scale is an axis of a plot.
type scale struct {
	label       string // with the unit, unless the ticks have it
	logarithmic bool
	show        func(float64) string // a tick's label
	at          []float64            // where ticks are; nil: at 1, 2 and 5 times powers of ten
	least, most float64              // the range. See [scale.cover]
}

// cover sets the range so that it holds the values, of which there may be none: from
// zero on if it is linear, and to a tick where ticks are at 1-2-5.
func (s *scale) cover(values []float64) {
	var kept []float64
	for _, v := range values {
		if usable(v) && (v > 0 || !s.logarithmic) {
			kept = append(kept, v)
		}
	}
	switch {
	case len(kept) == 0:
		s.least, s.most = 1, 10
	case !s.logarithmic:
		s.least, s.most = min(0, slices.Min(kept)), max(0, slices.Max(kept))
		if s.least == s.most {
			s.most = 1
		}
		step := linearStep(s.most - s.least)
		s.least, s.most = math.Floor(s.least/step)*step, math.Ceil(s.most/step-1e-9)*step
	default:
		s.least, s.most = floorTick(slices.Min(kept)), -floorTick(-slices.Max(kept))
		if s.least >= s.most {
			s.least, s.most = s.least/2, s.most*2
		}
	}
}

// fit sets the range to that of values where ticks are, with a little space beside.
func (s *scale) fit(values []float64) {
	least, most := slices.Min(values), slices.Max(values)
	switch {
	case least == most:
		s.cover(values)
	case s.logarithmic:
		beside := math.Pow(most/least, 0.04)
		s.least, s.most = least/beside, most*beside
	default:
		beside := (most - least) * 0.04
		s.least, s.most = least-beside, most+beside
	}
}

// linearStep is the distance of ticks: 1, 2 or 5 times a power of ten, so that there
// are four to nine.
func linearStep(span float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(span/4)))
	for _, m := range []float64{5, 2} {
		if span/(m*power) >= 4 {
			return m * power
		}
	}
	return power
}

// floorTick returns the greatest of 1, 2 and 5 times a power of ten that is at most v,
// and for -v the negative of the least that is at least v.
func floorTick(v float64) float64 {
	size := math.Abs(v)
	power := math.Pow(10, math.Floor(math.Log10(size)))
	steps := []float64{1, 2, 5, 10}
	if v < 0 {
		for _, m := range steps {
			if m*power >= size*(1-1e-9) {
				return -m * power
			}
		}
	}
	for _, m := range slices.Backward(steps) {
		if m*power <= size*(1+1e-9) {
			return m * power
		}
	}
	return math.Copysign(power, v)
}

// holds reports whether a figure can be drawn on the scale.
func (s *scale) holds(v float64) bool { return usable(v) && v >= s.least && v <= s.most }

// Ticks returns the ticks of a range, of which the larger have labels.
func (s *scale) Ticks(least, most float64) []plot.Tick {
	switch {
	case s.at != nil:
		return s.placed()
	case s.logarithmic:
		return s.logTicks(least, most)
	}
	var ticks []plot.Tick
	step := linearStep(most - least)
	first := math.Ceil(least/step - 1e-9)
	for n := first; n*step <= most+step*1e-9; n++ {
		ticks = append(ticks, plot.Tick{Value: n * step, Label: s.show(n * step)})
	}
	return ticks
}

// logTicks labels powers of ten, in a short range 2 and 5 times as much too, and in a
// long one only some of them.
func (s *scale) logTicks(least, most float64) (ticks []plot.Tick) {
	first, last := int(math.Floor(math.Log10(least))), int(math.Ceil(math.Log10(most)))
	decades := math.Log10(most / least)
	every := max(1, int(math.Ceil(decades/8)))
	for exponent := first; exponent <= last; exponent++ {
		for m := 1.0; m < 10; m++ {
			v := m * math.Pow(10, float64(exponent))
			if v < least*(1-1e-9) || v > most*(1+1e-9) {
				continue
			}
			tick := plot.Tick{Value: v}
			if m == 1 && (exponent-first)%every == 0 || (m == 2 || m == 5) && decades <= 3.1 {
				tick.Label = s.show(v)
			}
			ticks = append(ticks, tick)
		}
	}
	return ticks
}

// labelRoom is how much of an axis a character of a label takes.
const labelRoom = 0.0165

// placed has a tick at each of s.at, and labels where there is room: at the ends first,
// then from the left.
func (s *scale) placed() []plot.Tick {
	values := slices.Clone(s.at)
	slices.Sort(values)
	values = slices.Compact(values)
	ticks := make([]plot.Tick, len(values))
	used := math.Inf(-1)
	last := len(values) - 1
	begin := func(i int, label string) float64 {
		return s.norm(values[i]) - labelRoom*float64(len([]rune(label))+1)/2
	}
	for i, v := range values {
		ticks[i].Value = v
		label := s.show(v)
		half := labelRoom * float64(len([]rune(label))+1) / 2
		fits := begin(i, label) >= used
		if i != last && s.norm(v)+half > begin(last, s.show(values[last])) {
			fits = false
		}
		if fits || i == last {
			ticks[i].Label = label
			used = s.norm(v) + half
		}
	}
	return ticks
}

// norm is where a value lies between the ends of the range.
func (s *scale) norm(v float64) float64 { return s.normalizer().Normalize(s.least, s.most, v) }

func (s *scale) normalizer() plot.Normalizer {
	if s.logarithmic {
		return plot.LogScale{}
	}
	return plot.LinearScale{}
}
