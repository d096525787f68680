package ipcserver

import (
	"sync"

	"golang.org/x/sys/unix"
)

// children are the connections that were admitted and are not over, and the
// programs that serve them.
type children struct {
	options *options
	log     logger
	wake    func() // wakes the leader

	mu       sync.Mutex
	noted    sync.Cond      // with mu: running is not empty any more
	admitted int            // connections, with a program or about to get one
	ofUser   map[uint32]int // likewise, by uid
	running  map[int]uint32 // the uid of the caller, by the pid of a child that was not reaped
	awaited  bool           // the leader waits for room
}

func newChildren(o *options, log logger, wake func()) *children {
	c := &children{options: o, log: log, wake: wake, ofUser: make(map[uint32]int), running: make(map[int]uint32)}
	c.noted.L = &c.mu
	return c
}

// full reports whether there is no room for another connection. If so, the leader
// is woken when there is.
func (c *children) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.awaited = c.admitted >= c.options.maxConn
	return c.awaited
}

// admit counts a connection. It returns how many its user has, with this one, or
// without it if ok is false because there may not be more.
func (c *children) admit(uid uint32) (number int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	number = c.ofUser[uid]
	if number >= c.options.maxPerUser {
		return number, false
	}
	number++
	c.ofUser[uid] = number
	c.admitted++
	return number, true
}

// release takes an admitted connection back that got no program.
func (c *children) release(uid uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.releaseLocked(uid)
}

func (c *children) releaseLocked(uid uint32) {
	c.admitted--
	if c.ofUser[uid]--; c.ofUser[uid] == 0 {
		delete(c.ofUser, uid)
	}
	if c.awaited {
		c.awaited = false
		c.wake()
	}
}

// note notes the program of an admitted connection. server.spawning is held for
// reading.
func (c *children) note(pid int, conn *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running[pid] = conn.uid
	if len(c.running) == 1 {
		c.noted.Signal()
	}
	c.logBeginLocked(pid, conn)
}

// awaitOne waits until there is a child.
func (c *children) awaitOne() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.running) == 0 {
		c.noted.Wait()
	}
}

// bury reaps a dead child and ends its connection. It returns false if there is no
// such child.
func (c *children) bury(pid int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	uid, ok := c.running[pid]
	if !ok {
		return false
	}
	status := reap(pid)
	delete(c.running, pid)
	c.releaseLocked(uid)
	c.logEndLocked(pid, uid, status)
	return true
}

// reap takes a dead child off the kernel's hands.
func reap(pid int) (status unix.WaitStatus) {
	for {
		if _, err := unix.Wait4(pid, &status, unix.WNOHANG, nil); err != unix.EINTR {
			return status
		}
	}
}

// signal sends signals to all children. server.spawning is held for writing.
func (c *children) signal(signals ...unix.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, signal := range signals {
		for pid := range c.running {
			unix.Kill(pid, signal) // ESRCH: it is a zombie, EPERM: it has become another user
		}
	}
}

func (c *children) logBeginLocked(pid int, conn *connection) {
	if c.log.at(verbose) {
		c.log.info("allow %s pid %d count %s/%d", conn.ids(), pid, conn.numberText(), c.options.maxPerUser)
		c.logStatusLocked()
	}
	if c.options.rules != noRules && c.log.at(normal) {
		c.log.info("allow pid %d uid %d gid %d", pid, conn.uid, conn.gid)
	}
}

func (c *children) logEndLocked(pid int, uid uint32, status unix.WaitStatus) {
	if !c.log.at(verbose) {
		return
	}
	how, code := "exitcode", status.ExitStatus()
	if status.Signaled() {
		how, code = "signal", int(status.Signal())
	}
	c.log.info("end pid %d uid %s %s %d", pid, idText(uid, c.options.lookup), how, code)
	c.logStatusLocked()
}

// logStatus says how many programs run.
func (c *children) logStatus() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.logStatusLocked()
}

func (c *children) logStatusLocked() {
	if c.log.at(verbose) {
		c.log.info("status: %d/%d", len(c.running), c.options.maxConn)
	}
}
