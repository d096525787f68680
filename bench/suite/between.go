package suite

import (
	"slices"

	"credrpc/bench/load"
	"credrpc/bench/report"
)

// A place is where runs are repeated round after round: a server, under a load, at a
// value of the axis.
type place struct {
	server string
	load   load.Load
	at     float64
}

// has reports whether a run was there.
func (p place) has(r *report.Run) bool {
	return r.Server == p.server && r.Load == p.load && r.At == p.at
}

// between compares a figure of the runs at one place with that at another, round by
// round. Pairs in which the other's is 0 do not count: nothing was answered.
func between(r *report.Report, of, by place, figure func(*report.Run) float64) (ratios []float64) {
	for i := range r.Runs {
		for j := range r.Runs {
			if of.has(&r.Runs[i]) && by.has(&r.Runs[j]) && r.Runs[i].Round == r.Runs[j].Round && figure(&r.Runs[j]) > 0 {
				ratios = append(ratios, figure(&r.Runs[i])/figure(&r.Runs[j]))
			}
		}
	}
	return ratios
}

// timesBetween is between for a time of a call, of which 0 says that nothing was answered.
func timesBetween(r *report.Report, of, by place, figure func(*report.Run) float64) []float64 {
	return slices.DeleteFunc(between(r, of, by, figure), func(ratio float64) bool { return ratio == 0 })
}

// at returns the figures of the runs at a place.
func at(r *report.Report, p place, figure func(*report.Run) float64) (figures []float64) {
	for i := range r.Runs {
		if p.has(&r.Runs[i]) {
			figures = append(figures, figure(&r.Runs[i]))
		}
	}
	return figures
}

// values returns the values of the axis that a server has runs of, the least first.
func values(r *report.Report, server string) (all []float64) {
	for i := range r.Runs {
		if r.Runs[i].Server == server && !slices.Contains(all, r.Runs[i].At) {
			all = append(all, r.Runs[i].At)
		}
	}
	slices.Sort(all)
	return all
}

// The figures of runs.
func callsPerSecond(r *report.Run) float64 { return r.CallsPerSecond }
func bytesPerSecond(r *report.Run) float64 { return r.BytesPerSecond }
func p50(r *report.Run) float64            { return r.Latency.P50 }
func p99(r *report.Run) float64            { return r.Latency.P99 }
