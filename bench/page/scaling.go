package page

import (
	"cmp"
	"math"
	"slices"

	"credrpc/bench/report"
)

// A quantity is a figure of a run that is shown over an axis.
type quantity struct {
	name, title string
	ofRates     bool // shown by [ratePlots] too
	of          func(*report.Run) float64
	scale       scale
	better      string
}

// quantities are those that are shown.
func quantities() []quantity {
	return []quantity{
		{"throughput", "Throughput", true, func(r *report.Run) float64 { return r.CallsPerSecond },
			scale{label: "throughput, calls a second", show: suffixed}, "Higher is better."},
		{"p99", "p99 of latency", true, func(r *report.Run) float64 { return r.Latency.P99 },
			scale{label: "p99 of latency", logarithmic: true, show: duration}, "Lower is better."},
		{"cpu", "Processor time a call", false, (*report.Run).ServerPerCall,
			scale{label: "server's processor time a call, µs", show: suffixed}, "Lower is better."},
		{"memory", "Memory", false, resident,
			scale{label: "server's resident memory (RSS), MiB", show: suffixed}, "Lower is better."},
	}
}

// resident is the resident memory of the server after a run in MiB, with all connections
// that send nothing open; no number if it is unknown.
func resident(r *report.Run) float64 {
	bytes, known := r.Resident()
	if !known {
		return math.NaN()
	}
	return bytes / (1 << 20)
}

// spreadReading says what the areas are.
const spreadReading = "Lines join medians of the rounds; the area around a line reaches from the least round to the greatest. "

// scalingPlots shows how the servers do over the axis. If it is the offered rate, what
// [ratePlots] shows is left out.
func scalingPlots(r *report.Report, cells []cell, byRate bool) (plots []*Plot) {
	for _, f := range familiesOf(r, cells) {
		for _, q := range quantities() {
			if byRate && q.ofRates {
				continue
			}
			c := &chart{x: axisScale(r.Axis, valuesOf(cells)), y: &q.scale}
			shift := c.x.shift(r.Axis, valuesOf(cells))
			for _, line := range f.lines() {
				k := curve{name: line[0].kind, style: line[0].style}
				for _, cell := range line {
					if s := report.SpreadOf(cell.figures(q.of)); s != nil {
						k.points = append(k.points, point{shift(cell.At), s.Median, s.Min, s.Max})
					}
				}
				c.curves = append(c.curves, k)
			}
			if !c.keep() || slices.Max(c.ys()) == 0 {
				continue
			}
			if least := slices.Min(c.ys()); least > 0 && slices.Max(c.ys()) > wideRange*least {
				c.y.logarithmic = true
			}
			c.y.cover(c.ys())
			title, name := q.title+" by "+printable(r.Axis.Name), "scaling-"+q.name
			if f.load != "" {
				title, name = title+": "+f.load, name+"-"+f.load
			}
			plots = append(plots, c.plot(name, title, spreadReading+q.better))
		}
	}
	return plots
}

// axisLabel names the axis and its unit.
func axisLabel(a *report.Axis) string {
	if a.Unit == "" || a.Unit == "bytes" {
		return printable(a.Name)
	}
	return printable(a.Name + ", " + a.Unit)
}

// axisValue shows a value of the axis with its unit.
func axisValue(a *report.Axis, v float64) string {
	switch a.Unit {
	case "bytes":
		return binary(v)
	case "":
		return suffixed(v) + " " + printable(a.Name)
	}
	return suffixed(v) + " " + printable(a.Unit)
}

// fewValues is up to how many values each has a tick.
const fewValues = 16

// axisScale is the horizontal scale of the values of the axis.
func axisScale(a *report.Axis, values []float64) *scale {
	s := &scale{label: axisLabel(a), logarithmic: a.Logarithmic, show: suffixed}
	if a.Unit == "bytes" {
		s.show = binary
	}
	if values[0] < 0 || slices.Max(values) == 0 {
		s.logarithmic = false
	}
	return s
}

// shift sets the range and the ticks of the scale, and returns where values are on it.
// On a logarithmic scale zero is a little to the left of the least other value.
func (s *scale) shift(a *report.Axis, values []float64) func(float64) float64 {
	place := func(v float64) float64 { return v }
	show := s.show
	if s.logarithmic && values[0] == 0 {
		zero := values[1] / cmp.Or(min(4, values[len(values)-1]/values[1]), 2)
		if zero == values[1] {
			zero = values[1] / 2
		}
		place = func(v float64) float64 { return max(v, zero) }
		s.show = func(v float64) string {
			if v <= zero {
				return "0"
			}
			return show(v)
		}
	}
	placed := make([]float64, len(values))
	for i, v := range values {
		placed[i] = place(v)
	}
	if len(values) <= fewValues {
		s.at = placed
	}
	s.fit(placed)
	return place
}
