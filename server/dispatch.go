package server

import (
	"errors"
	"fmt"
	"runtime/debug"

	"credrpc/frame"

	"github.com/valyala/bytebufferpool"
)

const (
	// answerRoom is the least capacity in bytes of the dst that handlers are
	// given.
	answerRoom = 512

	// answerHead is the length in bytes of what precedes an answer: the empty
	// error frame and the header of the payload. It is kept free in front of
	// dst, so that a response that was appended there is written in one piece.
	answerHead = 2 * frame.HeaderSize
)

// An errorText is what is left of a handler's error.
type errorText string

func (e errorText) Error() string { return string(e) }

// errInternal is what a caller is told when a handler panics.
var errInternal = errors.New("internal error")

// dispatch runs the handler for c, whose request is whole and has this payload,
// and answers.
func (w *worker) dispatch(c *conn, payload []byte) {
	c.deadline = w.now + int64(w.run.limits.callTimeout)
	c.answer = w.lend(c)
	c.answer.B = c.answer.B[:answerHead]

	turn := w.begin(c, payload)
	answer, err := w.serveCall(c.answer.B[answerHead:answerHead])
	if !w.end(turn) {
		return
	}

	if err == nil && uint64(len(answer)) > uint64(w.run.limits.maxResponse) {
		err = &frame.TooLargeError{Length: uint64(len(answer)), Limit: w.run.limits.maxResponse}
	}
	if err != nil {
		w.respondError(c, err)
		return
	}
	w.run.answers.note(len(answer))
	w.respond(c, answer)
}

// lend returns a buffer for c's answer: of the size that answers have lately had if
// that is large, unless its user would then have half of what he may, or handlers
// block: then each would hold one for long, perhaps for a small answer.
func (w *worker) lend(c *conn) *bytebufferpool.ByteBuffer {
	if size := w.run.answers.bytes.Load(); size > 0 && !w.wary {
		buffer := w.run.buffers.get(answerHead + int(size))
		room := int64(cap(buffer.B))
		if c.account.bytes.Add(room) <= w.run.accounts.maxBytes/2 {
			c.charged += int32(room)
			return buffer
		}
		c.account.bytes.Add(-room)
		w.run.buffers.put(buffer)
	}
	return w.run.buffers.get(answerHead + answerRoom)
}

// unlend takes c's buffer for its answer off the user's account, and returns the head
// of the answer in a small one. The buffer was lent in vain: an answer of n bytes lies
// elsewhere, or somewhere else within it, so that it cannot be lent to others.
func (w *worker) unlend(c *conn, n int) (head []byte) {
	lent := c.answer
	if answerHead+n <= cap(lent.B) {
		w.run.answers.ignore()
	}
	room := min(int32(cap(lent.B)), c.charged)
	c.account.bytes.Add(-int64(room))
	c.charged -= room
	c.answer = w.run.buffers.get(answerHead + answerRoom)
	c.answer.B = append(c.answer.B, lent.B[:answerHead]...)
	return c.answer.B
}

// begin opens a turn: from here on the call can be put under watch.
func (w *worker) begin(c *conn, payload []byte) (turn uint64) {
	w.conn = c
	w.call = Call{Payload: payload, Sender: c.sender, Peer: c.peer, Access: c.access}
	if w.context == nil {
		w.context = new(callContext)
	}
	turn = w.turn.Load() + 1
	w.context.begin(w, turn, c.deadline)
	w.turn.Store(turn)
	if w.run.overseer != nil {
		w.run.overseer.rouse()
	}
	if w.run.stopping.Load() {
		w.run.watch.claim(w, turn) // Close did not see this turn
	}
	return turn
}

// serveCall runs the handler. What it panics with is logged and becomes an
// error.
func (w *worker) serveCall(dst []byte) (answer []byte, err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		w.conn.loop.count.panics.Add(1)
		p := recover()
		if p == nil {
			w.exit()
			return
		}
		w.run.logPanic("handler panicked", "panic", fmt.Sprint(p), "sender", w.call.Sender.String(), "stack", string(debug.Stack()))
		answer, err = nil, errInternal
	}()
	answer, err = w.run.handler.ServeCall(w.context, dst, &w.call)
	if err != nil {
		err = errorText(err.Error()) // which may panic too: a nil pointer in err
	}
	returned = true
	return answer, err
}

// exit answers the call of a handler that has called [runtime.Goexit], and
// finds another worker to lead the loop: this goroutine ends.
func (w *worker) exit() {
	w.run.logPanic("handler called runtime.Goexit", "sender", w.call.Sender.String())
	c, l := w.conn, w.loop
	if w.end(w.turn.Load() | 1) {
		w.respondError(c, errInternal)
	}
	if w.leading {
		w.leading = false
		l.leader.Store(nil)
	}
	w.run.summon(l)
	if l.anyReady() {
		l.wake() // what is left of a batch is for the leader
	}
}

// end closes the turn. It returns false if the call was abandoned: then its
// caller has been told, and nothing of it is left.
func (w *worker) end(turn uint64) (mine bool) {
	mine = w.turn.CompareAndSwap(turn, turn+1) || w.run.watch.end(w.conn)
	// From here on nobody else refers to the worker's call.
	if w.context.end() {
		w.context = nil // but somebody may hold on to this
	}
	if w.deposed {
		w.deposed, w.leading = false, false
	}
	if !mine {
		w.run.watch.letGo(w.conn)
	}
	return mine
}
