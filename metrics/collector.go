package metrics

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"credrpc/accessdb"
	"credrpc/audit"
	"credrpc/internal/version"
	"credrpc/server"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources are what is asked for its counters.
type Sources struct {
	Server *server.Server // required, unless there are Sockets

	// Sockets are several servers in one process, in place of Server, each by the value
	// of the label socket that all its metrics have.
	Sockets map[string]*server.Server

	Rules *accessdb.DB // nil: no metrics of rules
	Audit *audit.Log   // nil: no metrics of the audit log
}

// A Collector is a [prometheus.Collector] of what is in docs/METRICS.md.
type Collector struct {
	sources  Sources
	families map[string]family
	descs    map[string]*prometheus.Desc
	build    []string // values of the labels of build_info
	begin    time.Time
}

// NewCollector returns a collector for a registry.
func NewCollector(s Sources) *Collector {
	if (s.Server == nil) == (len(s.Sockets) == 0) {
		panic("metrics: want one of Sources.Server and Sources.Sockets")
	}
	c := &Collector{sources: s, families: make(map[string]family), descs: make(map[string]*prometheus.Desc), build: buildInfo(), begin: time.Now()}
	var labels []string // of servers, before those of the family
	if s.Server == nil {
		labels = []string{socketLabel}
	}
	c.add(serverFamilies(), labels)
	c.add(processFamilies(), nil)
	return c
}

// add adds families with further labels.
func (c *Collector) add(list []family, labels []string) {
	for _, f := range list {
		c.families[f.name] = f
		c.descs[f.name] = prometheus.NewDesc(prefix+f.name, f.help, slices.Concat(labels, f.labels), nil)
	}
}

// Describe is for the registry.
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range c.descs {
		to <- desc
	}
}

// Collect is for the registry.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	e := emitter{c, to, nil}
	e.emit("build_info", 1, c.build...)
	e.emit("uptime_seconds", time.Since(c.begin).Seconds()) // next to the counters, for rates
	if c.sources.Server != nil {
		e.server(c.sources.Server)
	}
	for socket, srv := range c.sources.Sockets {
		of := emitter{c, to, []string{socket}}
		of.server(srv)
	}
	if c.sources.Rules != nil {
		e.rules(c.sources.Rules.Stats())
	}
	if c.sources.Audit != nil {
		e.audit(c.sources.Audit.Stats())
	}
}

// An emitter hands the values of one collection on.
type emitter struct {
	*Collector
	to     chan<- prometheus.Metric
	labels []string // values of those before the family's own
}

// emit hands on one value of a family.
func (e *emitter) emit(name string, value float64, labels ...string) {
	kind := prometheus.GaugeValue
	if e.families[name].kind == counter {
		kind = prometheus.CounterValue
	}
	e.to <- prometheus.MustNewConstMetric(e.descs[name], kind, value, slices.Concat(e.labels, labels)...)
}

func (e *emitter) server(srv *server.Server) {
	stats := srv.Stats()
	e.calls(&stats)
	e.loops(&stats)
}

func (e *emitter) calls(s *server.Stats) {
	e.emit("connections_accepted_total", float64(s.Accepted))
	refused := uint64(0)
	for _, reason := range server.Reasons() {
		refused += s.Refused[reason]
		e.emit("calls_refused_total", float64(s.Refused[reason]), reason.String())
	}
	for outcome, n := range map[server.Outcome]uint64{
		server.OutcomeAnswered: s.Answered,
		server.OutcomeFailed:   s.Failed,
		server.OutcomeDropped:  s.Dropped,
		server.OutcomeRefused:  refused,
		server.OutcomeEmpty:    s.Empty,
	} {
		e.emit("calls_total", float64(n), outcome.String())
	}
	e.emit("calls_in_flight", float64(s.InFlight))
	e.emit("calls_delayed_total", float64(s.Delayed))
	e.emit("call_timeouts_total", float64(s.Timeouts))
	e.emit("handler_panics_total", float64(s.Panics))
	buckets, count := cumulative(s.Latency)
	e.to <- prometheus.MustNewConstHistogram(e.descs["call_duration_seconds"], count, s.Latency.Sum.Seconds(), buckets, e.labels...)
	e.emit("received_bytes_total", float64(s.BytesIn))
	e.emit("sent_bytes_total", float64(s.BytesOut))
}

func (e *emitter) loops(s *server.Stats) {
	e.emit("leaders_deposed_total", float64(s.Deposed))
	e.emit("accept_pauses_total", float64(s.Paused))
	for i, l := range s.Loops {
		e.emit("loop_connections_accepted_total", float64(l.Accepted), strconv.Itoa(i))
		resting := 0.0
		if l.Resting {
			resting = 1
		}
		e.emit("loop_resting", resting, strconv.Itoa(i))
	}
}

func (e *emitter) rules(s accessdb.Stats) {
	e.emit("rules", float64(s.Rules))
	e.emit("rules_generation", float64(s.Generation))
	if !s.Loaded.IsZero() {
		e.emit("rules_loaded_timestamp_seconds", float64(s.Loaded.UnixMilli())/1000)
	}
	e.emit("rules_reload_failures_total", float64(s.Failures))
	e.emit("rules_check_errors_total", float64(s.CheckErrors))
	e.emit("rules_mapped_bytes", float64(s.MappedBytes))
}

func (e *emitter) audit(s audit.Stats) {
	e.emit("audit_records_total", float64(s.Written))
	e.emit("audit_records_dropped_total", float64(s.Limited), "rate")
	e.emit("audit_records_dropped_total", float64(s.Overflowed), "queue")
	e.emit("audit_records_dropped_total", float64(s.Failed), "sink")
}

// The bounds of the histogram: powers of two in nanoseconds, from 8 µs to 34 s, and what
// is halfway between two of them. All are ends of buckets of [server.Latency], so that no
// count has to be guessed.
const (
	leastBound    = 1 << 13
	greatestBound = 1 << 35
)

// cumulative returns the cumulative counts of l, by their bounds in seconds, and the count
// of all. A bound that the server's buckets say is too long by a nanosecond is taken for
// inclusive.
func cumulative(l server.Latency) (buckets map[float64]uint64, count uint64) {
	counts := maps.Collect(l.Buckets())
	ends := slices.Sorted(maps.Keys(counts))
	buckets = make(map[float64]uint64)
	fill := func(bound time.Duration) {
		for len(ends) > 0 && ends[0] <= bound {
			count += counts[ends[0]]
			ends = ends[1:]
		}
		buckets[bound.Seconds()] = count
	}
	for bound := time.Duration(leastBound); bound < greatestBound; bound *= 2 {
		fill(bound)
		fill(bound + bound/2)
	}
	fill(greatestBound)
	for _, end := range ends {
		count += counts[end]
	}
	return buckets, count
}

// buildInfo returns version, revision and Go version of the program, as far as it knows.
func buildInfo() []string {
	info := version.Read()
	return []string{info.Version, info.Commit, info.Go}
}
