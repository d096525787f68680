package load

import (
	"math"
	"sync/atomic"
	"testing"
	"time"

	"credrpc/internal/sys"
)

func TestWait(t *testing.T) {
	c := clockAt(sys.Monotonic())
	p := pacer{firstMargin}
	var never, soon atomic.Int64
	never.Store(math.MaxInt64)
	for range 20 {
		at := c.now() + 300*time.Microsecond
		if got := p.wait(&c, at, &never); got < at || c.now() < got {
			t.Errorf("it waited until %v for %v", got, at)
		}
		if p.margin < 0 || p.margin > maxMargin {
			t.Errorf("a margin of %v", p.margin)
		}
	}
	if now := c.now(); p.wait(&c, now-time.Second, &never) < now {
		t.Error("it returned in the past")
	}
	// A limit ends the wait although it comes in its midst.
	soon.Store(math.MaxInt64)
	time.AfterFunc(time.Millisecond, func() { soon.Store(0) })
	if at := c.now() + time.Hour; p.wait(&c, at, &soon) >= at {
		t.Error("it waited for an hour")
	}
}

// TestClockAt has a run that began earlier.
func TestClockAt(t *testing.T) {
	c := clockAt(sys.Monotonic() - int64(time.Minute))
	if now := c.now(); now < time.Minute {
		t.Errorf("a minute later it is %v", now)
	}
	early := clockAt(sys.Monotonic() + int64(time.Hour))
	if now := early.now(); now > 0 {
		t.Errorf("an hour before it is %v", now)
	}
}
