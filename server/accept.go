package server

import (
	"errors"
	"os"
	"time"

	"credrpc/internal/sys"

	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"
)

const (
	// acceptBatch is how many connections a leader takes before it looks at
	// the parked ones again.
	acceptBatch = 64

	// waryBatch is how many whole requests a wary leader collects before it
	// gives up the lead to run them.
	waryBatch = 32

	// acceptPause is how long a loop stops accepting when the system has run
	// out of something that accepting needs.
	acceptPause = 10 * time.Millisecond

	// freshPatience is for how many milliseconds a connection that nothing has
	// arrived on stays out of epoll. Callers send microseconds after they have
	// connected.
	freshPatience = 1 // ms

	// pauseLogInterval is the least time between two log lines about that.
	// Callers can cause it.
	pauseLogInterval = time.Minute
)

// errLingering is why a loop pauses on kernels that let callers pass descriptors.
var errLingering = errors.New("too many refused callers linger")

// A backlogState is what accept knows of the backlog when it returns.
type backlogState uint8

const (
	backlogUnknown backlogState = iota // there may be more
	backlogEmpty                       // or it belongs to somebody else now
	backlogBlocked                     // there may be more, but the system has run out of something
)

// acceptAll takes connections off the backlog and serves them. As long as no
// connection is parked it also waits for the next ones: then the listener, the
// wakeup and perhaps one fresh connection are all that can be ready, and waiting
// for these takes one system call, where the poller takes two and a detour
// through the scheduler that wakes a second thread.
func (w *worker) acceptAll() {
	l := w.loop
	for {
		backlog := w.accept()
		if w.leading && l.fresh != nil {
			c := l.fresh
			l.fresh = nil
			w.tick()
			w.serve(c)
		}
		if w.readyCount > 0 {
			w.runReady()
		}
		switch {
		case !w.leading || w.run.closing.Load() || backlog == backlogBlocked:
			return
		case backlog == backlogUnknown && l.waiting.Load() > 0:
			return
		case backlog == backlogEmpty && !l.awaitCallers():
			return
		}
	}
}

// awaitCallers waits until there is a connection in the backlog, or the fresh
// connection can be read. It returns false if the poller has to be asked,
// because something else is or may become ready.
func (l *loop) awaitCallers() bool {
	l.direct.Store(true) // from here on, who parks a connection wakes
	if l.retired || l.waiting.Load() > 0 {
		l.direct.Store(false)
		return false
	}
	if !l.unlisted {
		// Callers would pay for telling the epoll set of every connection.
		l.poller.Delete(l.listener)
		l.unlisted = true
	}
	fresh := -1 // poll(2) ignores it
	timeout := -1
	if l.fresh != nil {
		fresh, timeout = l.fresh.fd, freshPatience
	}
	ready, woken, errno := sys.PollThree(l.wakeup, l.listener, fresh, timeout)
	l.direct.Store(false)
	if ready == 0 {
		l.usePoller()
	}
	return errno == 0 && !woken
}

// usePoller makes the poller report everything that the leader has waited for by
// itself. Only the leader calls it, before it polls.
func (l *loop) usePoller() {
	if l.unlisted && !l.retired {
		l.unlisted = false
		if err := l.list(); err != nil {
			l.pauseAccepting(err)
		}
	}
	if c := l.fresh; c != nil {
		l.fresh = nil
		l.park(c, receiving, readable)
	}
}

// accept takes connections off the backlog and serves them, until the backlog
// is empty, the batch is full, or w was deposed.
func (w *worker) accept() backlogState {
	l := w.loop
	for range acceptBatch {
		if l.retired || w.run.stopping.Load() {
			return backlogEmpty
		}
		if w.run.closing.Load() && w.run.ln.inherited {
			return backlogEmpty // the backlog is for whoever holds the listener next
		}
		if w.run.ln.mode == sys.Yield && w.run.lingering.Load() > 2*maxLingering {
			// Each may be a goroutine that waits for a descriptor to close.
			l.unlisted = false
			l.pauseAccepting(errLingering)
			return backlogBlocked
		}
		fd, errno := sys.Accept(l.listener)
		switch errno {
		case 0:
		case unix.EAGAIN:
			l.early = false
			return backlogEmpty
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			l.unlisted = false // it is for the pause to put it back
			l.pauseAccepting(errno)
			return backlogBlocked
		case unix.ECONNABORTED:
			continue
		default:
			if w.run.stopping.Load() {
				return backlogEmpty // the listener has ended
			}
			w.run.fail(os.NewSyscallError("accept4", errno))
			return backlogEmpty
		}
		w.tick()
		l.count.accepted.Add(1)
		if c := w.admit(fd); c != nil {
			w.serve(c)
		}
		if !w.leading || w.readyCount >= waryBatch {
			return backlogUnknown
		}
	}
	return backlogUnknown
}

// admit makes a connection of fd, whose caller it asks the kernel for, or
// refuses it and returns nil.
func (w *worker) admit(fd int) *conn {
	l := w.loop
	c := w.run.conns.Get().(*conn)
	*c = conn{loop: l, fd: fd, heapIndex: -1, mode: w.run.ln.mode}
	if l.early {
		c.mode = sys.Yield
	}
	c.decoder.Reset(w.run.limits.maxRequest)
	ucred, errno := sys.PeerUcred(fd)
	c.peer = fromUcred(ucred)
	var reason Reason
	if c.account, reason = w.run.enter(c.peer.UID()); c.account == nil {
		// Refused before it was in flight.
		l.refuseUncounted(c, reason)
		return nil
	}
	if errno != 0 || !w.run.known(c.peer) {
		l.refuse(c, RefusedNoCredentials)
		return nil
	}
	if w.run.rates != nil && !w.inRate(c) {
		return nil
	}
	if !w.authorize(c) {
		return nil
	}
	c.deadline = w.now + int64(w.run.limits.requestTimeout)
	return c
}

// serve goes as far with c as it gets without waiting.
func (w *worker) serve(c *conn) {
	if c.mode == sys.Yield && w.leading {
		// Receiving may take as long as the caller likes.
		w.enqueue(c)
		return
	}
	payload, whole := w.receive(c)
	if !whole {
		return
	}
	if w.leading && (w.wary || w.readyCount > 0) {
		if !c.own(payload) {
			w.loop.refuse(c, RefusedBytesUID)
			return
		}
		w.enqueue(c)
		return
	}
	w.dispatch(c, payload)
}

// list puts the listener into the epoll set. It may be there already.
func (l *loop) list() error {
	err := l.poller.AddRead(&netpoll.PollAttachment{FD: l.listener}, false)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

// pauseAccepting takes the listener out of the epoll set for a while: it would
// be reported over and over otherwise. What is in the backlog stays there.
func (l *loop) pauseAccepting(cause error) {
	l.poller.Delete(l.listener)
	l.count.paused.Add(1)
	if last, now := l.run.pauseLog.Load(), l.run.now(); last == 0 || now-last > int64(pauseLogInterval) {
		l.run.pauseLog.Store(now)
		l.run.log.Warn("accepting pauses again and again until there is room", "error", cause, "pause", acceptPause)
	}
	time.AfterFunc(acceptPause, func() {
		var err error
		l.mu.Lock() // so that the poller is not closed meanwhile
		if !l.closed && !l.retired {
			err = l.list()
		}
		l.mu.Unlock()
		if err != nil {
			l.pauseAccepting(err)
		}
		if l.run.closing.Load() {
			l.wake() // the leader was about to empty the backlog
		}
	})
}
