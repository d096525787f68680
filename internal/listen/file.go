package listen

import (
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Suffixes of what stands beside a socket file.
const (
	lockSuffix    = ".lock"
	controlSuffix = ".takeover"
)

// Paths returns the files that a socket at path consists of: with offer it can be handed on.
func Paths(path string, offer bool) []string {
	if !offer {
		return []string{path, path + lockSuffix}
	}
	return []string{path, path + lockSuffix, path + controlSuffix}
}

// A File is the socket file of one socket, and what protects it and hands it on. That
// of an abstract name is nothing.
type File struct {
	socket node     // none for an abstract name
	lock   *os.File // nil for an abstract name

	control  *control // nil if no successor can ask
	listener int      // a duplicate of the listening socket, for a successor; with control only

	mu        sync.Mutex
	owned     bool          // socket and control file are this process's to remove; guarded by mu
	withdrawn bool          // guarded by mu
	talk      *net.UnixConn // with somebody who asks, or nil; guarded by mu
}

// Withdraw removes the socket file and the control socket, if they are still those
// that were made here and no successor has them, and gives up the lock, so that
// another server can start. It may be called again.
func (f *File) Withdraw() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.withdrawn {
		return
	}
	f.withdrawn = true
	if f.talk != nil {
		f.talk.SetReadDeadline(time.Unix(1, 0)) // what is said after this is no
	}
	if f.control != nil {
		f.control.listener.Close()
		unix.Close(f.control.fd)
		unix.Close(f.listener)
	}
	if f.owned {
		f.socket.remove()
		if f.control != nil {
			f.control.file.remove()
		}
	}
	if f.lock != nil {
		f.lock.Close()
	}
}
