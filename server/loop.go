package server

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"
)

// A loop is an epoll set with the listener, a wakeup descriptor and the parked
// connections in it.
//
// Everything is registered level-triggered: when a leader is deposed, what epoll
// reported to it and it did not get to is reported to the next leader again. For
// the same reason the wakeup is an eventfd(2) of the loop's own and not the
// poller's, which is edge-triggered.
type loop struct {
	run      *serving
	poller   *netpoll.Poller
	listener int // descriptor, shared by all loops and owned by serving
	wakeup   int // eventfd, -1 once it is closed; written with mu held, constant while anybody polls

	leader   atomic.Pointer[worker] // who polls; nil: whoever sets it first
	waking   atomic.Bool            // a worker was woken to lead and does not run yet
	retired  bool                   // no longer accepts; the leader's, written with mu held
	unlisted bool                   // the listener is not in the epoll set, for the leader waits for it; only the leader touches it
	fresh    *conn                  // accepted, nothing received yet, not parked; or nil; only the leader touches it
	early    bool                   // the backlog may hold callers that could pass descriptors; only the leader touches it
	unmarked bool                   // the backlog may hold connections without SO_PASSCRED; only the leader touches it

	idleSince  int64 // when the backlog was first found empty, on the server's clock; 0: it is not; the leader's
	busySince  int64 // when the first caller after that came, or help was called; the leader's
	gap        int64 // average time that callers are awaited, in ns; the leader's
	contention contention

	count   counters
	latency *latencies // nil without [Server.MeasureLatency]

	waiting atomic.Int32 // connections that are parked
	resting atomic.Bool  // the leader sleeps and leaves the listener to other loops
	direct  atomic.Bool  // the leader waits for the listener and the wakeup alone, or is about to

	question atomic.Pointer[question] // whether the leader goes round, or nil; see progress.go

	mu        sync.Mutex
	parked    []*conn     // by descriptor; guarded by mu
	deadlines deadlines   // of parked; guarded by mu
	closed    bool        // nothing may be parked any more; guarded by mu
	paused    bool        // accepting has paused; guarded by mu
	pauseEnd  *time.Timer // ends that; nil before the first pause; guarded by mu

	readyMu   sync.Mutex
	readyHead *conn // connections that wait for a worker; guarded by readyMu
	readyTail *conn // guarded by readyMu
}

func newLoop(run *serving) (*loop, error) {
	l := &loop{run: run, listener: run.ln.fd, early: run.ln.early, unmarked: run.ln.unmarked, wakeup: -1, gap: int64(gapLimit)}
	l.deadlines = newDeadlines(run.now, l.expire)
	var err error
	if l.poller, err = netpoll.OpenPoller(); err != nil {
		return nil, err
	}
	if l.wakeup, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		l.wakeup, err = -1, os.NewSyscallError("eventfd", err)
	}
	if err == nil {
		err = l.poller.AddRead(&netpoll.PollAttachment{FD: l.wakeup}, false)
	}
	if err == nil {
		err = l.poller.AddRead(&netpoll.PollAttachment{FD: l.listener}, false)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// close frees the loop's descriptors. Nobody may be polling.
func (l *loop) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.poller.Close()
	if l.wakeup >= 0 {
		unix.Close(l.wakeup)
		l.wakeup = -1
	}
}

// wake makes the leader look at what serving wants of it (worker.obey). After
// close it does nothing.
func (l *loop) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wakeup >= 0 {
		unix.Write(l.wakeup, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// retire ends accepting. Only the leader calls it.
func (l *loop) retire() {
	l.mu.Lock()
	l.retired = true
	l.poller.Delete(l.listener)
	l.mu.Unlock()
	l.run.loopRetired()
}

// awake takes back a wake, and answers who may have woken to ask.
func (l *loop) awake() {
	var count [8]byte
	unix.Read(l.wakeup, count[:])
	l.beat()
}

// pushReady queues c. If its request is whole, the payload is its own.
func (l *loop) pushReady(c *conn) {
	l.readyMu.Lock()
	defer l.readyMu.Unlock()
	if l.readyTail == nil {
		l.readyHead = c
	} else {
		l.readyTail.next = c
	}
	l.readyTail = c
}

// popReady returns the connection that has been queued longest, or nil.
func (l *loop) popReady() *conn {
	l.readyMu.Lock()
	defer l.readyMu.Unlock()
	c := l.readyHead
	if c != nil {
		l.readyHead, c.next = c.next, nil
		if l.readyHead == nil {
			l.readyTail = nil
		}
	}
	return c
}

// anyReady reports whether a connection is queued.
func (l *loop) anyReady() bool {
	l.readyMu.Lock()
	defer l.readyMu.Unlock()
	return l.readyHead != nil
}
