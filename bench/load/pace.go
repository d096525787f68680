package load

import (
	"sync/atomic"
	"time"

	"credrpc/internal/sys"
)

const (
	// firstMargin is how long before its time a caller wakes at first: about what
	// a wake-up took here. It then follows what the caller sees.
	firstMargin = 30 * time.Microsecond

	// maxMargin is the longest that a caller spins. A machine that wakes threads
	// later than this lacks cores, and spinning would take more of them.
	maxMargin = 50 * time.Microsecond

	// marginStep is how far the margin moves after each sleep: up if that lasted
	// longer than the margin, else down, so that it comes to rest where both happen
	// equally often.
	marginStep = 500 * time.Nanosecond

	// longestSleep is after how long a sleeping caller looks whether the run goes
	// on.
	longestSleep = 100 * time.Millisecond
)

// A clock is that of a run.
type clock struct {
	began time.Time // of the run
	base  int64     // the same on the monotonic clock
}

// clockAt returns the clock of a run that begins, or began, at a time of the
// monotonic clock.
func clockAt(base int64) clock {
	return clock{time.Now().Add(time.Duration(base - sys.Monotonic())), base}
}

// now returns the time since the run began.
func (c *clock) now() time.Duration { return time.Since(c.began) }

// A pacer waits until a time: it sleeps, and then reads the clock until it is the
// time. It belongs to one goroutine.
type pacer struct {
	margin time.Duration
}

// wait returns when it is time, and when that was: earlier if the limit, which
// may change, comes first.
func (p *pacer) wait(c *clock, at time.Duration, limit *atomic.Int64) time.Duration {
	for {
		now := c.now()
		if now >= at || now >= time.Duration(limit.Load()) {
			return now
		}
		if at-now <= p.margin {
			continue
		}
		wake := min(at-p.margin, now+longestSleep)
		sys.SleepUntil(c.base + int64(wake))
		if late := c.now() - wake; late > p.margin {
			p.margin = min(p.margin+marginStep, maxMargin)
		} else {
			p.margin = max(p.margin-marginStep, 0)
		}
	}
}
