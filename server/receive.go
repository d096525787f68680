package server

import (
	"time"

	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

const (
	// scratchSize is the size in bytes of the buffer that a leader receives
	// into. A request that fits and arrives in one piece is never copied. One of
	// 16 KiB fits; 64 KiB were no faster (docs/ARCHITECTURE.md).
	scratchSize = 16<<10 + 64

	// roomFactor is how many times as much room is made for a request as has arrived
	// of it: one of 1 MiB is copied twice on the way, 16 and 128 KiB, and whoever
	// announces much and sends little gets little.
	roomFactor = 8

	// receiveTurn is how many bytes of one request a leader receives before it
	// looks at the other connections again.
	receiveTurn = 1 << 20

	// turnTries is how many system calls a leader spends on one connection
	// before it looks at the others again.
	turnTries = 64
)

// receive reads as much of c's request as has arrived. When the request is whole
// it returns true and the payload, which lies in c's request or in w's scratch,
// where it is good until w receives again. On false, c is parked or ended.
func (w *worker) receive(c *conn) (payload []byte, whole bool) {
	l := w.loop
	for turn, tries := 0, 0; turn < receiveTurn && tries < turnTries; tries++ {
		space := w.space(c)
		if !c.charge() {
			l.refuse(c, RefusedBytesUID)
			return nil, false
		}
		n, errno := sys.Receive(c.fd, space, &w.received, c.mode)
		switch {
		case errno == unix.EAGAIN:
			since := c.deadline - int64(w.run.limits.requestTimeout)
			if w.leading && l.fresh == nil && c.interest == unregistered && !c.decoder.Started() &&
				w.now-since < freshPatience*int64(time.Millisecond) {
				l.fresh = c
				return nil, false
			}
			l.park(c, receiving, readable)
			return nil, false
		case errno != 0, n == 0:
			l.endOfRequest(c)
			return nil, false
		}
		turn += n
		l.count.bytesIn.Add(uint64(n))
		if reason, ok := w.identify(c); !ok {
			l.refuse(c, reason)
			return nil, false
		}
		piece, _, err := c.decoder.Next(space[:n])
		if err != nil {
			l.refuse(c, RefusedTooLarge)
			return nil, false
		}
		if c.decoder.Done() && c.request == nil {
			return piece, true
		}
		c.keep(piece)
		if !c.charge() {
			l.refuse(c, RefusedBytesUID)
			return nil, false
		}
		if c.decoder.Done() {
			return c.request.B, true
		}
	}
	l.park(c, receiving, readable)
	return nil, false
}

// identify checks who sent the piece that w has just received of c's request. If it
// returns false c is to be refused.
func (w *worker) identify(c *conn) (r Reason, ok bool) {
	if w.received.Truncated {
		return RefusedDescriptors, false
	}
	if !w.received.HasUcred {
		return RefusedNoCredentials, false
	}
	sender := fromUcred(w.received.Ucred)
	if sender == c.sender && sender.Valid() {
		return 0, true // as the piece before
	}
	if !w.run.known(sender) {
		return RefusedNoCredentials, false
	}
	before := c.sender
	c.sender = sender // also if it is refused: Ended is told
	switch {
	case before.Valid():
		return RefusedSenderChanged, false
	case !w.run.limits.allowOtherSender && (sender.uid != c.peer.uid || sender.gid != c.peer.gid):
		return RefusedSenderMismatch, false
	}
	return 0, true
}

// space returns where the next piece of c's request goes: into the worker's
// scratch, or, when much of the payload is missing, behind what is there. The
// buffer then has at most roomFactor times as much room as has arrived.
func (w *worker) space(c *conn) []byte {
	missing := c.decoder.Missing()
	if c.request == nil || missing < scratchSize {
		return w.scratch[:]
	}
	have := len(c.request.B)
	if room := cap(c.request.B) - have; room < missing && room < scratchSize {
		c.room(min(missing, (roomFactor-1)*have))
	}
	return c.request.B[have : have+min(missing, cap(c.request.B)-have)]
}

// keep adds piece to the part of the payload that is kept. The piece may lie
// where it belongs already.
func (c *conn) keep(piece []byte) {
	if len(piece) == 0 {
		return
	}
	if c.request == nil {
		c.request = c.loop.run.buffers.get(min(len(piece)+c.decoder.Missing(), roomFactor*len(piece)))
	}
	have := len(c.request.B)
	if cap(c.request.B) > have && &c.request.B[:have+1][have] == &piece[0] {
		c.request.B = c.request.B[:have+len(piece)]
		return
	}
	c.room(len(piece))
	c.request.B = append(c.request.B, piece...)
}

// room makes room for n more bytes of the payload.
func (c *conn) room(n int) {
	if have := len(c.request.B); cap(c.request.B)-have < n {
		c.request = c.loop.run.buffers.grow(c.request, have+n)
	}
}

// own makes c keep the payload of its whole request, so that the worker in whose
// scratch it may lie can go on receiving. It returns false if that is more than the
// user may take.
func (c *conn) own(payload []byte) bool {
	if c.request == nil {
		c.keep(payload)
	}
	return c.charge()
}

// kept returns the payload of a whole request that c owns.
func (c *conn) kept() []byte {
	if c.request == nil {
		return nil // it is empty
	}
	return c.request.B
}

// endOfRequest ends c, whose caller sends no more though its request is not
// whole.
func (l *loop) endOfRequest(c *conn) {
	if c.decoder.Started() {
		l.refuseNow(c, RefusedTruncated)
		return
	}
	defer l.close1(c)
	l.conclude(c, OutcomeEmpty, 0)
}
