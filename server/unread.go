package server

import (
	"time"

	"credrpc/frame"
	"credrpc/internal/sys"
)

// An answer that the kernel has taken lies in the kernel's memory, on the server's
// account, until its caller reads it or closes: also when the server has closed the
// connection long ago. A caller who does neither would pin 220 KB with each call, and
// nothing would ever count it. So an answer that is not small is charged to its user
// before it is written, as part of [Server.MaxBytesPerUID], and the call stays in
// flight, in the lobby, until the lobby finds that nothing of it is unread. Such a
// caller soon gets no more large answers, and others do not notice.
//
// Smaller answers are not followed: that takes two system calls more, about 2 µs a
// call, a seventh of what an answer of 20 KB costs. What they pin, up to 67 KB for
// every descriptor that a user can have open, is for the limits of the system to bound.
const (
	// unreadFrom is the length in bytes of the largest response that is not
	// followed, that of a payload of 64 KiB.
	unreadFrom = answerHead + 64<<10

	// socketBuffer is the most bytes that the kernel takes of a response whose
	// caller does not read: 219,264 were seen, with the default of
	// net.core.wmem_default. What the kernel needs besides, some 5 %, is not charged.
	socketBuffer = 224 << 10

	// firstLook is when the lobby looks whether an answer is read. It looks again
	// after twice the time, and so on up to lastLook.
	firstLook = time.Millisecond
	moreLooks = 10
	lastLook  = firstLook << moreLooks
)

// chargeUnread makes what the kernel will hold of a response of n bytes count as
// what c's user takes. It returns false, and charges nothing, if that, or what will
// have to be kept of a response that the kernel does not take whole, is more than a
// user may take: better no answer than half of one.
func (c *conn) chargeUnread(n int) bool {
	c.unread = int32(min(n, socketBuffer))
	c.account.bytes.Add(int64(c.unread))
	toKeep := 0
	if n > socketBuffer && n > cap(c.answer.B) { // else there is room, which is charged already
		toKeep = 2 * n
	}
	if !c.fits(toKeep) {
		c.creditUnread()
		return false
	}
	return true
}

// creditUnread takes back what chargeUnread has charged.
func (c *conn) creditUnread() {
	if c.unread != 0 {
		c.account.bytes.Add(-int64(c.unread))
		c.unread = 0
	}
}

// tooMuch makes c's answer the error that a user is told who may not have a large
// answer for the time being.
func (c *conn) tooMuch() []byte {
	c.failed = true
	c.answer.B = frame.AppendError(c.answer.B[:0], RefusedBytesUID.text())
	return c.answer.B
}

// awaitReader keeps c, whose answer the kernel has taken, whole or in part, until its
// caller has read that. The caller is told that nothing follows. The epoll set, where
// c still is if it was parked, would report it over and over.
func (l *loop) awaitReader(c *conn) {
	l.unregister(c)
	sys.ShutdownWrite(c.fd)
	c.release()
	c.looks = 0
	l.run.lobby.add(c, unread, l.run.now()+int64(firstLook))
}

// lookUnread ends c if its caller has read the answer, or if the server does not wait
// for calls that are answered because it ends.
func (l *loop) lookUnread(c *conn) {
	n, errno := sys.Unread(c.fd)
	if n == 0 || errno != 0 || l.run.closing.Load() {
		l.close1(c)
		return
	}
	c.looks = min(c.looks+1, moreLooks)
	l.run.lobby.add(c, unread, l.run.now()+int64(firstLook)<<c.looks)
}
