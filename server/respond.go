package server

import (
	"encoding/binary"

	"credrpc/frame"
	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// maxErrorText is how many bytes of an error's text a caller is told.
const maxErrorText = 4096

// respond answers c with a payload, which was appended to dst, or lies
// elsewhere.
func (w *worker) respond(c *conn, payload []byte) {
	n := len(payload)
	head := c.answer.B[:answerHead]
	binary.BigEndian.PutUint32(head, 0) // no error
	binary.BigEndian.PutUint32(head[frame.HeaderSize:], uint32(n))
	switch {
	case n <= cap(head)-answerHead && n > 0 && &payload[0] == &head[:answerHead+1][answerHead]:
		c.answer.B = head[:answerHead+n]
	case answerHead+n <= keptBuffer:
		// Copying is cheaper than writing two pieces, and if the answer has
		// outgrown dst, the buffer goes back large enough for the next one.
		c.answer.B = append(head, payload...)
	default:
		if cap(c.answer.B) > keptBuffer {
			head = w.unlend(c, n)
		}
		w.send(c, head, payload)
		return
	}
	w.send(c, c.answer.B, nil)
}

// respondError answers c with an error.
func (w *worker) respondError(c *conn, err error) {
	text := err.Error()
	if len(text) > maxErrorText {
		text = text[:maxErrorText]
	}
	c.failed = true
	c.answer.B = frame.AppendError(c.answer.B[:0], text)
	w.send(c, c.answer.B, nil)
}

// send writes a response, head and body, and ends c or parks it with what the
// kernel did not take.
func (w *worker) send(c *conn, head, body []byte) {
	if n := len(head) + len(body); n > unreadFrom && !c.chargeUnread(n) {
		head, body = c.tooMuch(), nil
	}
	n, errno := sys.Send(c.fd, head, body)
	c.loop.count.bytesOut.Add(uint64(n))
	c.moved = int32(n)
	switch {
	case n == len(head)+len(body):
		w.finish(c)
	case errno != 0 && errno != unix.EAGAIN:
		c.loop.drop(c) // EPIPE, ECONNRESET: the caller is gone
	default:
		c.keepRest(head, body, n)
		if !c.charge() {
			c.loop.drop(c)
			return
		}
		c.write()
	}
}

// keepRest makes c the owner of what follows the first n bytes of head, which is in
// c.answer, and body. It copies nothing if c owns them already.
func (c *conn) keepRest(head, body []byte, n int) {
	switch {
	case len(body) == 0:
		c.rest = head[n:] // in c.answer
	case n >= len(head) && c.request != nil && len(c.request.B) > 0 && &c.request.B[0] == &body[0]:
		c.rest = body[n-len(head):] // a handler that returns the request
	default:
		c.answer.B = append(c.answer.B[:0], head[min(n, len(head)):]...)
		body = body[max(0, n-len(head)):]
		if need := len(c.answer.B) + len(body); need > cap(c.answer.B) {
			c.answer = c.loop.run.buffers.grow(c.answer, need)
		}
		c.answer.B = append(c.answer.B, body...)
		c.rest = c.answer.B
	}
}

// write writes the rest of c's answer as far as the kernel takes it, then ends
// c or parks it.
func (c *conn) write() {
	for tries := 0; len(c.rest) > 0; tries++ {
		if tries == turnTries {
			c.loop.park(c, responding, writable)
			return
		}
		n, errno := sys.Send(c.fd, c.rest, nil)
		c.loop.count.bytesOut.Add(uint64(n))
		c.moved += int32(n)
		switch {
		case errno == unix.EAGAIN:
			c.loop.park(c, responding, writable)
			return
		case errno != 0:
			c.loop.drop(c)
			return
		}
		c.rest = c.rest[n:]
	}
	c.loop.finish(c)
}
