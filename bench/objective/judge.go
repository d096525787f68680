package objective

import (
	"strings"
	"time"

	"credrpc/bench/load"
)

// A figure is what a term is about.
type figure struct {
	name  string
	share bool    // a share, else microseconds
	more  bool    // more is better
	least float64 // calls that a run must have for the figure to mean something
	// late says that a generator that is late makes the figure worse.
	late bool
	of   func(*load.Result) (float64, error)
}

// figures are all, in the order in which they are documented.
func figures() []figure {
	var all []figure
	add := func(prefix string, late bool, times func(*load.Result) load.Latency, mean func(*load.Result) (float64, error)) {
		quantile := func(name string, least float64, of func(load.Latency) float64) {
			all = append(all, figure{name: prefix + name, least: least, late: late,
				of: func(r *load.Result) (float64, error) { return of(times(r)), nil }})
		}
		quantile("p50", 20, func(l load.Latency) float64 { return l.P50 })
		quantile("p90", 100, func(l load.Latency) float64 { return l.P90 })
		quantile("p99", 1000, func(l load.Latency) float64 { return l.P99 })
		quantile("p99.9", 10000, func(l load.Latency) float64 { return l.P999 })
		quantile("max", 1, func(l load.Latency) float64 { return l.Max })
		all = append(all, figure{name: prefix + "mean", least: 20, late: late, of: mean})
	}
	add("", true, func(r *load.Result) load.Latency { return r.Latency }, meanLatency)
	add("service.", false, func(r *load.Result) load.Latency { return r.ServiceTime }, meanService)
	return append(all,
		figure{name: errorsName, share: true, least: 1, of: errorShare},
		figure{name: "unstarted", share: true, least: 1, late: true, of: unstartedShare},
		figure{name: "throughput", share: true, more: true, least: 1, late: true, of: throughputShare})
}

// errorsName is the figure without which no error is allowed.
const errorsName = "errors"

// figureNames returns the names of all figures.
func figureNames() string {
	var names []string
	for _, f := range figures() {
		names = append(names, f.name)
	}
	return strings.Join(names, " ")
}

// operators returns the two that the figure can have.
func (f *figure) operators() [2]string {
	if f.more {
		return [2]string{">", ">="}
	}
	return [2]string{"<", "<="}
}

// parse reads a limit.
func (f *figure) parse(s string) (float64, error) {
	if f.share {
		return parseShare(s)
	}
	return parseDuration(s)
}

// LeastCalls returns how many calls a run must have for the objective, and the figure
// that wants them: ten times as many as lie beyond its quantile, since of fewer it is
// decided by one or two calls.
func (o Objective) LeastCalls() (calls float64, name string) {
	for _, t := range o.terms {
		if t.figure.least > calls {
			calls, name = t.figure.least, t.figure.name
		}
	}
	return calls, name
}

// A Judgement is what became of an objective in one run.
type Judgement struct {
	Missed []string // what does not hold, empty if all does
	// Late says that each of these depends on when the generator began its calls, so
	// that a late generator alone can have missed it.
	Late bool
}

// Judge says whether the result of an open loop holds the objective. It returns an
// error if a histogram is broken.
func (o Objective) Judge(r *load.Result) (Judgement, error) {
	if r.Calls == 0 {
		return Judgement{Missed: []string{"no call was answered"}}, nil
	}
	j := Judgement{Late: true}
	aboutErrors := false
	for i := range o.terms {
		t := &o.terms[i]
		aboutErrors = aboutErrors || t.figure.name == errorsName
		value, err := t.figure.of(r)
		if err != nil {
			return Judgement{}, err
		}
		if !t.holds(value) {
			j.Missed = append(j.Missed, t.String())
			j.Late = j.Late && t.figure.late
		}
	}
	if !aboutErrors && r.Errors() > 0 {
		j.Missed, j.Late = append(j.Missed, errorsName+"<=0%"), false
	}
	return j, nil
}

// holds reports whether a value keeps the limit.
func (t *Term) holds(value float64) bool {
	switch {
	case value == t.limit:
		return t.inclusive
	case t.figure.more:
		return value > t.limit
	}
	return value < t.limit
}

// The figures that are not in a result as they are.

func meanLatency(r *load.Result) (float64, error) {
	h, err := r.Decode()
	if err != nil {
		return 0, err
	}
	return h.Mean() / float64(time.Microsecond), nil
}

func meanService(r *load.Result) (float64, error) {
	h, err := r.DecodeService()
	if err != nil {
		return 0, err
	}
	return h.Mean() / float64(time.Microsecond), nil
}

func errorShare(r *load.Result) (float64, error) {
	return float64(r.Errors()) / arrivals(r), nil
}

func unstartedShare(r *load.Result) (float64, error) {
	if r.Offered == nil {
		return 0, nil
	}
	return float64(r.Offered.Unstarted) / arrivals(r), nil
}

func throughputShare(r *load.Result) (float64, error) {
	if r.Offered == nil || r.Offered.PerSecond == 0 {
		return 1, nil
	}
	return r.CallsPerSecond / r.Offered.PerSecond, nil
}

// arrivals returns how many there were, at least one.
func arrivals(r *load.Result) float64 {
	n := r.Calls + r.Errors()
	if r.Offered != nil {
		n = r.Offered.Scheduled
	}
	return float64(max(1, n))
}
