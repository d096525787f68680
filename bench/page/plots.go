package page

import (
	"fmt"
	"math"
	"slices"

	"credrpc/bench/load"
	"credrpc/bench/report"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// plotsOf returns the plots of a report: over the offered rate if that changes, over
// the axis if there is one, else of throughput and processor time if there is something
// to compare; and the percentiles.
func plotsOf(r *report.Report, cells []cell) (plots []*Plot, err error) {
	byRate := false
	for _, f := range byLoad(r, cells) {
		rates, lines := rateLines(f.cells)
		plots = append(plots, ratePlots(f.load, rates, lines)...)
		byRate = byRate || slices.Equal(rates, valuesOf(cells))
	}
	switch {
	case usesAxis(r, cells):
		plots = append(plots, scalingPlots(r, cells, byRate)...)
	case len(cells) > 1:
		plots = append(plots, throughputPlot(r, cells), cpuPlot(r, cells))
	}
	percentiles, err := percentilePlots(r, cells)
	return slices.DeleteFunc(append(plots, percentiles...), func(p *Plot) bool { return p == nil }), err
}

// groups makes a group of rows of each load.
func groups(r *report.Report, cells []cell, make func(c *cell) row) (groups []rowGroup) {
	for _, l := range r.Loads {
		g := rowGroup{title: describeLoad(l)}
		for i := range cells {
			if c := &cells[i]; c.Load == l {
				row := make(c)
				row.name, row.style = c.kind, c.style
				g.rows = append(g.rows, row)
			}
		}
		if len(g.rows) > 0 {
			groups = append(groups, g)
		}
	}
	return groups
}

// describeLoad names a load and says it in words.
func describeLoad(l load.Load) string { return l.String() + ": " + report.Explain(l) }

// wideRange is from which ratio of the greatest to the least figure on a scale is
// logarithmic: others would be a dot at its beginning.
const wideRange = 25

// throughputPlot shows calls a second by server and load.
func throughputPlot(r *report.Report, cells []cell) *Plot {
	x := &scale{label: "throughput, calls a second", show: suffixed}
	c := &rowChart{x: x, groups: groups(r, cells, func(c *cell) row {
		s := c.CallsPerSecond
		return row{spread: point{y: s.Median, low: s.Min, high: s.Max}, text: inThousands(s.Median),
			rounds: c.figures(func(r *report.Run) float64 { return r.CallsPerSecond })}
	})}
	var medians, all []float64
	for _, g := range c.groups {
		for _, r := range g.rows {
			if usable(r.spread.y) && r.spread.y > 0 {
				medians = append(medians, r.spread.y)
			}
			all = append(all, r.spread.low, r.spread.y, r.spread.high)
		}
	}
	if len(medians) == 0 {
		return nil
	}
	reading := "Dots are medians of the rounds, whiskers reach from the least round to the greatest, small dots are the rounds. To the right is better."
	if slices.Max(medians) > wideRange*slices.Min(medians) {
		x.logarithmic = true
		x.label += ", logarithmic"
	}
	x.cover(all)
	return c.plot("throughput", "Throughput", reading)
}

// cpuPlot shows the server's processor time a call.
func cpuPlot(r *report.Report, cells []cell) *Plot {
	c := &rowChart{
		x:    &scale{label: "server's processor time a call, µs", show: digits},
		bars: true,
		keys: []key{{"system", sampleBar(mutedTone())}, {"user", sampleBar(pale(mutedTone()))}},
		groups: groups(r, cells, func(c *cell) row {
			return row{first: c.SystemPerCall, second: c.UserPerCall, text: microseconds(c.SystemPerCall+c.UserPerCall) + " µs"}
		})}
	c.limit()
	used := false
	for _, g := range c.groups {
		used = used || slices.ContainsFunc(g.rows, func(r row) bool { return usable(r.first+r.second) && r.first+r.second > 0 })
	}
	if !used {
		return nil
	}
	reading := "Processor time of the server's process by all calls of all rounds, in the kernel (system) and in the program (user). Shorter is better."
	if c.cut {
		reading += " Bars with two gaps go on beyond the scale; their figure is at the right."
	}
	return c.plot("cpu", "Processor time a call", reading)
}

// perDecade is how many points a percentile curve has for every tenfold 1/(1-p).
const perDecade = 24

// percentilePlots shows the distribution of latencies for each load. Over an axis, the
// first and the last value must do.
func percentilePlots(r *report.Report, cells []cell) (plots []*Plot, err error) {
	for _, f := range familiesOf(r, cells) {
		values := valuesOf(f.cells)
		if !usesAxis(r, cells) {
			values = []float64{0}
		}
		for i, at := range values {
			if i != 0 && i != len(values)-1 {
				continue
			}
			var there []cell
			for _, c := range f.cells {
				if !usesAxis(r, cells) || c.At == at {
					there = append(there, c)
				}
			}
			title, name := "Latency by percentile: "+f.load, "percentiles-"+f.load
			if usesAxis(r, cells) {
				value := axisValue(r.Axis, at)
				title, name = title+" at "+value, name+"-at-"+value
				if f.load == "" {
					title = "Latency by percentile at " + value
				}
			}
			p, err := percentilePlot(name, title, there)
			if err != nil {
				return nil, err
			}
			plots = append(plots, p)
		}
	}
	return plots, nil
}

// percentilePlot is that of some cells, nil if nothing was answered. With an open loop
// service times are beside.
func percentilePlot(name, title string, cells []cell) (*Plot, error) {
	c := &chart{
		x: &scale{label: "percentile", logarithmic: true, show: percentile, at: []float64{2}},
		y: &scale{label: "latency", logarithmic: true, show: duration},
	}
	for i := range cells {
		k := &cells[i]
		h, err := k.merged((*load.Group).Decode)
		if err != nil {
			return nil, err
		}
		points, marked := quantiles(h)
		c.curves = append(c.curves, curve{name: k.kind, style: k.style, points: points, marked: marked})
		if !k.open() {
			continue
		}
		if h, err = k.merged((*load.Group).DecodeService); err != nil {
			return nil, err
		}
		points, marked = quantiles(h)
		c.curves = append(c.curves, curve{style: k.style, beside: true, points: points, marked: marked})
		c.second = "service time"
	}
	if !c.keep() {
		return nil, nil
	}
	most := slices.Max(c.xs())
	for v := 10.0; v <= most; v *= 10 {
		c.x.at = append(c.x.at, v)
	}
	c.x.fit([]float64{1, max(most, 10)})
	c.y.cover(c.ys())
	reading := "Each step to the right is ten times rarer; a curve ends at the slowest call. Histograms of all rounds together. Lower is better."
	if c.second != "" {
		reading += " Latency counts from the scheduled arrival, service time from when the caller could send: what is between them was waiting."
	}
	return c.plot(name, title, reading), nil
}

// percentile shows 1/(1-p) as p.
func percentile(v float64) string {
	return fmt.Sprintf("%.*f %%", max(0, int(math.Round(math.Log10(v)))-2), 100-100/v)
}

// quantiles returns the curve of a histogram in microseconds over 1/(1-p), and which of
// its points are percentiles that have names.
func quantiles(h *hdrhistogram.Histogram) (points []point, marked []int) {
	if h == nil || h.TotalCount() <= 0 {
		return nil, nil
	}
	marked = []int{}
	last := math.Log10(float64(h.TotalCount()))
	var quantiles []float64
	for n := 0; float64(n)/perDecade < last; n++ {
		if n > 0 && n%perDecade == 0 {
			marked = append(marked, n)
		}
		quantiles = append(quantiles, 100-100/math.Pow(10, float64(n)/perDecade))
	}
	for n, v := range h.ValueAtPercentilesSlice(quantiles) {
		points = append(points, exactly(math.Pow(10, float64(n)/perDecade), float64(v)/1e3))
	}
	return append(points, exactly(float64(h.TotalCount()), float64(h.Max())/1e3)), append(marked, len(points))
}

// exactly is a point without a spread.
func exactly(x, y float64) point { return point{x, y, y, y} }
