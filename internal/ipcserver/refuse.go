package ipcserver

import (
	"runtime"
	"sync"

	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

const (
	// undertakers is how many goroutines drop connections that would take as long to
	// close as their callers like, and take milliseconds since they are hurried.
	undertakers = 16

	// maxBuried is more than wait for them, since the socket pair takes less: some
	// 500 with the usual net.core.wmem_max.
	maxBuried = 1 << 15
)

// A graveyard is a socket pair through which connections go to undertakers. On the
// way they are in no table of descriptors (unix(7), SCM_RIGHTS).
type graveyard struct {
	mu      sync.Mutex    // held to bury
	in, out int           // the ends of the pair; in is guarded by mu
	buried  chan struct{} // one for each connection that nobody else has open
}

func newGraveyard() (*graveyard, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	const much = 4 << 20 // bytes; the kernel gives what it allows
	unix.SetsockoptInt(pair[0], unix.SOL_SOCKET, unix.SO_SNDBUF, much)
	return &graveyard{in: pair[0], out: pair[1], buried: make(chan struct{}, maxBuried)}, nil
}

// refuse closes a connection that gets no program.
func (w *worker) refuse(conn *connection) {
	// From here on nothing arrives, and nobody else reads: what can be seen is all
	// that there is.
	unix.Shutdown(conn.fd, unix.SHUT_RDWR)
	if w.look(conn.fd) == harmless {
		sys.Close(conn.fd, sys.Raw)
		return
	}
	w.graveyard.bury(conn.fd, w.closer)
}

// letGo closes a connection that a program has, or was to have. Nothing is dropped
// with it, unless the program has ended already.
func (w *worker) letGo(conn *connection) {
	if w.look(conn.fd) == heavy {
		w.graveyard.bury(conn.fd, w.closer)
		return
	}
	w.closer.begin()
	sys.Close(conn.fd, sys.Yield)
	w.closer.end()
}

// A cargo is what has arrived on a connection and was not read.
type cargo uint8

const (
	harmless cargo = iota // nothing, or bytes
	heavy                 // descriptors, or so much that they cannot be ruled out
	moving                // somebody reads
)

// look looks at what has arrived on fd.
func (w *worker) look(fd int) cargo {
	arrived, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
	switch {
	case err != nil || arrived > len(w.scratch):
		return heavy
	case arrived == 0:
		return harmless // descriptors come with at least one byte, see unix(7)
	}
	// A look goes no further than the first bytes with descriptors, which it
	// announces by MSG_CTRUNC since it has no room for them. See recvmsg(2).
	seen, _, flags, _, err := unix.Recvmsg(fd, w.scratch[:arrived], nil, unix.MSG_PEEK|unix.MSG_DONTWAIT)
	switch {
	case flags&unix.MSG_CTRUNC != 0:
		return heavy
	case err != nil || seen < arrived:
		return moving
	}
	return harmless
}

// bury closes fd, and leaves to an undertaker what that drops. It waits if there is
// too much of that; the undertakers are hurried, so that it waits for milliseconds.
func (g *graveyard) bury(fd int, c *closer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	err := unix.Sendmsg(g.in, []byte{0}, unix.UnixRights(fd), nil, 0)
	// What is on the way is not dropped here. If it is not on its way, for lack of
	// memory or because of the limit of such descriptors, this worker waits.
	c.begin()
	sys.Close(fd, sys.Yield)
	c.end()
	if err == nil {
		g.buried <- struct{}{}
	}
}

// undertake drops buried connections, one after the other, which takes as long as
// closing them. It ends with the process.
func (g *graveyard) undertake(h *hurrier) {
	runtime.LockOSThread() // for good
	c := h.closer()
	for range g.buried {
		// As many were closed as are received, in the same order. There is no room
		// for a descriptor, so that the kernel drops it.
		c.begin()
		unix.Recvmsg(g.out, make([]byte, 1), nil, 0)
		c.end()
	}
}
