package ipcserver

import (
	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// reap ends connections as their programs end. It runs as long as the process.
func (s *server) reap() {
	for {
		pid, errno := sys.DeadChild()
		switch {
		case errno == unix.ECHILD:
			s.children.awaitOne()
		case errno != 0:
			s.fail(failed("wait for children", errno))
			return
		case !s.children.bury(pid):
			s.reapUnknown(pid)
		}
	}
}

// reapUnknown reaps a dead child that is not among the children: one whose pid is
// about to be noted, one that a failed exec left to its worker, or one that was
// there before this process became a server.
func (s *server) reapUnknown(pid int) {
	s.spawning.Lock()
	defer s.spawning.Unlock()
	if !s.children.bury(pid) {
		reap(pid)
	}
}
