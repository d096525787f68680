package server

import (
	"context"
	"sync"

	"credrpc/internal/sys"

	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"github.com/panjf2000/gnet/v2/pkg/queue"
	"golang.org/x/sys/unix"
)

// A watch looks after calls whose handler takes long or asked to be told: it
// ends their context when the caller hangs up, and answers the caller when the
// deadline passes. It has a poller of its own, whose callbacks never block, so
// that registrations can be edge-triggered: bytes that follow a request wake it
// once and not for ever.
type watch struct {
	run    *serving
	poller *netpoll.Poller

	mu        sync.Mutex
	calls     map[int]*conn // by descriptor; guarded by mu
	deadlines deadlines     // of calls; guarded by mu
	closed    bool          // calls are abandoned as they come; guarded by mu
}

func newWatch(run *serving) (*watch, error) {
	t := &watch{run: run, calls: make(map[int]*conn)}
	t.deadlines = newDeadlines(run.now, t.expire)
	var err error
	t.poller, err = netpoll.OpenPoller()
	return t, err
}

// main is the watch's goroutine.
func (t *watch) main() {
	defer t.run.goroutines.Done()
	t.poller.Polling(func(fd int, _ netpoll.IOEvent, _ netpoll.IOFlags) error {
		t.look(fd)
		return nil
	})
}

// claim puts the call that w is running in turn under watch, unless the turn is
// over or claimed already. If w leads its loop it is deposed, unless handlers
// run on the loop.
func (t *watch) claim(w *worker, turn uint64) (claimed bool) {
	t.mu.Lock()
	if !w.turn.CompareAndSwap(turn, turn+1) {
		t.mu.Unlock()
		return false
	}
	// w waits in end for mu as soon as its handler returns.
	c, l := w.conn, w.loop
	late := w.done // not to be kept open for as long as the handler takes
	w.done.n = 0
	c.worker, c.holders = w, 0
	l.unregister(c)
	deposed := w.leading && !t.run.limits.onLoop
	if deposed {
		w.deposed = true
		l.leader.Store(nil)
		l.count.deposed.Add(1)
	}
	t.calls[c.fd] = c
	t.deadlines.add(c)
	// Failing means that a hang-up goes unnoticed; the deadline holds.
	t.poller.AddRead(&netpoll.PollAttachment{FD: c.fd}, true)
	var a *abandoned
	if t.closed {
		a = t.abandonLocked(c, context.Canceled)
	}
	t.mu.Unlock()
	late.close(t.run)
	if deposed {
		t.run.beWary()
		t.run.summon(l)
	}
	if a != nil {
		a.hangUp(closingText)
	}
	return true
}

// end takes c out of the watch because its handler has returned. It returns
// false if c was abandoned.
func (t *watch) end(c *conn) (mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.worker = nil
	if c.holders > 0 {
		return false
	}
	t.removeLocked(c)
	return true
}

// letGo is called by each of the two who hold an abandoned call when they are done with
// it. The last one buries it: neither is its descriptor closed while hangUp writes to
// it, nor does the call count as ended before its end is told.
func (t *watch) letGo(c *conn) {
	t.mu.Lock()
	c.holders--
	last := c.holders == 0
	t.mu.Unlock()
	if last {
		c.loop.buryAbandoned(c)
	}
}

func (t *watch) removeLocked(c *conn) {
	delete(t.calls, c.fd)
	t.deadlines.remove(c)
	t.poller.Delete(c.fd)
}

// What callers of abandoned calls are told.
const (
	timeoutText = "the call took too long"
	closingText = "server is closing"
)

// An abandoned is a connection that was taken away from its handler, to hang up. What is
// in the conn stays with the handler's worker.
type abandoned struct {
	conn   *conn
	loop   *loop
	fd     int
	mode   sys.Mode
	record CallRecord
}

// abandonLocked takes c away from its handler. c must not be touched once mu is
// unlocked, but for hangUp, which has to follow, to let it go.
func (t *watch) abandonLocked(c *conn, err error) *abandoned {
	a := &abandoned{conn: c, loop: c.loop, fd: c.fd, mode: c.mode, record: c.record(OutcomeFailed, 0)}
	a.record.TimedOut = err == context.DeadlineExceeded
	c.holders = 2
	t.removeLocked(c)
	c.worker.context.cancel(err)
	return a
}

// look is called when something has happened to the caller of a call.
func (t *watch) look(fd int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.calls[fd]
	if c == nil {
		return
	}
	// POLLHUP: both directions are shut, which takes a close. A caller that
	// has only shut down its writing side still waits for the answer.
	if events, _ := sys.Poll(fd, 0, 0); events&unix.POLLHUP != 0 {
		c.worker.context.cancel(context.Canceled)
		t.poller.Delete(fd)
	}
}

// expire answers the callers of calls whose deadline has passed. It runs on the
// timer's goroutine.
func (t *watch) expire() {
	for {
		t.mu.Lock()
		c := t.deadlines.pop(t.run.now())
		if c == nil {
			t.mu.Unlock()
			return
		}
		a := t.abandonLocked(c, context.DeadlineExceeded)
		t.mu.Unlock()
		a.loop.count.timeouts.Add(1)
		a.hangUp(timeoutText)
	}
}

// shut abandons every call, and those to come.
func (t *watch) shut() {
	for {
		t.mu.Lock()
		t.closed = true
		t.deadlines.timer.Stop()
		var c *conn
		for _, c = range t.calls {
			break
		}
		if c == nil {
			t.mu.Unlock()
			break
		}
		a := t.abandonLocked(c, context.Canceled)
		t.mu.Unlock()
		a.hangUp(closingText)
	}
	t.poller.Trigger(queue.HighPriority, func(any) error { return errLeave }, nil)
}
