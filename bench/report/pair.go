package report

import (
	"credrpc/bench/load"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Pair is what one server did under one load, and how that compares with
// another server in the same rounds. What compares is nil where there is no such
// round.
type Pair struct {
	Load       load.Load `json:"load"`
	At         float64   `json:"at,omitempty"`      // value of the report's axis
	Server     string    `json:"server"`            // name
	Against    string    `json:"against,omitempty"` // name of the server that it is compared with
	Rounds     int       `json:"rounds"`
	Errors     uint64    `json:"errors"`
	FirstError string    `json:"first_error,omitempty"`

	CallsPerSecond *Spread      `json:"calls_per_second"`
	ServerPerCall  *Spread      `json:"server_us_per_call"`
	Latency        load.Latency `json:"latency"` // of all rounds together

	// By those of the other server, round by round, each with its verdict.
	Throughput *Interval `json:"throughput_ratio"`
	P50        *Interval `json:"p50_ratio"`
	P99        *Interval `json:"p99_ratio"`
	CPU        *Interval `json:"server_cpu_ratio"`

	// Processor time of the server a call less that of the other, in
	// microseconds.
	ServerMore *Interval `json:"server_us_per_call_more"`

	// Processor time of the callers a call, in microseconds, and by that of the other's.
	CallersPerCall *Spread   `json:"generator_us_per_call,omitempty"`
	CallersCPU     *Interval `json:"generator_cpu_ratio,omitempty"`
}

// Pair compares the runs of a server under a load with those of another, or with
// none if against is empty. It returns nil if the server has not had the load, and
// an error if a histogram is broken. Where the report has an axis, it is that at
// the value 0.
func (r *Report) Pair(server, against string, l load.Load) (*Pair, error) {
	p := Point{Load: l}
	runs := r.RunsAt(p)
	if len(runs[server]) == 0 {
		return nil, nil
	}
	return newPair(p, server, against, runs)
}

// newPair compares the runs of a server, of which there are some, with those of
// another at the same point.
func newPair(at Point, server, against string, under map[string][]Run) (*Pair, error) {
	runs, others := under[server], under[against]
	p := &Pair{Load: at.Load, At: at.At, Server: server, Against: against, Rounds: len(runs),
		CallsPerSecond: SpreadOf(figures(runs, throughput)),
		ServerPerCall:  SpreadOf(figures(runs, (*Run).ServerPerCall)),
		Throughput:     RatioOf(byRound(runs, others, throughput, divided)),
		P50:            RatioOf(byRound(known(runs, p50), others, p50, divided)),
		P99:            RatioOf(byRound(known(runs, p99), others, p99, divided)),
		CPU:            RatioOf(byRound(known(runs, (*Run).ServerPerCall), others, (*Run).ServerPerCall, divided)),
		ServerMore:     DifferenceOf(byRound(known(runs, (*Run).ServerPerCall), others, (*Run).ServerPerCall, less)),
		CallersPerCall: SpreadOf(figures(runs, (*Run).CallersPerCall)),
		CallersCPU:     RatioOf(byRound(known(runs, (*Run).CallersPerCall), others, (*Run).CallersPerCall, divided)),
	}
	var all *hdrhistogram.Histogram
	for i := range runs {
		h, err := runs[i].Decode()
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = h
		} else {
			all.Merge(h)
		}
		p.Errors += runs[i].Errors()
		if p.FirstError == "" {
			p.FirstError = runs[i].FirstError
		}
	}
	p.Latency = load.LatencyOf(all)
	return p, nil
}

// known returns the runs whose figure, a time, is not 0. One that is says that nothing
// was answered, or that nobody looked, and must not pass for a server without cost.
func known(runs []Run, figure func(*Run) float64) (kept []Run) {
	for i := range runs {
		if figure(&runs[i]) > 0 {
			kept = append(kept, runs[i])
		}
	}
	return kept
}

// byRound compares a figure of the runs with that of others in the same round.
// Pairs in which the other's is 0 do not count: nothing was answered.
func byRound(runs, others []Run, figure func(*Run) float64, compare func(a, b float64) float64) (values []float64) {
	for i := range runs {
		for j := range others {
			if runs[i].Round != others[j].Round {
				continue
			}
			if base := figure(&others[j]); base > 0 {
				values = append(values, compare(figure(&runs[i]), base))
			}
		}
	}
	return values
}

// How figures are compared.
func divided(a, b float64) float64 { return a / b }
func less(a, b float64) float64    { return a - b }
