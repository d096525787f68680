package report

import (
	"credrpc/bench/load"
)

// A Figure is one of the numbers of a run that servers are compared by.
type Figure struct {
	Name         string // such as "p99"
	Quantity     Quantity
	Unit         string // that it is shown in, such as "µs a call"; "" for a mere number
	HigherBetter bool

	of    func(*Run) (value float64, known bool)
	total func([]Run) float64 // instead of the median of the rounds, nil for the median
}

// A Quantity is what a figure is a number of. Figures of different quantities
// cannot be added or compared.
type Quantity string

// The quantities, and the units in which figures have them.
const (
	Number Quantity = "a number" // of calls, calls per second, or a share
	Time   Quantity = "a time"   // in microseconds
	Memory Quantity = "memory"   // in bytes
)

// Figures returns all figures. Names of times of a call are those of the latency, and
// with "service." before them those of the service time.
func Figures() []Figure {
	figures := []Figure{
		{Name: "throughput", Quantity: Number, Unit: "calls/s", HigherBetter: true, of: func(r *Run) (float64, bool) { return r.CallsPerSecond, true }},
		{Name: "offered", Quantity: Number, Unit: "calls/s", HigherBetter: true, of: func(r *Run) (float64, bool) {
			if r.Offered == nil { // a closed loop
				return 0, false
			}
			return r.Offered.PerSecond, true
		}},
	}
	figures = append(figures, times("", func(r *Run) *load.Latency { return &r.Latency })...)
	figures = append(figures, times("service.", func(r *Run) *load.Latency { return &r.ServiceTime })...)
	return append(figures,
		processorTime("cpu", (*Run).serverSeconds),
		processorTime("user", func(r *Run) float64 { return r.ServerUserSeconds }),
		processorTime("system", func(r *Run) float64 { return r.ServerSystemSeconds }),
		Figure{Name: "callers.cpu", Quantity: Time, Unit: "µs a call", of: func(r *Run) (float64, bool) {
			return r.CallersPerCall(), r.callersSeconds() > 0
		}},
		Figure{Name: "rss", Quantity: Memory, Unit: "bytes", of: (*Run).Resident},
		Figure{Name: "errors", Quantity: Number, total: func(runs []Run) float64 { return float64(counts(runs).Errors()) }},
		Figure{Name: "error_rate", Quantity: Number, total: func(runs []Run) float64 {
			c := counts(runs)
			return float64(c.Errors()) / float64(max(1, c.Calls+c.Errors()))
		}},
	)
}

// times returns the order statistics of a time of a call. A run in which nothing was
// answered has none.
func times(prefix string, of func(*Run) *load.Latency) []Figure {
	time := func(name string, value func(*load.Latency) float64) Figure {
		return Figure{Name: prefix + name, Quantity: Time, Unit: "µs",
			of: func(r *Run) (float64, bool) { return value(of(r)), of(r).Max > 0 }}
	}
	greatest := time("max", func(l *load.Latency) float64 { return l.Max })
	greatest.total = func(runs []Run) (most float64) {
		for i := range runs {
			most = max(most, of(&runs[i]).Max)
		}
		return most
	}
	return []Figure{
		time("p50", func(l *load.Latency) float64 { return l.P50 }),
		time("p90", func(l *load.Latency) float64 { return l.P90 }),
		time("p99", func(l *load.Latency) float64 { return l.P99 }),
		time("p99.9", func(l *load.Latency) float64 { return l.P999 }),
		greatest,
	}
}

// processorTime is a time that the server's process took for a call. It is unknown
// for a server whose process is.
func processorTime(name string, seconds func(*Run) float64) Figure {
	return Figure{Name: name, Quantity: Time, Unit: "µs a call", of: func(r *Run) (float64, bool) {
		return r.microsecondsPerCall(seconds(r)), r.serverSeconds() > 0
	}}
}

// counts adds up what became of the calls of runs.
func counts(runs []Run) (c load.Counts) {
	for i := range runs {
		c.Add(runs[i].Counts)
	}
	return c
}

// Rounds reports whether the figure is one of each round, of which the median is
// taken. Others are of all rounds together: what happens seldom must not vanish.
func (f *Figure) Rounds() bool { return f.total == nil }

// Of returns the figure of a run, and false if the run does not have it.
func (f *Figure) Of(r *Run) (float64, bool) {
	if f.total != nil {
		return f.total([]Run{*r}), true
	}
	return f.of(r)
}

// Values returns the figure of each run that has it.
func (f *Figure) Values(runs []Run) (values []float64) {
	for i := range runs {
		if value, ok := f.Of(&runs[i]); ok {
			values = append(values, value)
		}
	}
	return values
}

// Over returns the figure of several runs, and false if none has it.
func (f *Figure) Over(runs []Run) (float64, bool) {
	if f.total != nil {
		return f.total(runs), len(runs) > 0
	}
	s := SpreadOf(f.Values(runs))
	if s == nil {
		return 0, false
	}
	return s.Median, true
}

// Ratios returns the figure of each run by that of other runs in the same round.
// Rounds in which the others do not have it, or have 0, do not count.
func (f *Figure) Ratios(runs, others []Run) []float64 {
	return byRound(runs, others, func(r *Run) float64 {
		value, _ := f.Of(r)
		return value
	}, divided)
}
