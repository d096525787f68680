package server

import (
	"context"
	"sync"
	"time"
)

// A callContext is the context of one call. Unless somebody has asked for its
// channel, nobody can be waiting for it, and its worker uses it again for the
// next call.
type callContext struct {
	worker   *worker
	turn     uint64 // of worker
	deadline int64  // on the server's clock

	mu   sync.Mutex
	done chan struct{} // made when asked for; guarded by mu
	err  error         // guarded by mu
}

// begin makes x the context of a new call.
func (x *callContext) begin(w *worker, turn uint64, deadline int64) {
	x.worker, x.turn, x.deadline = w, turn, deadline
	x.err = nil
}

// end ends the context because the handler has returned. It reports whether
// somebody may be holding on to it.
func (x *callContext) end() (asked bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.done == nil {
		return false
	}
	x.cancelLocked(context.Canceled)
	return true
}

// cancel ends the context with err.
func (x *callContext) cancel(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.cancelLocked(err)
}

func (x *callContext) cancelLocked(err error) {
	if x.err != nil {
		return
	}
	x.err = err
	if x.done != nil {
		close(x.done)
	}
}

// Deadline returns when the time for the call is over.
func (x *callContext) Deadline() (time.Time, bool) {
	return x.worker.run.epoch.Add(time.Duration(x.deadline)), true
}

// Done returns a channel that is closed when the context ends. Asking for it
// puts the call under watch.
func (x *callContext) Done() <-chan struct{} {
	x.mu.Lock()
	asked := x.done != nil
	if !asked {
		x.done = make(chan struct{})
		if x.err != nil {
			close(x.done)
		}
	}
	done := x.done
	x.mu.Unlock()
	if !asked {
		x.worker.run.watch.claim(x.worker, x.turn)
	}
	return done
}

// Err returns nil until the context ends, then [context.Canceled] or
// [context.DeadlineExceeded].
func (x *callContext) Err() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.err
}

// Value returns nil: the call has no values.
func (x *callContext) Value(any) any { return nil }
