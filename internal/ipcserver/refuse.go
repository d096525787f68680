package ipcserver

import (
	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

const (
	// undertakers is how many goroutines close connections whose closing can take
	// as long as their callers like.
	undertakers = 16

	// maxGraves is how many such connections may wait for them. The kernel lets a
	// user have no more descriptors on the way than RLIMIT_NOFILE (unix(7),
	// ETOOMANYREFS).
	maxGraves = 4096
)

// refuse closes a connection that gets no program.
func (w *worker) refuse(conn *connection) {
	// From here on nothing arrives: what can be seen is all that there is.
	unix.Shutdown(conn.fd, unix.SHUT_RDWR)
	if !w.carriesDescriptors(conn.fd) {
		sys.Close(conn.fd, sys.Raw)
		return
	}
	w.graves <- conn.fd
}

// carriesDescriptors reports whether descriptors have arrived on fd that nobody
// has received, or cannot be ruled out.
func (w *worker) carriesDescriptors(fd int) bool {
	arrived, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
	if err != nil || arrived > len(w.scratch) {
		return true
	}
	if arrived == 0 {
		return false // descriptors come with at least one byte, see unix(7)
	}
	// A look goes no further than the first bytes with descriptors, which it
	// announces by MSG_CTRUNC since it has no room for them. See recvmsg(2).
	seen, _, flags, _, err := unix.Recvmsg(fd, w.scratch[:arrived], nil, unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err != nil || seen < arrived || flags&unix.MSG_CTRUNC != 0
}

// undertake closes connections that may take long.
func (s *server) undertake() {
	for fd := range s.graves {
		sys.Close(fd, sys.Yield)
	}
}
