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
)

// Waits say how long a client's calls that were alone waited for their answers
// lately, in nanoseconds. They are only a hint: of two that are noted at once one is
// lost.
type waits struct{ average atomic.Int64 }

// note counts a wait.
func (w *waits) note(wait time.Duration) {
	average := w.average.Load()
	w.average.Store(average + (int64(min(wait, longestWait))-average)/8)
}

// long reports whether answers take so long that the poller is to wait for them.
func (w *waits) long() bool { return w.average.Load() > int64(spinBelow) }
