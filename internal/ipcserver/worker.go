package ipcserver

import (
	"math"
	"os"
	"runtime"
	"time"

	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

const (
	// acceptPause is how many milliseconds the leader stops accepting when the
	// system has run out of something that accepting needs.
	acceptPause = 10

	// pauseLogInterval is the least time between two messages about that. Callers
	// can cause it.
	pauseLogInterval = time.Minute
)

// A worker leads, or spawns.
type worker struct {
	*server
	closer  *closer
	scratch [16 << 10]byte // for a look at what a caller has sent
}

// run takes connections and runs programs on them until the server ends.
func (w *worker) run() {
	if err := isolate(); err != nil {
		w.fail(failed("give a thread descriptors of its own", err))
		return
	}
	w.closer = w.hurrier.closer()
	var conn connection
	for w.next(&conn) {
		w.spawn(&conn)
	}
}

// isolate ties the worker to its thread, for good, and gives the thread a table of
// descriptors of its own, with copies of those that are open now. See close_range(2),
// CLOSE_RANGE_UNSHARE; nothing is open at the greatest number. Linux before 5.9 has
// only unshare(2), which containers tend to forbid.
func isolate() error {
	runtime.LockOSThread()
	err := unix.CloseRange(math.MaxUint32, math.MaxUint32, unix.CLOSE_RANGE_UNSHARE)
	if err == unix.ENOSYS {
		err = unix.Unshare(unix.CLONE_FILES)
	}
	return err
}

// next leads until it has a connection to run a program for. It returns false when
// the server ends.
func (w *worker) next(conn *connection) bool {
	w.lead.Lock()
	defer w.lead.Unlock()
	for !w.closing.Load() {
		if w.children.full() {
			w.await(-1, -1)
			continue
		}
		var from sys.Address
		fd, errno := sys.AcceptBlocking(w.listener.fd, &from)
		switch errno {
		case 0:
			*conn = connection{fd: fd, path: from.Path()}
			if w.examine(conn) {
				return true
			}
			w.refuse(conn)
		case unix.EAGAIN:
			w.await(w.listener.fd, -1)
		case unix.ECONNABORTED:
		case unix.EBADF, unix.EINVAL, unix.ENOTSOCK, unix.EOPNOTSUPP, unix.EFAULT:
			w.fail(failed("accept", os.NewSyscallError("accept4", errno))) // no later try can succeed
		default: // EMFILE, ENOMEM and so on; EPERM from a security module
			w.pause(errno)
		}
	}
	return false
}

// await waits for a wakeup, for fd to be readable unless it is negative, or for
// timeout milliseconds unless that is negative.
func (s *server) await(fd, timeout int) {
	_, woken, errno := sys.PollThree(s.wakeup, fd, -1, timeout)
	if errno != 0 {
		s.fail(failed("wait for callers", os.NewSyscallError("poll", errno)))
	}
	if woken && !s.closing.Load() {
		var count [8]byte
		unix.Read(s.wakeup, count[:])
	}
}

// wake ends the leader's waiting. Only the end of the server is for good.
func (s *server) wake() {
	unix.Write(s.wakeup, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// pause waits for what accepting lacks. Callers wait in the backlog.
func (s *server) pause(cause unix.Errno) {
	if now := time.Now(); now.Sub(s.pauseLogged) > pauseLogInterval {
		s.pauseLogged = now
		if s.log.at(normal) {
			s.log.warning("unable to accept: %v; trying again until there is room", cause)
		}
	}
	s.await(-1, acceptPause)
}
