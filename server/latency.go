package server

import (
	"iter"
	"math"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"
)

// Latency is how long calls took, as counts of durations in buckets: those up to 2 µs
// by steps of 64 ns, and longer ones by steps of a sixteenth to a thirty-second of
// themselves. The last bucket, which begins at 133 s, has everything that is longer.
// The zero value has no calls.
type Latency struct {
	// Sum is the sum of all durations.
	Sum time.Duration

	counts []uint64 // latencyBuckets, or nil
}

const (
	latencyUnit    = 6  // the least step is 1<<latencyUnit nanoseconds
	latencySteps   = 16 // steps in an octave, and to the first octave
	latencyOctaves = 27
	latencyBuckets = (latencyOctaves + 1) * latencySteps
)

// latencyBucket returns the index of the bucket that d belongs to.
func latencyBucket(d time.Duration) int {
	units := uint64(max(d, 0)) >> latencyUnit
	octave := max(0, bits.Len64(units)-bits.Len64(latencySteps))
	return min(octave*latencySteps+int(units>>octave), latencyBuckets-1)
}

// latencyBound returns the least duration that is too long for bucket i.
func latencyBound(i int) time.Duration {
	if i == latencyBuckets-1 {
		return math.MaxInt64
	}
	octave := max(0, i/latencySteps-1)
	return time.Duration(i-octave*latencySteps+1) << (octave + latencyUnit)
}

// Count returns the number of calls.
func (l Latency) Count() uint64 {
	n := uint64(0)
	for _, count := range l.counts {
		n += count
	}
	return n
}

// Quantile returns the duration that a share of q of all calls did not exceed, rounded
// up to the end of its bucket; the beginning for the last one, that has no end. It is 0
// if there are no calls. q is from 0 to 1.
func (l Latency) Quantile(q float64) time.Duration {
	n := l.Count()
	if n == 0 {
		return 0
	}
	rank := min(uint64(math.Ceil(min(max(q, 0), 1)*float64(n))), n) // also where q is no number
	i := 0
	for seen := l.counts[0]; seen < max(rank, 1); seen += l.counts[i] {
		i++
	}
	return latencyBound(min(i, latencyBuckets-2))
}

// Buckets returns those buckets that have calls, by rising duration: the least duration
// that is too long for the bucket, and how many calls are in it.
func (l Latency) Buckets() iter.Seq2[time.Duration, uint64] {
	return func(yield func(time.Duration, uint64) bool) {
		for i, count := range l.counts {
			if count > 0 && !yield(latencyBound(i), count) {
				return
			}
		}
	}
}

// Sub returns the calls that l has beyond those of earlier, a snapshot of the same
// server.
func (l Latency) Sub(earlier Latency) Latency {
	l.Sum -= earlier.Sum
	l.counts = slices.Clone(l.counts)
	for i, count := range earlier.counts {
		l.counts[i] -= count
	}
	return l
}

// latencies is what Latency is made of. Each loop has its own, as with counters.
type latencies struct {
	sum    atomic.Int64 // ns
	counts [latencyBuckets]atomic.Uint64
}

func (l *latencies) add(d time.Duration) {
	l.sum.Add(int64(d))
	l.counts[latencyBucket(d)].Add(1)
}

func (l *latencies) addTo(sum *Latency) {
	if sum.counts == nil {
		sum.counts = make([]uint64, latencyBuckets)
	}
	sum.Sum += time.Duration(l.sum.Load())
	for i := range l.counts {
		sum.counts[i] += l.counts[i].Load()
	}
}
