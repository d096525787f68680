package server

import (
	"container/heap"
	"sync"
	"time"
)

// A lobby keeps the connections that wait for nothing but time: those of users who
// are over their rate, and those whose answers their callers have not read yet. They
// are in no epoll set and in no loop's table, so that a loop does not notice how many
// there are. The lobby owns them until their time has come.
type lobby struct {
	run *serving

	mu     sync.Mutex
	conns  deadlines // guarded by mu
	closed bool      // nobody may wait any more; guarded by mu
}

func newLobby(run *serving) *lobby {
	b := &lobby{run: run}
	b.conns = newDeadlines(run.now, b.expire)
	return b
}

// lobbyTick is what times in the lobby are rounded up to, so that those who come
// close to each other cost one wakeup.
const lobbyTick = int64(time.Millisecond)

// add keeps c until at. The caller owns c and must not touch it afterwards.
func (b *lobby) add(c *conn, s state, at int64) {
	c.state = s
	c.deadline = (at + lobbyTick - 1) / lobbyTick * lobbyTick
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		c.loop.giveUp(c, RefusedClosing)
		return
	}
	b.conns.add(c)
	b.mu.Unlock()
}

// expire lets those go on whose time has come. It runs on the timer's goroutine, or
// on a leader's, and owns what it takes out.
func (b *lobby) expire() {
	for {
		b.mu.Lock()
		c := b.conns.pop(b.run.now())
		b.mu.Unlock()
		if c == nil {
			return
		}
		c.loop.leaveLobby(c)
	}
}

// makeRoom is for a worker who has no place, or no bytes, for a call. It does what the
// timer would have done, which on a busy machine may be late by 100 ms and more, and
// looks before the time whether answers are read that were given just now.
func (b *lobby) makeRoom() {
	b.expire()
	const most = 256 // connections looked at, so that being refused stays cheap
	var fresh [16]*conn
	n := 0
	b.mu.Lock()
	for _, c := range b.conns.conns[:min(len(b.conns.conns), most)] {
		if c.state == unread && c.looks == 0 && n < len(fresh) {
			fresh[n] = c
			n++
		}
	}
	for _, c := range fresh[:n] {
		b.conns.remove(c)
	}
	b.mu.Unlock()
	for _, c := range fresh[:n] {
		c.loop.lookUnread(c)
	}
}

// leaveLobby goes on with c, whose time has come.
func (l *loop) leaveLobby(c *conn) {
	switch c.state {
	case delayed:
		c.deadline = l.run.now() + int64(l.run.limits.requestTimeout)
		l.park(c, delayed, readable)
	case excessive:
		l.refuse(c, RefusedRate)
	case unread:
		l.lookUnread(c)
	}
}

// hurry lets those go on at once whose calls are answered.
func (b *lobby) hurry() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.conns.conns {
		if c.state == unread {
			c.deadline = 0
		}
	}
	heap.Init(&b.conns.conns)
	if !b.closed {
		b.conns.arm()
	}
}

// shut ends everybody who waits, and lets nobody wait any more.
func (b *lobby) shut() {
	b.mu.Lock()
	b.closed = true
	waiting := b.conns.conns
	b.conns.conns = nil
	b.conns.timer.Stop()
	b.mu.Unlock()
	for _, c := range waiting {
		c.heapIndex = -1
		c.loop.giveUp(c, RefusedClosing)
	}
}

// inRate reports whether c may go on now. If not, it waits in the lobby: for its
// turn, or, if that is too far away, for its refusal. A caller that were refused at
// once would call again at once, and cost more than it does waiting.
func (w *worker) inRate(c *conn) bool {
	if w.run.accounts.privileged(c.peer.uid) {
		return true
	}
	switch delay := w.run.rates.take(c.peer.uid, w.now); delay {
	case 0:
		return true
	case tooLate:
		w.run.lobby.add(c, excessive, w.now+int64(maxDelay))
	default:
		w.loop.count.delayed.Add(1)
		w.run.lobby.add(c, delayed, w.now+delay)
	}
	return false
}
