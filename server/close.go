package server

import (
	"time"

	"credrpc/frame"
	"credrpc/internal/sys"
)

// finish is the loop's finish for a call that w has answered at once. If more calls wait
// for w, it closes the connection with others.
func (w *worker) finish(c *conn) {
	l := c.loop
	if !w.busy || c.unread > 0 || c.mode != sys.Raw {
		l.finish(c)
		return
	}
	defer w.endLater(c)
	l.concludeFinished(c)
}

// finish ends c, whose response the kernel has taken whole.
func (l *loop) finish(c *conn) {
	defer l.end(c) // also if Ended ends this goroutine
	l.concludeFinished(c)
}

func (l *loop) concludeFinished(c *conn) {
	if c.failed {
		l.conclude(c, OutcomeFailed, 0)
	} else {
		l.conclude(c, OutcomeAnswered, 0)
	}
}

// drop ends c, whose response cannot be delivered.
func (l *loop) drop(c *conn) {
	defer l.end(c)
	l.conclude(c, OutcomeDropped, 0)
}

// end closes c, as soon as its caller has read what the kernel holds if that is much.
func (l *loop) end(c *conn) {
	if c.unread > 0 {
		l.awaitReader(c)
		return
	}
	l.close1(c)
}

// giveUp ends c, which waited or was about to. r is what a caller is told whose
// request is not whole.
func (l *loop) giveUp(c *conn, r Reason) {
	switch c.state {
	case receiving, delayed:
		l.refuseNow(c, r)
	case excessive:
		l.refuseNow(c, RefusedRate)
	case responding:
		l.drop(c)
	case lingering:
		l.endLingering(c)
	case unread:
		l.close1(c)
	}
}

// close1 closes c and ends its call. Closing may take as long as the caller
// likes if it has passed descriptors that nobody has received. That is then for
// a goroutine of its own; the call stays in flight until it has ended, so that
// there are no more of them than calls. Where nothing of the kind is there the place
// is free at once: the caller may know already that the call is over, and come again.
func (l *loop) close1(c *conn) {
	if c.mode == sys.Raw {
		sys.Close(c.fd, sys.Raw)
		l.run.leave(c)
		l.recycle(c)
		return
	}
	if n, errno := sys.Deafen(c.fd); n == 0 && errno == 0 {
		l.run.lingering.Add(1) // first, for Shutdown to see the one or the other
		l.run.leave(c)
		l.endLingering(c)
		return
	}
	go func() {
		sys.Close(c.fd, sys.Yield)
		l.run.leave(c)
		l.recycle(c)
	}()
}

// recycle gives c back, whose descriptor is closed. Nothing refers to it any more.
func (l *loop) recycle(c *conn) {
	c.release()
	l.run.conns.Put(c)
	l.run.madeRoom()
}

// doneBatch is how many connections are closed together at most. Each beyond it would save
// a sixteenth of what the first ones do, and keep the callers of all waiting that read
// to the end of the stream.
const doneBatch = 16

// doneFor is how old the first of them may be when another call begins. A batch of quick
// calls takes 130 µs. Where handlers take longer, nobody waits for more than one of
// others after his own.
const doneFor = 200 * time.Microsecond

// A done holds the descriptors of connections that are answered and not closed yet: one
// system call for several of them is cheaper than one for each.
type done struct {
	fds   [doneBatch]int
	n     int
	since int64 // when the first of these calls began, on the server's clock
}

// endLater ends c, which is answered, but for its descriptor.
func (w *worker) endLater(c *conn) {
	if w.done.n == 0 {
		w.done.since = w.now
	}
	w.done.fds[w.done.n] = c.fd
	w.done.n++
	l := c.loop
	l.run.leave(c)
	l.run.conns.Put(c)
	if w.done.n == doneBatch {
		w.closeDone()
	}
}

// closeLate is closeDone before another call, if that could keep callers for long.
func (w *worker) closeLate() {
	if w.done.n > 0 && w.now-w.done.since > int64(doneFor) {
		w.closeDone()
	}
}

// closeDone closes what endLater has left open.
func (w *worker) closeDone() { w.done.close(w.run) }

// close closes the descriptors in d. Those that follow each other, as those of fresh
// connections do, take one system call.
func (d *done) close(run *serving) {
	if d.n == 0 {
		return
	}
	fds := d.fds[:d.n]
	d.n = 0
	for len(fds) > 0 {
		n := 1
		for n < len(fds) && fds[n] == fds[0]+n {
			n++
		}
		if n == 1 || sys.CloseRange(fds[0], fds[n-1]) != 0 {
			for _, fd := range fds[:n] {
				sys.Close(fd, sys.Raw)
			}
		}
		fds = fds[n:]
	}
	run.madeRoom()
}

// hangUp tells the caller of an abandoned call an error and closes the connection, or
// leaves that to buryAbandoned if it may take long. The call stays in flight until its
// handler returns.
func (a *abandoned) hangUp(text string) {
	defer a.letGo()
	l := a.loop
	var buf [frame.HeaderSize + 100]byte
	n, _ := sys.Send(a.fd, frame.AppendError(buf[:0], text), nil)
	l.count.bytesOut.Add(uint64(n))
	l.count.add(a.record.Outcome, 0)
	if l.run.observed {
		a.record.BytesOut = n
		l.observe(a.record)
	}
}

// letGo ends what hangUp has to do with the connection.
func (a *abandoned) letGo() {
	if a.mode == sys.Raw {
		sys.Close(a.fd, sys.Raw)
		a.loop.run.madeRoom()
	} else {
		sys.ShutdownWrite(a.fd)
	}
	a.loop.run.watch.letGo(a.conn)
}

// buryAbandoned ends an abandoned call that is hung up and whose handler has returned.
func (l *loop) buryAbandoned(c *conn) {
	if c.mode == sys.Yield {
		l.close1(c)
		return
	}
	l.run.leave(c)
	l.recycle(c)
}
