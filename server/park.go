package server

import "github.com/panjf2000/gnet/v2/pkg/netpoll"

// park gives c up until epoll reports it or its deadline passes. The caller
// owns c, has set its deadline, and must not touch it afterwards. Once the loop
// is closed, c is ended instead.
func (l *loop) park(c *conn, s state, want interest) {
	c.state = s
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		l.giveUp(c, RefusedClosing)
		return
	}
	for c.fd >= len(l.parked) {
		l.parked = append(l.parked, make([]*conn, max(64, len(l.parked)))...)
	}
	l.parked[c.fd] = c
	l.waiting.Add(1)
	l.deadlines.add(c)
	// Registered under the lock: once it is released c may be gone.
	err := l.register(c, want)
	if err != nil {
		l.unparkLocked(c)
	}
	l.mu.Unlock()
	if l.direct.Load() {
		l.wake()
	}
	if err != nil {
		l.giveUp(c, RefusedOverload) // epoll_ctl(2): ENOMEM or ENOSPC
	}
}

// register makes epoll report c when it is as wanted. Level-triggered epoll
// reports what holds already, so nothing is missed between the system call that
// would have blocked and this.
func (l *loop) register(c *conn, want interest) error {
	if c.interest == want {
		return nil
	}
	if err := l.unregister(c); err != nil {
		return err
	}
	var err error
	if want == writable {
		err = l.poller.AddWrite(&netpoll.PollAttachment{FD: c.fd}, false)
	} else {
		err = l.poller.AddRead(&netpoll.PollAttachment{FD: c.fd}, false)
	}
	if err == nil {
		c.interest = want
	}
	return err
}

// unregister takes c out of the epoll set. The caller owns c.
func (l *loop) unregister(c *conn) error {
	if c.interest == unregistered {
		return nil
	}
	c.interest = unregistered
	return l.poller.Delete(c.fd)
}

// take makes the caller the owner of the connection that is parked with fd. It
// returns nil if there is none: another owner was quicker.
func (l *loop) take(fd int) *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fd < 0 || fd >= len(l.parked) || l.parked[fd] == nil {
		return nil
	}
	c := l.parked[fd]
	l.unparkLocked(c)
	return c
}

func (l *loop) unparkLocked(c *conn) {
	l.parked[c.fd] = nil
	l.waiting.Add(-1)
	l.deadlines.remove(c)
}

// expire ends the connections whose deadline has passed. It runs on the timer's
// goroutine, and owns what it takes out of the table.
func (l *loop) expire() {
	for {
		l.mu.Lock()
		c := l.deadlines.pop(l.run.now())
		if c != nil {
			l.unparkLocked(c)
		}
		l.mu.Unlock()
		if c == nil {
			return
		}
		l.giveUp(c, RefusedTimeout)
	}
}

// shut ends every parked connection and lets none be parked any more.
func (l *loop) shut() {
	l.mu.Lock()
	l.closed = true
	parked := l.parked
	l.parked = nil
	l.deadlines.timer.Stop()
	l.deadlines.conns = nil
	l.mu.Unlock()
	for _, c := range parked {
		if c != nil {
			c.heapIndex = -1
			l.giveUp(c, RefusedClosing)
		}
	}
}
