package suite

import "credrpc/bench/report"

// between compares a figure of a server's runs under one load at a value of the axis
// with those at another, round by round. Pairs in which the other's is 0 do not
// count: nothing was answered.
func between(r *report.Report, server string, at, base float64, figure func(*report.Run) float64) (ratios []float64) {
	for i := range r.Runs {
		for j := range r.Runs {
			run, other := &r.Runs[i], &r.Runs[j]
			if run.Server != server || other.Server != server || run.Round != other.Round || run.Load != other.Load ||
				run.At != at || other.At != base {
				continue
			}
			if by := figure(other); by > 0 {
				ratios = append(ratios, figure(run)/by)
			}
		}
	}
	return ratios
}

// at returns the figures of a server's runs at a value of the axis.
func at(r *report.Report, server string, value float64, figure func(*report.Run) float64) (figures []float64) {
	for i := range r.Runs {
		if run := &r.Runs[i]; run.Server == server && run.At == value {
			figures = append(figures, figure(run))
		}
	}
	return figures
}

// The figures of runs.
func callsPerSecond(r *report.Run) float64 { return r.CallsPerSecond }
func bytesPerSecond(r *report.Run) float64 { return r.BytesPerSecond }
func p50(r *report.Run) float64            { return r.Latency.P50 }
func p99(r *report.Run) float64            { return r.Latency.P99 }
