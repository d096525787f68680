package load

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// lingerSeconds is how long the last close of a descriptor takes whose peer
	// does not read. See socket(7), SO_LINGER.
	lingerSeconds = 600

	// lingerTime is after how long the peer lets go instead.
	lingerTime = time.Second
)

// A lingering descriptor is a TCP connection over the loopback interface whose peer
// does not read: whoever closes it last waits.
type lingering struct {
	fd   int
	peer *net.TCPConn
}

// newLingering returns one.
func newLingering() (*lingering, error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: listener.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}})
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	peer, err := listener.AcceptTCP()
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	l := &lingering{fd, peer}
	if err := l.fill(); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// fill sends until nothing more fits, and has the descriptor linger.
func (l *lingering) fill() error {
	if err := unix.SetNonblock(l.fd, true); err != nil {
		return err
	}
	for fill := make([]byte, 64<<10); ; {
		if _, err := unix.Write(l.fd, fill); err == unix.EAGAIN {
			break
		} else if err != nil {
			return err
		}
	}
	if err := unix.SetNonblock(l.fd, false); err != nil { // the close of one that may not wait does not
		return err
	}
	return unix.SetsockoptLinger(l.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: lingerSeconds})
}

// leave leaves the descriptor to whom it was passed. If that one has closed it already,
// the wait is this process's.
func (l *lingering) leave() {
	go unix.Close(l.fd)
	time.AfterFunc(lingerTime, l.letGo)
}

// close closes a descriptor that nobody else has. It may be nil.
func (l *lingering) close() {
	if l != nil {
		l.letGo()
		unix.Close(l.fd)
	}
}

// letGo resets the connection, whereupon nobody waits any more.
func (l *lingering) letGo() {
	l.peer.SetLinger(0)
	l.peer.Close()
}
