package control

import (
	"maps"
	"slices"
	"time"

	"credrpc/server"
)

// Latency says how long the calls took that were answered or failed, from accept to the
// end. Quantiles are upper bounds of buckets.
type Latency struct {
	Count   uint64        `json:"count"`
	Sum     time.Duration `json:"sum_ns"`
	P50     time.Duration `json:"p50_ns"`
	P90     time.Duration `json:"p90_ns"`
	P99     time.Duration `json:"p99_ns"`
	P999    time.Duration `json:"p999_ns"`
	Buckets []Bucket      `json:"buckets,omitempty"` // in rising order; empty ones are absent
}

// A Bucket is how many calls took less than Below and no less than the next smaller
// bucket takes. Bounds are those of [server.Latency], the same in every answer.
type Bucket struct {
	Below time.Duration `json:"below_ns"` // the largest number of 64 bits for the last bucket there is
	Count uint64        `json:"count"`
}

// longest is where the last bucket of [server.Latency] begins, for want of an end.
const longest = 133 * time.Second

func latencyOf(l server.Latency) Latency {
	latency := Latency{
		Count: l.Count(),
		Sum:   l.Sum,
		P50:   l.Quantile(0.50),
		P90:   l.Quantile(0.90),
		P99:   l.Quantile(0.99),
		P999:  l.Quantile(0.999),
	}
	for below, n := range l.Buckets() {
		latency.Buckets = append(latency.Buckets, Bucket{below, n})
	}
	return latency
}

// Sub returns the calls of l that are not yet in earlier, an older answer of the same
// process.
func (l *Latency) Sub(earlier *Latency) Latency {
	before := make(map[time.Duration]uint64, len(earlier.Buckets))
	for _, b := range earlier.Buckets {
		before[b.Below] = b.Count
	}
	d := Latency{Sum: l.Sum - earlier.Sum}
	for _, b := range l.Buckets {
		if n := b.Count - min(b.Count, before[b.Below]); n > 0 {
			d.Buckets = append(d.Buckets, Bucket{b.Below, n})
			d.Count += n
		}
	}
	d.setQuantiles()
	return d
}

// add adds the calls of other.
func (l *Latency) add(other Latency) {
	counts := make(map[time.Duration]uint64)
	for _, b := range slices.Concat(l.Buckets, other.Buckets) {
		counts[b.Below] += b.Count
	}
	l.Buckets = nil
	for _, below := range slices.Sorted(maps.Keys(counts)) {
		l.Buckets = append(l.Buckets, Bucket{below, counts[below]})
	}
	l.Count += other.Count
	l.Sum += other.Sum
	l.setQuantiles()
}

// setQuantiles sets the quantiles by the buckets.
func (l *Latency) setQuantiles() {
	l.P50, l.P90, l.P99, l.P999 = l.quantile(0.5), l.quantile(0.9), l.quantile(0.99), l.quantile(0.999)
}

// quantile returns the bound of the bucket in which the call is than which q of all
// calls are not slower.
func (l *Latency) quantile(q float64) time.Duration {
	left := q * float64(l.Count)
	for _, b := range l.Buckets {
		if left -= float64(b.Count); left <= 0 {
			return min(b.Below, longest)
		}
	}
	return 0
}
