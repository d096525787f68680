package server

import (
	"time"

	"credrpc/frame"
	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// A caller that is refused while it is still sending would not read the reason:
// closing a socket with unread bytes in it makes its next write fail, and a
// simple client never looks at what has come back. So the reason is written,
// the writing side is shut down, and what the caller still sends is drained,
// within these bounds. Lingering connections are no calls in flight.
const (
	lingerTimeout = time.Second
	lingerBytes   = 16 << 20 // what the caller may still send, randomly picked
	maxLingering  = 1024     // connections; the next are closed at once
)

// refuse tells the caller of c why it is refused and ends its call. The caller
// of refuse owns c and must not touch it afterwards.
func (l *loop) refuse(c *conn, r Reason) {
	linger := l.run.lingering.Add(1) // first, for Shutdown to see the one or the other
	l.run.leave(c)
	l.linger(c, r, linger)
}

// refuseUncounted is refuse for a connection that is not in flight.
func (l *loop) refuseUncounted(c *conn, r Reason) {
	l.linger(c, r, l.run.lingering.Add(1))
}

// linger says r, and waits for the caller to stop sending, unless c is one too
// many: the nth.
func (l *loop) linger(c *conn, r Reason, n int64) {
	defer l.awaitSilence(c, n)
	l.sayWhy(c, r)
}

// awaitSilence waits for the caller of c, the nth that lingers, to stop sending.
func (l *loop) awaitSilence(c *conn, n int64) {
	sys.ShutdownWrite(c.fd)
	if n > maxLingering {
		l.endLingering(c)
		return
	}
	c.moved = 0
	c.deadline = l.run.now() + int64(lingerTimeout)
	if c.mode == sys.Yield {
		l.park(c, lingering, readable) // draining is for a worker that does not lead
		return
	}
	l.drain(c)
}

// refuseNow is refuse for a caller that is not worth waiting for: it was late,
// or sends no more.
func (l *loop) refuseNow(c *conn, r Reason) {
	defer l.close1(c)
	l.sayWhy(c, r)
}

// sayWhy writes the error frame of r. A socket that nothing was written to
// before has room for it.
func (l *loop) sayWhy(c *conn, r Reason) {
	l.count.add(OutcomeRefused, r)
	c.release()
	var buf [frame.HeaderSize + 100]byte
	n, _ := sys.Send(c.fd, frame.AppendError(buf[:0], r.text()), nil)
	l.count.bytesOut.Add(uint64(n))
	c.moved = int32(n)
	l.report(c, OutcomeRefused, r)
}

// drain reads and forgets what the caller of a refused connection still sends,
// until it stops, hangs up, or a bound is reached.
func (l *loop) drain(c *conn) {
	var forget [4096]byte
	var received sys.Received
	for tries := 0; c.moved < lingerBytes; tries++ {
		if tries == turnTries {
			l.park(c, lingering, readable)
			return
		}
		n, errno := sys.Receive(c.fd, forget[:], &received, c.mode)
		if errno == unix.EAGAIN {
			l.park(c, lingering, readable)
			return
		}
		if errno != 0 || n == 0 {
			break
		}
		c.moved += int32(n)
	}
	l.endLingering(c)
}

// endLingering closes a lingering connection.
func (l *loop) endLingering(c *conn) {
	if c.mode == sys.Raw {
		sys.Close(c.fd, sys.Raw)
		l.run.leaveLingering()
		l.recycle(c)
		return
	}
	go func() { // as in close1
		sys.Close(c.fd, sys.Yield)
		l.run.leaveLingering()
		l.recycle(c)
	}()
}
