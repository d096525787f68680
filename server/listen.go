package server

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"credrpc/internal/listen"
	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// backlog is how many connections the kernel keeps until they are accepted, at
// most net.core.somaxconn (listen(2)).
const backlog = 4096

// A listener is a listening socket and what has to be undone at the end.
type listener struct {
	fd        int         // non-blocking, SO_PASSCRED set
	leaves    atomic.Bool // the backlog is left to whoever goes on with the listener
	mode      sys.Mode    // Yield if callers can pass descriptors
	early     bool        // callers that are in the backlog at the start can
	unmarked  bool        // connections that are in the backlog at the start lack SO_PASSCRED
	endOnce   sync.Once
	closeMore func() // closes what belongs to the listener besides fd; may be nil

	file       *listen.File       // that was made here or taken over; nil for an inherited listener
	succession *listen.Succession // of the running server, whose place is to be claimed, or nil
}

// newListener makes a listening socket at path, or of an abstract name. With offer
// another server can take it over.
func newListener(path string, o listen.Options, offer bool) (*listener, error) {
	fd, errno := sys.Stream()
	if errno != 0 {
		return nil, os.NewSyscallError("socket", errno)
	}
	ln := &listener{fd: fd}
	var err error
	ln.file, err = listen.Bind(fd, path, o)
	if err == nil {
		err = ln.setOptions()
	}
	if err == nil && offer {
		err = ln.file.Offer(fd)
	}
	if err == nil {
		err = os.NewSyscallError("listen", unix.Listen(fd, backlog))
	}
	if err != nil {
		ln.close()
		return nil, err
	}
	return ln, nil
}

// setOptions makes every connection carry credentials and none carry
// descriptors. The kernel copies both to a connection when it is made, so they
// must be set before listen(2).
func (ln *listener) setOptions() error {
	if err := unix.SetsockoptInt(ln.fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return os.NewSyscallError("setsockopt SO_PASSCRED", err)
	}
	// Somebody else may have set these: other ancillary data would not fit
	// beside the credentials, and the calls would be refused.
	unix.SetsockoptInt(ln.fd, unix.SOL_SOCKET, unix.SO_PASSSEC, 0)
	unix.SetsockoptInt(ln.fd, unix.SOL_SOCKET, unix.SO_PASSPIDFD, 0)
	err := unix.SetsockoptInt(ln.fd, unix.SOL_SOCKET, unix.SO_PASSRIGHTS, 0)
	if err == unix.ENOPROTOOPT {
		ln.mode = sys.Yield // Linux before 6.16
		return nil
	}
	return os.NewSyscallError("setsockopt SO_PASSRIGHTS", err)
}

// adopt takes over a listener that was made elsewhere.
func adopt(l *net.UnixListener, log *slog.Logger) (*listener, error) {
	refuse := func(reason string) (*listener, error) {
		return nil, &ListenerError{Addr: l.Addr(), Reason: reason}
	}
	if l == nil {
		return nil, &ListenerError{Reason: "is nil"}
	}
	fd, err := duplicate(l)
	if err != nil {
		return refuse(err.Error())
	}
	ln := &listener{fd: fd, closeMore: func() { l.Close() }}
	ln.leaves.Store(true)
	if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_STREAM {
		unix.Close(fd)
		return refuse("is no stream socket; need network \"unix\", in a socket unit ListenStream=")
	}
	passcred, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED)
	if ln.unmarked = err == nil && passcred == 0; ln.unmarked {
		log.Warn("the listener lacks SO_PASSCRED: a caller that connected before now is refused if it sends at the moment in which it is accepted; add PassCredentials=yes to [Socket] of its socket unit",
			"listener", l.Addr().String())
	}
	passrights, rightsErr := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSRIGHTS)
	ln.early = rightsErr == nil && passrights != 0
	if err = errors.Join(err, ln.setOptions(), unix.SetNonblock(fd, true)); err != nil {
		unix.Close(fd)
		return refuse(err.Error())
	}
	if ln.early {
		log.Info("the listener accepts descriptors from callers that connected before now; since systemd 258 its socket unit can say AcceptFileDescriptors=no",
			"listener", l.Addr().String())
	}
	return ln, nil
}

// duplicate returns a duplicate of l's descriptor. l.File would make the socket
// blocking for a moment, and with it that of another server who still accepts from it:
// a leader would stay in accept(2) until the next caller.
func duplicate(l *net.UnixListener) (fd int, err error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return -1, err
	}
	controlErr := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(controlErr, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err))
}

// withdraw removes the socket file, if it is still the one that was made here,
// and gives up the lock, so that a successor can start.
func (ln *listener) withdraw() {
	if ln.file != nil {
		ln.file.Withdraw()
	}
}

// end withdraws and closes the listening socket: callers in its backlog learn
// that they are not served. The descriptor's number stays taken, by a duplicate
// of inert, so that a leader that is about to accept from it meets nothing else.
func (ln *listener) end(inert int) {
	ln.withdraw()
	ln.endOnce.Do(func() {
		unix.Dup3(inert, ln.fd, unix.O_CLOEXEC)
		if ln.closeMore != nil {
			ln.closeMore()
		}
	})
}

// close ends the listener and gives its descriptor back, which nobody may be
// using. A place that was not claimed stays that of the running server.
func (ln *listener) close() {
	if ln.succession != nil {
		ln.succession.Decline()
	}
	ln.end(ln.fd)
	unix.Close(ln.fd)
}
