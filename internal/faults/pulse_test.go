package faults

import (
	"sync/atomic"
	"testing"
	"time"
)

// A pulse notices that this process did not run for a while: a machine that is
// suspended or overloaded, or a cgroup that is frozen, makes calls late without any
// fault of the server's.
type pulse struct {
	longest atomic.Int64 // gap between two beats, in nanoseconds
}

// pulseLimit is how late a beat may be. The shortest limit that a server has for a
// call is longer.
const pulseLimit = 2 * time.Second

// startPulse starts a pulse, which ends with the test.
func startPulse(t *testing.T) *pulse {
	p := new(pulse)
	go func() {
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for last := time.Now(); ; last = time.Now() {
			select {
			case <-ticker.C:
				p.longest.Store(max(p.longest.Load(), int64(time.Since(last))))
			case <-t.Context().Done():
				return
			}
		}
	}()
	return p
}

// stopped reports whether this process did not run for a while since it was asked
// last.
func (p *pulse) stopped() bool { return time.Duration(p.longest.Swap(0)) > pulseLimit }
