package server

import (
	"encoding/binary"
	"slices"

	"credrpc/frame"
	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// maxErrorText is how many bytes of an error's text a caller is told.
const maxErrorText = 4096

// respond answers c with a payload, which lies in the buffer of c.answer, in
// that of c.request, or elsewhere.
func (w *worker) respond(c *conn, payload []byte) {
	// The first header says that there is no error (package frame).
	binary.BigEndian.PutUint32(w.head[:4], 0)
	binary.BigEndian.PutUint32(w.head[4:], uint32(len(payload)))
	n := len(payload)
	if n > cap(c.answer.B) && n <= keptBuffer && !c.owns(payload) {
		// It did not fit; a buffer that goes back larger fits the next time.
		c.answer.B = slices.Grow(c.answer.B[:0], n)
	}
	// The length tells the pool what is in use.
	c.answer.B = c.answer.B[:min(max(n, answerRoom), cap(c.answer.B))]
	c.send(w.head[:], payload)
}

// respondError answers c with an error.
func (w *worker) respondError(c *conn, err error) {
	text := err.Error()
	if len(text) > maxErrorText {
		text = text[:maxErrorText]
	}
	c.failed = true
	c.answer.B = frame.AppendError(c.answer.B[:0], text)
	c.send(nil, c.answer.B)
}

// send writes a response, head and body, and ends c or parks it with what the
// kernel did not take.
func (c *conn) send(head, body []byte) {
	n, errno := sys.Send(c.fd, head, body)
	c.loop.count.bytesOut.Add(uint64(n))
	switch {
	case n == len(head)+len(body):
		c.loop.finish(c)
	case errno != 0 && errno != unix.EAGAIN:
		c.loop.drop(c) // EPIPE, ECONNRESET: the caller is gone
	default:
		c.keepRest(head, body, n)
		c.write()
	}
}

// keepRest makes c the owner of what follows the first n bytes of head and
// body.
func (c *conn) keepRest(head, body []byte, n int) {
	if n >= len(head) && c.owns(body) {
		c.rest = body[n-len(head):]
		return
	}
	rest := make([]byte, 0, len(head)+len(body)-n)
	rest = append(rest, head[min(n, len(head)):]...)
	c.rest = append(rest, body[max(0, n-len(head)):]...)
}

// owns reports whether body begins where one of c's buffers does. A handler
// that returns such a slice has appended to dst, or returns the request.
func (c *conn) owns(body []byte) bool {
	if cap(c.answer.B) > 0 && &c.answer.B[:1][0] == &body[0] {
		return true
	}
	return c.request != nil && len(c.request.B) > 0 && &c.request.B[0] == &body[0]
}

// write writes the rest of c's answer as far as the kernel takes it, then ends
// c or parks it.
func (c *conn) write() {
	for len(c.rest) > 0 {
		n, errno := sys.Send(c.fd, c.rest, nil)
		c.loop.count.bytesOut.Add(uint64(n))
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
