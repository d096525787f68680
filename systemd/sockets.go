package systemd

import (
	"fmt"
	"net"
	"os"

	"credrpc/internal/listen"
)

// ErrNoSockets reports that no listening sockets were passed to this process.
var ErrNoSockets = listen.ErrNonePassed

// A Socket is a listening UNIX stream socket that was passed.
type Socket struct {
	Name     string // FileDescriptorName= of the socket unit; without it the unit's name
	Listener *net.UnixListener
}

// Sockets takes the sockets that systemd has passed, in the order of the socket unit.
// They are closed on exec, and the variables that told of them are removed from the
// environment, so that a second time there are none.
//
// Returns an error that wraps [ErrNoSockets] if none were passed to this process; or one
// that names the descriptor, and what its socket unit should say, if one of them is no
// listening UNIX stream socket.
func Sockets() ([]Socket, error) {
	passed, err := listen.TakePassed()
	if err != nil {
		return nil, fmt.Errorf("systemd: %w", err)
	}
	// All are looked at before the first is made a listener, which takes a new descriptor:
	// it could be one that is missing.
	for _, p := range passed {
		if err := p.Check(); err != nil {
			return nil, fmt.Errorf("systemd: %w", err)
		}
	}
	sockets := make([]Socket, 0, len(passed))
	for _, p := range passed {
		l, err := listener(p)
		if err != nil {
			for _, socket := range sockets {
				socket.Listener.Close()
			}
			return nil, fmt.Errorf("systemd: %w", err)
		}
		sockets = append(sockets, Socket{p.Name, l})
	}
	return sockets, nil
}

// listener makes a listener of p, which Check has found to be one, and closes its
// descriptor.
func listener(p listen.Passed) (*net.UnixListener, error) {
	file := os.NewFile(uintptr(p.FD), p.Name)
	defer file.Close()
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d, %.80q: %w", p.FD, p.Name, err)
	}
	return l.(*net.UnixListener), nil
}
