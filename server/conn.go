package server

import (
	"credrpc/accessdb"
	"credrpc/frame"
	"credrpc/internal/sys"

	"github.com/valyala/bytebufferpool"
)

// A state says what a parked connection waits for.
type state uint8

const (
	// receiving: for more of the request. Next: a worker takes it and receives,
	// or its deadline passes and it is refused.
	receiving state = iota
	// responding: for room for the rest of the answer. Next: a worker takes it
	// and writes, or its deadline passes and it is closed.
	responding
	// lingering: refused, the reason is written, the caller may still be
	// sending. Next: the rest is drained, or its deadline passes; then closed.
	lingering
	// delayed: its user is over his rate. Next: its turn comes, and with that the
	// time for its request; a worker asks whether it may call, and receives.
	delayed
	// excessive: so far over his rate that it would wait too long. Next: after a
	// while it is refused.
	excessive
	// unread: the answer is written as far as it goes, and the caller has not read
	// it. Next: he has, and it is closed.
	unread
)

// An interest is how a connection is registered in its loop's epoll set.
type interest uint8

const (
	unregistered interest = iota
	readable
	writable
)

// A conn is one connection, which is one call. Who owns it is described in the
// package's documentation. It is kept small: an idle connection costs little
// more than this.
type conn struct {
	loop     *loop
	accepted int64 // when, on the server's clock
	fd       int
	interest interest
	state    state    // while parked; guarded by loop.mu
	holders  uint8    // of an abandoned call: hangUp, and the worker whose handler runs; 0: not abandoned; guarded by watch.mu
	looks    uint8    // how often the lobby has found the answer unread
	failed   bool     // what is being written is an error, not an answer
	mode     sys.Mode // Yield: its caller may have passed descriptors

	heapIndex int32 // in a deadlines heap, -1 outside; guarded by that heap's owner
	moved     int32 // bytes of the response that are written, or drained while lingering
	charged   int32 // bytes of buffers that the account bears
	unread    int32 // bytes of the answer in the kernel that the account bears
	decoder   frame.Decoder
	deadline  int64 // of the current wait, on the server's clock

	account *account    // of the user who connected, nil if refused before
	peer    Credentials // who connected
	sender  Credentials // who sent; invalid until the first piece

	access accessdb.Result // why the caller may call, or may not; zero without [Server.Access]

	request *bytebufferpool.ByteBuffer // payload so far, nil while none has to be kept

	answer *bytebufferpool.ByteBuffer // what is written, nil until then
	rest   []byte                     // of the answer, not yet taken by the kernel; in answer or request

	worker *worker // whose handler it is in, while under watch; guarded by watch.mu
	next   *conn   // in loop.ready
}

// release gives c's buffers back.
func (c *conn) release() {
	c.credit()
	buffers := &c.loop.run.buffers
	if c.answer != nil && cap(c.answer.B) <= keptBuffer {
		// The pool drops what is larger than most lengths that it sees.
		c.answer.B = c.answer.B[:max(len(c.answer.B), answerHead+answerRoom)]
	}
	buffers.put(c.request)
	buffers.put(c.answer)
	c.request, c.answer, c.rest = nil, nil, nil
}
