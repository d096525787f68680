package top

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"credrpc/control"

	dto "github.com/prometheus/client_model/go"
)

// A reader makes totals of metrics. Those of several servers in one process, told apart
// by further labels, are added up.
type reader struct {
	families map[string]*dto.MetricFamily
	to       *totals
	err      error // the first one
}

// totalsOf returns what metrics say that were asked for and arrived at these times.
func totalsOf(families map[string]*dto.MetricFamily, asked, arrived time.Time) (*totals, error) {
	r := reader{families, &totals{asked: asked, missing: []string{"pid", "users"}}, nil}
	r.to.Time = arrived
	if families["credrpc_uptime_seconds"] == nil || families["credrpc_connections_accepted_total"] == nil || families["credrpc_calls_total"] == nil {
		return nil, errors.New("there are no calls in it")
	}
	for _, m := range r.metrics("credrpc_uptime_seconds") { // of the process, whoever tells it
		r.to.Uptime = seconds(r.value("credrpc_uptime_seconds", m))
	}
	r.build()
	r.calls()
	r.latency()
	r.loops()
	r.sockets()
	r.rules()
	r.process()
	if r.err == nil && !r.to.printable() {
		r.err = errors.New("a reason has an odd name")
	}
	return r.to, r.err
}

// miss notes that something is not told.
func (r *reader) miss(name string) { r.to.missing = append(r.to.missing, name) }

// metrics returns those of a family.
func (r *reader) metrics(name string) []*dto.Metric { return r.families[name].GetMetric() }

// sum adds up a family, and reports whether there is one.
func (r *reader) sum(name string) (sum float64, told bool) {
	for _, m := range r.metrics(name) {
		sum += r.value(name, m)
	}
	return r.sane(name, sum), r.families[name] != nil
}

// count is sum for what is a whole number; 0 if it is not told.
func (r *reader) count(name string) uint64 {
	sum, _ := r.sum(name)
	return uint64(sum)
}

// value returns the value of a metric that is no histogram.
func (r *reader) value(name string, m *dto.Metric) float64 {
	var v float64
	switch {
	case m.Counter != nil:
		v = m.Counter.GetValue()
	case m.Gauge != nil:
		v = m.Gauge.GetValue()
	case m.Untyped != nil:
		v = m.Untyped.GetValue()
	}
	return r.sane(name, v)
}

// sane returns v, or notes that it is none of the numbers there are here.
func (r *reader) sane(name string, v float64) float64 {
	if v >= 0 && v < math.MaxInt64/2 { // and not NaN
		return v
	}
	r.fail(fmt.Errorf("%s is %v", name, v))
	return 0
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// label returns the value of a label.
func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func (r *reader) build() {
	for _, m := range r.metrics("credrpc_build_info") {
		r.to.Version = label(m, "version")
	}
	if r.to.Version == "" {
		r.miss("version")
	}
}

func (r *reader) calls() {
	c := &r.to.Calls
	c.Accepted = r.count("credrpc_connections_accepted_total")
	outcomes := r.by("credrpc_calls_total", "outcome")
	c.Answered, c.Failed, c.Dropped, c.Empty = outcomes["answered"], outcomes["failed"], outcomes["dropped"], outcomes["empty"]
	c.Refused = r.by("credrpc_calls_refused_total", "reason")
	maps.DeleteFunc(c.Refused, func(_ string, n uint64) bool { return n == 0 }) // as in the answer to "stats"
	c.InFlight = int64(r.count("credrpc_calls_in_flight"))
	c.Delayed = r.count("credrpc_calls_delayed_total")
	c.Timeouts = r.count("credrpc_call_timeouts_total")
	c.Panics = r.count("credrpc_handler_panics_total")
	c.Deposed = r.count("credrpc_leaders_deposed_total")
	c.Paused = r.count("credrpc_accept_pauses_total")
	c.BytesIn = r.count("credrpc_received_bytes_total")
	c.BytesOut = r.count("credrpc_sent_bytes_total")
}

// by adds up a family for each value of a label.
func (r *reader) by(name, by string) map[string]uint64 {
	sums := make(map[string]uint64)
	for _, m := range r.metrics(name) {
		sums[label(m, by)] += uint64(r.value(name, m))
	}
	return sums
}

// latency makes buckets of cumulative ones. Calls above all bounds are in one that ends
// with the largest number, as in the answer to "stats".
func (r *reader) latency() {
	const name = "credrpc_call_duration_seconds"
	l, below := &r.to.Latency, make(map[time.Duration]uint64)
	for _, m := range r.metrics(name) {
		h := m.GetHistogram()
		l.Count += h.GetSampleCount()
		l.Sum += seconds(r.sane(name, h.GetSampleSum()))
		for _, b := range h.GetBucket() {
			if bound := b.GetUpperBound(); !math.IsInf(bound, 1) {
				below[seconds(r.sane(name, bound))] += b.GetCumulativeCount()
			}
		}
	}
	below[math.MaxInt64] = l.Count
	counted := uint64(0)
	for _, bound := range slices.Sorted(maps.Keys(below)) {
		if n := grown(counted, below[bound]); n > 0 {
			l.Buckets = append(l.Buckets, control.Bucket{Below: bound, Count: n})
			counted += n
		}
	}
}

// seconds returns a number of them, at most what a duration can be.
func seconds(v float64) time.Duration {
	return time.Duration(math.Min(math.Round(v*1e9), math.MaxInt64/2))
}

// loops lists the loops in their order.
func (r *reader) loops() {
	const accepted, resting = "credrpc_loop_connections_accepted_total", "credrpc_loop_resting"
	rest := make(map[string]bool)
	for _, m := range r.metrics(resting) {
		rest[loopKey(m)] = r.value(resting, m) != 0
	}
	list := slices.SortedFunc(slices.Values(r.metrics(accepted)), func(a, b *dto.Metric) int {
		return cmp.Or(cmp.Compare(label(a, socketLabel), label(b, socketLabel)), cmp.Compare(loopNumber(a), loopNumber(b)))
	})
	for _, m := range list {
		r.to.Loops = append(r.to.Loops, control.Loop{
			Accepted: uint64(r.value(accepted, m)), Resting: rest[loopKey(m)], Socket: label(m, socketLabel),
		})
	}
}

// socketLabel tells several servers in one process apart.
const socketLabel = "socket"

// sockets lists what each of several was called, as far as intervals have it.
func (r *reader) sockets() {
	const refused, inFlight = "credrpc_calls_refused_total", "credrpc_calls_in_flight"
	accepted := r.by("credrpc_connections_accepted_total", socketLabel)
	busy := r.by(inFlight, socketLabel)
	delete(accepted, "") // there is one
	for _, name := range slices.Sorted(maps.Keys(accepted)) {
		c := control.Calls{Accepted: accepted[name], InFlight: int64(busy[name]), Refused: make(map[string]uint64)}
		for _, m := range r.metrics(refused) {
			if label(m, socketLabel) == name {
				c.Refused[label(m, "reason")] += uint64(r.value(refused, m))
			}
		}
		r.to.Sockets = append(r.to.Sockets, control.Socket{Socket: name, Calls: c})
	}
}

// loopKey tells a loop from the others.
func loopKey(m *dto.Metric) string { return label(m, "loop") + " " + label(m, socketLabel) }

// loopNumber returns the number of a loop, or 0.
func loopNumber(m *dto.Metric) int {
	n, _ := strconv.Atoi(label(m, "loop"))
	return n
}

func (r *reader) rules() {
	records, told := r.sum("credrpc_rules")
	if !told {
		return
	}
	rules := &control.Rules{
		Records:     int(records),
		Generation:  r.count("credrpc_rules_generation"),
		Failures:    r.count("credrpc_rules_reload_failures_total"),
		CheckErrors: r.count("credrpc_rules_check_errors_total"),
		MappedBytes: int64(r.count("credrpc_rules_mapped_bytes")),
	}
	if loaded, told := r.sum("credrpc_rules_loaded_timestamp_seconds"); told {
		rules.Age = max(1, r.to.Time.Sub(time.Unix(0, int64(seconds(loaded)))))
	}
	r.to.Rules = rules
	r.miss("rules.unknown")
}

// process takes what client_golang tells of the Go runtime and of the process, as far as
// it is there: a sandbox hides the process.
func (r *reader) process() {
	p := &r.to.Process
	if cpu, told := r.sum("process_cpu_seconds_total"); told {
		p.CPU = seconds(cpu)
	} else {
		r.miss("cpu_ns")
		r.miss("process.cpu_ns")
	}
	p.Goroutines = r.ofRuntime("goroutines", "go_goroutines")
	p.Processors = int(r.ofRuntime("gomaxprocs", "go_sched_gomaxprocs_threads"))
	p.Heap = r.ofRuntime("heap_bytes", "go_memstats_heap_alloc_bytes")
	p.Memory = grown(r.count("go_memstats_heap_released_bytes"), r.ofRuntime("memory_bytes", "go_memstats_sys_bytes"))
	collections := r.metrics("go_gc_duration_seconds")
	if len(collections) == 0 {
		r.miss("process.gc_cycles")
		return
	}
	p.GCCycles = collections[0].GetSummary().GetSampleCount()
}

// ofRuntime returns what a metric says about a field of the process.
func (r *reader) ofRuntime(field, name string) uint64 {
	if r.families[name] == nil {
		r.miss("process." + field)
	}
	return r.count(name)
}
