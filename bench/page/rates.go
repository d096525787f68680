package page

import (
	"maps"
	"slices"

	"credrpc/bench/load"
	"credrpc/bench/report"
)

// A ratePoint is what became of the calls that arrived at a rate, in one run.
type ratePoint struct {
	rate     float64 // wanted
	obtained float64 // calls a second
	*load.Group
}

// A rateLine is what a server did at all rates.
type rateLine struct {
	kind   string
	style  style
	points []ratePoint
}

// rateLines returns what each server did in open loops, and the rates, ordered.
func rateLines(cells []cell) (rates []float64, lines []rateLine) {
	seen := map[float64]bool{}
	for _, c := range cells {
		i := slices.IndexFunc(lines, func(l rateLine) bool { return l.kind == c.kind })
		if i < 0 {
			i = len(lines)
			lines = append(lines, rateLine{kind: c.kind, style: c.style})
		}
		for _, run := range c.runs {
			for _, p := range ratePoints(run) {
				if usable(p.rate) && p.rate > 0 {
					seen[p.rate] = true
					lines[i].points = append(lines[i].points, p)
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(seen)), lines
}

// ratePoints returns the steps of a run, or its only rate; nothing of a closed loop.
func ratePoints(r *report.Run) (points []ratePoint) {
	for i := range r.Steps {
		s := &r.Steps[i]
		points = append(points, ratePoint{s.Rate, s.CallsPerSecond, &s.Group})
	}
	if len(points) == 0 && r.Arrivals != nil && len(r.Arrivals.Steps) == 1 {
		points = append(points, ratePoint{r.Arrivals.Steps[0].Rate, r.CallsPerSecond, &r.Group})
	}
	return points
}

// curve returns a figure over the rates, with the spread of the runs.
func (l *rateLine) curve(of func(*ratePoint) float64) curve {
	at := map[float64][]float64{}
	for i := range l.points {
		if v := of(&l.points[i]); usable(v) {
			at[l.points[i].rate] = append(at[l.points[i].rate], v)
		}
	}
	k := curve{name: l.kind, style: l.style}
	for _, rate := range slices.Sorted(maps.Keys(at)) {
		s := report.SpreadOf(at[rate])
		k.points = append(k.points, point{rate, s.Median, s.Min, s.Max})
	}
	return k
}

// ratePlots shows throughput and latency under a load over the offered rate, if there
// are several: of open loops with steps, or with runs at several rates.
func ratePlots(load string, rates []float64, lines []rateLine) (plots []*Plot) {
	if len(rates) < 2 {
		return nil
	}
	logarithmic := rates[len(rates)-1] > 8*rates[0]
	draw := func(name, title, reading string, y *scale, ideal string, of, beside func(*ratePoint) float64) {
		x := &scale{label: "offered rate, calls a second", logarithmic: logarithmic, show: suffixed}
		x.fit(rates)
		if len(rates) <= fewValues {
			x.at = rates
		}
		c := &chart{x: x, y: y, ideal: ideal}
		for _, l := range lines {
			c.curves = append(c.curves, l.curve(of))
			if beside != nil {
				k := l.curve(beside)
				k.beside = true
				c.curves, c.second = append(c.curves, k), "service time"
			}
		}
		if c.keep() {
			y.cover(c.ys())
			plots = append(plots, c.plot("rates-"+name+"-"+load, title+" by offered rate: "+load, reading))
		}
	}
	draw("throughput", "Throughput",
		"On the dotted line everything that arrived was answered in time; below it the server, or the machine, did not keep up.",
		&scale{label: "throughput, calls a second", logarithmic: logarithmic, show: suffixed}, "as offered",
		func(p *ratePoint) float64 { return p.obtained }, nil)
	const reading = "Latency counts from the scheduled arrival, service time from when a caller was free. " +
		"A rate that is not kept up with makes latencies that grow as long as the run lasts: they describe its length. Lower is better."
	draw("p50", "p50 of latency", reading, &scale{label: "p50", logarithmic: true, show: duration}, "",
		func(p *ratePoint) float64 { return p.Latency.P50 }, func(p *ratePoint) float64 { return p.ServiceTime.P50 })
	draw("p99", "p99 of latency", reading, &scale{label: "p99", logarithmic: true, show: duration}, "",
		func(p *ratePoint) float64 { return p.Latency.P99 }, func(p *ratePoint) float64 { return p.ServiceTime.P99 })
	return plots
}
