package probe

import (
	"math"
	"runtime"
	"runtime/metrics"
	"slices"

	"credrpc/bench/measure"
)

// The figures of runtime/metrics that are asked for.
const (
	gcSeconds         = "/cpu/classes/gc/total:cpu-seconds"
	goroutines        = "/sched/goroutines:goroutines"
	goroutinesCreated = "/sched/goroutines-created:goroutines"
	schedulerLatency  = "/sched/latencies:seconds"
	lockWait          = "/sync/mutex/wait/total:seconds"
)

// A snapshot is what the runtime has done since the process began.
type snapshot struct {
	memory            runtime.MemStats
	gcSeconds         float64
	goroutines        uint64
	goroutinesCreated uint64
	latency           *metrics.Float64Histogram // own copy
	lockWait          float64
}

// take returns what was done so far.
func take() snapshot {
	// Allocations are asked for as MemStats, which stops the world: in
	// runtime/metrics those from a span that is not full are not counted yet.
	var s snapshot
	samples := []metrics.Sample{{Name: gcSeconds}, {Name: goroutines}, {Name: goroutinesCreated}, {Name: schedulerLatency}, {Name: lockWait}}
	metrics.Read(samples)
	runtime.ReadMemStats(&s.memory)
	for _, sample := range samples {
		switch v := sample.Value; {
		case sample.Name == gcSeconds && v.Kind() == metrics.KindFloat64:
			s.gcSeconds = v.Float64()
		case sample.Name == goroutines && v.Kind() == metrics.KindUint64:
			s.goroutines = v.Uint64()
		case sample.Name == goroutinesCreated && v.Kind() == metrics.KindUint64:
			s.goroutinesCreated = v.Uint64()
		case sample.Name == schedulerLatency && v.Kind() == metrics.KindFloat64Histogram:
			h := v.Float64Histogram()
			s.latency = &metrics.Float64Histogram{Counts: slices.Clone(h.Counts), Buckets: h.Buckets}
		case sample.Name == lockWait && v.Kind() == metrics.KindFloat64:
			s.lockWait = v.Float64()
		}
	}
	return s
}

// since returns what was done between before and s.
func (s *snapshot) since(before *snapshot) measure.Runtime {
	r := measure.Runtime{
		Allocations:       s.memory.Mallocs - before.memory.Mallocs,
		AllocatedBytes:    s.memory.TotalAlloc - before.memory.TotalAlloc,
		Collections:       uint64(s.memory.NumGC - before.memory.NumGC),
		GCPauses:          float64(s.memory.PauseTotalNs-before.memory.PauseTotalNs) / 1e9,
		GCSeconds:         s.gcSeconds - before.gcSeconds,
		GoroutinesCreated: s.goroutinesCreated - before.goroutinesCreated,
		GoroutinesBefore:  int(before.goroutines),
		GoroutinesAfter:   int(s.goroutines),
		GOMAXPROCS:        runtime.GOMAXPROCS(0),
		LockWait:          s.lockWait - before.lockWait,
	}
	if s.latency == nil || before.latency == nil {
		return r
	}
	counts := make([]uint64, len(s.latency.Counts))
	for i := range counts {
		counts[i] = s.latency.Counts[i] - before.latency.Counts[i]
		r.SchedulerWaits += counts[i]
	}
	r.SchedulerP50 = quantile(counts, s.latency.Buckets, 0.50) * 1e6
	r.SchedulerP99 = quantile(counts, s.latency.Buckets, 0.99) * 1e6
	return r
}

// quantile returns the upper end of the bucket that holds a quantile, or the lower
// end of one that has no other; 0 if nothing was counted. Bucket i is that from
// ends[i] to ends[i+1].
func quantile(counts []uint64, ends []float64, q float64) float64 {
	var total, seen uint64
	for _, n := range counts {
		total += n
	}
	if total == 0 {
		return 0
	}
	rank := max(1, uint64(math.Ceil(q*float64(total))))
	for i, n := range counts {
		if seen += n; seen < rank {
			continue
		}
		if math.IsInf(ends[i+1], 1) {
			return ends[i]
		}
		return ends[i+1]
	}
	return 0
}
