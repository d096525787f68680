package client

import (
	"sync/atomic"
	"time"
)

const (
	// spinBelow is how long lone calls may have waited lately, on average, for the
	// next one to look for its answer over and over: about what it costs both sides
	// that the caller sleeps and is woken.
	spinBelow = 30 * time.Microsecond

	// spinFor is for how long it looks.
	spinFor = 50 * time.Microsecond

	// longestWait is the most that one wait counts for, so that a slow answer is
	// forgotten within some thirty quick ones.
	longestWait = time.Millisecond

	// longYield is how long the processor may have been away lately, on average, when it
	// was yielded. Measured with two cores: 50 µs and less with one process of 4 to 64
	// callers, 300 µs with four processes, 1,200 µs beside two threads that never wait.
	longYield = 600 * time.Microsecond

	// longestYield is the most that one yield counts for.
	longestYield = 10 * time.Millisecond

	// rest is for how long calls do without once it was longer. The yields that tell so
	// take about 3 % of it.
	rest = 500 * time.Millisecond
)

// Waits say how long a client's calls that were alone waited for their answers
// lately, and for how long the processor was away when others yielded it, on average and
// in nanoseconds. They are only a hint: of two that are noted at once one is lost.
type waits struct {
	average atomic.Int64
	away    atomic.Int64
	resting atomic.Pointer[time.Time] // until when calls do not yield; nil if they never rested
}

// note counts a wait.
func (w *waits) note(wait time.Duration) {
	average := w.average.Load()
	w.average.Store(average + (int64(min(wait, longestWait))-average)/8)
}

// long reports whether answers take so long that the poller is to wait for them.
func (w *waits) long() bool { return w.average.Load() > int64(spinBelow) }

// noteYield is told when the processor was yielded, and for how long it was away.
func (w *waits) noteYield(began time.Time, away time.Duration) {
	average := w.away.Load()
	average += (int64(min(away, longestYield)) - average) / 32
	if average > int64(longYield) {
		until := began.Add(away + rest)
		w.resting.Store(&until)
		average = int64(longYield) / 2 // so that few yields tell when it is over
	}
	w.away.Store(average)
}

// mayYield reports whether the processor is back soon if it is yielded.
func (w *waits) mayYield() bool {
	until := w.resting.Load()
	return until == nil || time.Now().After(*until)
}
