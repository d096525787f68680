package report

import (
	"maps"
	"slices"

	"credrpc/bench/load"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Spread is the median of the rounds' figures, the least and the greatest.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// SpreadOf returns the spread of values, and nil if there are none.
func SpreadOf(values []float64) *Spread {
	if len(values) == 0 {
		return nil
	}
	v := slices.Sorted(slices.Values(values))
	s := &Spread{Median: v[len(v)/2], Min: v[0], Max: v[len(v)-1]}
	if len(v)%2 == 0 {
		s.Median = (s.Median + v[len(v)/2-1]) / 2
	}
	return s
}

// A Summary is what one server did under one load. Ratios are of runs of the same
// round, and nil where there is nothing to compare with.
type Summary struct {
	Load              load.Load    `json:"load"`
	At                float64      `json:"at,omitempty"` // value of the report's axis
	Server            string       `json:"server"`       // name
	Kind              string       `json:"kind"`
	Shown             bool         `json:"shown"` // false for the slower variants of a kind
	Rounds            int          `json:"rounds"`
	CallsPerSecond    Spread       `json:"calls_per_second"`
	TimesFloor        *Interval    `json:"times_floor"`         // calls per second by the floor's
	TimesReference    *Interval    `json:"times_reference"`     // calls per second by the reference's
	P50TimesFloor     *Interval    `json:"p50_times_floor"`     // median latency by the floor's
	CPUTimesReference *Interval    `json:"cpu_times_reference"` // server's processor time a call by the reference's
	Latency           load.Latency `json:"latency"`             // of all rounds together
	UserPerCall       float64      `json:"server_user_us_per_call"`
	SystemPerCall     float64      `json:"server_system_us_per_call"`
	Errors            uint64       `json:"errors"`
	BacklogFull       uint64       `json:"backlog_full"`
	Bottleneck        Bottleneck   `json:"bottleneck"` // of most of the runs
}

// A Point is where servers are compared: under a load, at a value of the axis.
type Point struct {
	Load load.Load `json:"load"`
	At   float64   `json:"at,omitempty"`
}

// Points returns those that r has runs of, by load in the order of r.Loads and then
// by value.
func (r *Report) Points() (points []Point) {
	for _, l := range r.Loads {
		values := map[float64]bool{}
		for i := range r.Runs {
			if r.Runs[i].Load == l {
				values[r.Runs[i].At] = true
			}
		}
		for _, at := range slices.Sorted(maps.Keys(values)) {
			points = append(points, Point{l, at})
		}
	}
	return points
}

// RunsAt returns the runs at a point, by the names of their servers.
func (r *Report) RunsAt(p Point) map[string][]Run {
	at := map[string][]Run{}
	for _, run := range r.Runs {
		if run.Load == p.Load && run.At == p.At {
			at[run.Server] = append(at[run.Server], run)
		}
	}
	return at
}

// Summarise sets r.Summaries and, for servers that are compared with another,
// r.Pairs from r.Runs: in the order of loads, values of the axis, and servers. It
// returns an error if a histogram is broken.
func (r *Report) Summarise() error {
	r.Summaries, r.Pairs = nil, nil
	paired := slices.ContainsFunc(r.Servers, func(s Server) bool { return s.Against != "" })
	for _, p := range r.Points() {
		runs := r.RunsAt(p)
		if err := r.summariseAt(p, runs); err != nil {
			return err
		}
		for _, s := range r.Servers {
			if !paired || len(runs[s.Name]) == 0 {
				continue
			}
			pair, err := newPair(p, s.Name, s.Against, runs)
			if err != nil {
				return err
			}
			r.Pairs = append(r.Pairs, pair)
		}
	}
	return nil
}

// summariseAt adds the summaries of a point.
func (r *Report) summariseAt(p Point, under map[string][]Run) error {
	floor := under[r.Fastest(KindFloor, under)]
	reference := under[r.Fastest(KindReference, under)]
	for _, s := range r.Servers {
		runs := under[s.Name]
		if len(runs) == 0 {
			continue
		}
		summary, err := summarise(runs)
		if err != nil {
			return err
		}
		summary.Load, summary.At, summary.Server, summary.Kind = p.Load, p.At, s.Name, s.Kind
		summary.Shown = s.Name == r.Fastest(s.Kind, under)
		summary.TimesFloor = ratio(runs, floor, throughput)
		summary.TimesReference = ratio(runs, reference, throughput)
		summary.P50TimesFloor = ratio(known(runs, p50), floor, p50)
		summary.CPUTimesReference = ratio(known(runs, (*Run).ServerPerCall), reference, (*Run).ServerPerCall)
		r.Summaries = append(r.Summaries, summary)
	}
	return nil
}

// Fastest returns the name of the variant of a kind whose median throughput is the
// greatest among the runs of a point, "" if none of the kind has run.
func (r *Report) Fastest(kind string, under map[string][]Run) (name string) {
	best := -1.0
	for _, s := range r.Servers {
		if s.Kind != kind || len(under[s.Name]) == 0 {
			continue
		}
		if m := SpreadOf(figures(under[s.Name], throughput)).Median; m > best {
			name, best = s.Name, m
		}
	}
	return name
}

// summarise adds up the runs of one server under one load.
func summarise(runs []Run) (Summary, error) {
	s := Summary{Rounds: len(runs), CallsPerSecond: *SpreadOf(figures(runs, throughput))}
	var all *hdrhistogram.Histogram
	var user, system float64
	var total Run
	votes := map[Bottleneck]int{}
	for i := range runs {
		h, err := runs[i].Decode()
		if err != nil {
			return s, err
		}
		if all == nil {
			all = h
		} else {
			all.Merge(h)
		}
		total.Counts.Add(runs[i].Counts)
		user += runs[i].ServerUserSeconds
		system += runs[i].ServerSystemSeconds
		votes[runs[i].Bottleneck]++
		if s.Bottleneck == "" || votes[runs[i].Bottleneck] > votes[s.Bottleneck] {
			s.Bottleneck = runs[i].Bottleneck
		}
	}
	s.Latency = load.LatencyOf(all)
	s.UserPerCall, s.SystemPerCall = total.microsecondsPerCall(user), total.microsecondsPerCall(system)
	s.Errors, s.BacklogFull = total.Errors(), total.BacklogFull
	return s, nil
}

// The figures of a run that are compared.
func throughput(r *Run) float64 { return r.CallsPerSecond }
func p50(r *Run) float64        { return r.Latency.P50 }
func p99(r *Run) float64        { return r.Latency.P99 }

// figures returns one figure of each run.
func figures(runs []Run, figure func(*Run) float64) []float64 {
	values := make([]float64, len(runs))
	for i := range runs {
		values[i] = figure(&runs[i])
	}
	return values
}

// ratio compares a figure of the runs with that of other, round by round.
func ratio(runs, other []Run, figure func(*Run) float64) *Interval {
	return RatioOf(byRound(runs, other, figure, divided))
}
