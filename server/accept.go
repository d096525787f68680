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

	// acceptPause is how long a loop stops accepting at most when accepting fails, most
	// often because the system has run out of something that it needs.
	acceptPause = 10 * time.Millisecond

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

// accept takes connections off the backlog and serves them, until the backlog
// is empty, the batch is full, or w was deposed.
func (w *worker) accept() backlogState {
	l := w.loop
	defer w.rested()
	for range acceptBatch {
		if l.retired || w.run.stopping.Load() {
			return backlogEmpty
		}
		if w.run.closing.Load() && w.run.ln.leaves.Load() {
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
			l.early, l.unmarked = false, false
			return backlogEmpty
		case unix.ECONNABORTED:
			continue
		case unix.EBADF, unix.EINVAL, unix.ENOTSOCK, unix.EOPNOTSUPP, unix.EFAULT:
			if w.run.stopping.Load() {
				return backlogEmpty // the listener has ended
			}
			w.run.fail(os.NewSyscallError("accept4", errno)) // no later try can succeed
			return backlogEmpty
		default:
			// EMFILE, ENFILE, ENOBUFS, ENOMEM; EPERM from a security module; whatever
			// else accept(2) says of one connection or of this moment.
			if w.done.n > 0 {
				w.closeDone() // which may be what is missing
				continue
			}
			l.unlisted = false // it is for the pause to put it back
			l.pauseAccepting(errno)
			return backlogBlocked
		}
		w.tick()
		w.closeLate()
		w.busy = !l.noteCaller(w.now)
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
	*c = conn{loop: l, fd: fd, accepted: w.now, heapIndex: -1, mode: w.run.ln.mode}
	if l.early {
		c.mode = sys.Yield
	}
	if l.unmarked {
		// The kernel has stamped what came before the accept, and stamps what comes
		// from here on. What came in between names nobody, and is refused, as is
		// everything if this fails.
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
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
// be reported over and over otherwise. What is in the backlog stays there. Accepting
// goes on when a connection of this server is closed, which makes room for another if
// descriptors are what is missing, and at the latest after acceptPause: others make
// room too, without a word.
func (l *loop) pauseAccepting(cause error) {
	l.count.paused.Add(1)
	if last, now := l.run.pauseLog.Load(), l.run.now(); last == 0 || now-last > int64(pauseLogInterval) {
		l.run.pauseLog.Store(now)
		l.run.log.Warn("accepting pauses again and again until there is room", "error", cause, "pause", acceptPause)
	}
	l.mu.Lock() // so that the poller is not closed meanwhile
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.poller.Delete(l.listener)
	if !l.paused {
		l.paused = true
		l.run.paused.Add(1)
	}
	if l.pauseEnd == nil {
		l.pauseEnd = time.AfterFunc(acceptPause, l.resumeAccepting)
		return
	}
	l.pauseEnd.Reset(acceptPause)
}

// madeRoom has loops that have paused accept again: a descriptor was closed.
func (s *serving) madeRoom() {
	if s.paused.Load() == 0 {
		return
	}
	for _, l := range s.loops {
		l.resumeAccepting()
	}
}

// resumeAccepting ends a pause, if there is one.
func (l *loop) resumeAccepting() {
	var err error
	l.mu.Lock() // so that the poller is not closed meanwhile
	resumes := l.paused
	if resumes {
		l.paused = false
		l.run.paused.Add(-1)
		l.pauseEnd.Stop()
		if !l.closed && !l.retired {
			err = l.list()
		}
	}
	l.mu.Unlock()
	if err != nil {
		l.pauseAccepting(err)
	}
	if resumes && l.run.closing.Load() {
		l.wake() // the leader was about to empty the backlog
	}
}
