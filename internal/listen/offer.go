package listen

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

const (
	// askers is how many may wait to be heard: operators, not callers.
	askers = 16

	// acceptPause is how long nobody is heard when the system has run out of
	// something.
	acceptPause = 100 * time.Millisecond
)

// A control is the control socket.
type control struct {
	uid      uint32            // of this process when the control was made or taken
	fd       int               // non-blocking, for a successor
	listener *net.UnixListener // a duplicate of fd
	file     node
}

// errEnding refuses whoever asks a server that ends.
var errEnding = errors.New("the running server is ending: start again")

// An Asker is a process that has asked for the place of this one.
type Asker struct {
	PID int32
	UID uint32
}

// Offer makes the control socket of f, so that a successor can get fd, the listening
// socket, which stays the caller's. f is from [Bind] and has a path. Returns
// [ErrAddressInUse], [ErrNotSocket] or an error of the system.
func (f *File) Offer(fd int) error {
	path := f.socket.path + controlSuffix
	address, ok := sys.MakeAddress(path)
	if !ok {
		return fmt.Errorf("%q: want a path of at most %d bytes, for the control socket beside it: %w", f.socket.path, sys.MaxPath-len(controlSuffix), unix.EINVAL)
	}
	if err := removeStale(path, &address); err != nil {
		return fmt.Errorf("control socket %q: %w", path, err)
	}
	c, err := makeControl(path)
	if err != nil {
		return fmt.Errorf("control socket %q: %w", path, err)
	}
	f.listener, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		c.listener.Close()
		c.file.remove()
		unix.Close(c.fd)
		return os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	f.control = c
	return nil
}

// makeControl makes a control socket at path, for the user of this process only.
func makeControl(path string) (c *control, err error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	c = &control{fd: fd, uid: uint32(os.Geteuid())}
	sys.RefuseRights(fd) // where the kernel knows how: nobody has to pass anything here
	c.file, err = makeNode(fd, path, Options{Mode: 0o600})
	if err == nil {
		err = os.NewSyscallError("listen", unix.Listen(fd, askers))
	}
	if err == nil {
		c.listener, err = listenerOf(fd)
	}
	if err != nil {
		c.file.remove()
		unix.Close(fd)
		return nil, err
	}
	return c, nil
}

// listenerOf returns a listener on a duplicate of fd.
func listenerOf(fd int) (*net.UnixListener, error) {
	// A file for fd itself would close it.
	duplicate, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	file := os.NewFile(uintptr(duplicate), "control socket")
	defer file.Close()
	l, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	return l.(*net.UnixListener), nil
}

// Offers reports whether a successor can ask.
func (f *File) Offers() bool { return f.control != nil }

// AwaitSuccessor hears whoever asks at the control socket, one after the other, until
// one has taken the place, or until Withdraw, after which ok is false. Who is neither
// root nor of the user that made the offer hears nothing. stop is called when a
// successor takes: when it returns nothing may be accepted any more.
func (f *File) AwaitSuccessor(stop func()) (who Asker, ok bool) {
	for {
		conn, err := f.control.listener.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			return who, false
		case err != nil:
			time.Sleep(acceptPause)
			continue
		}
		ucred, err := peer(conn)
		if err == nil && f.control.trusts(ucred.Uid) && f.converse(conn, stop) {
			return Asker{ucred.Pid, ucred.Uid}, true
		}
		conn.Close()
	}
}

// trusts reports whether a process of uid may be on the other side.
func (c *control) trusts(uid uint32) bool { return uid == 0 || uid == c.uid }

// converse offers the place over conn, and reports whether it is taken.
func (f *File) converse(conn *net.UnixConn, stop func()) (taken bool) {
	defer conn.Close()
	refusal := f.offerTo(conn)
	if refusal == "" {
		stop()
		lastWord(conn, yours)
		return true
	}
	lastWord(conn, no+refusal)
	return false
}

// lastWord says the last word over conn, before it is closed. It does not give up
// while somebody is there: whoever hears none takes this process for ended.
func lastWord(conn *net.UnixConn, word string) {
	for {
		if _, err := conn.Write([]byte(word)); err == nil || hungUp(conn) {
			return
		}
		time.Sleep(acceptPause) // the system has run out of memory
	}
}

// offerTo offers the place, waits, and returns "" if it is taken or why it is not.
func (f *File) offerTo(conn *net.UnixConn) (refusal string) {
	conn.SetReadDeadline(time.Now().Add(Patience)) // nothing that is written waits
	if err := f.sendOffer(conn); err != nil {
		return err.Error()
	}
	said, err := hear(conn)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.talk = nil
	switch {
	case f.withdrawn:
		return errEnding.Error()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("the running server has waited for %v", Patience)
	case err != nil || said != take:
		return "the running server expected something else"
	case hungUp(conn):
		return "gone"
	}
	f.owned = false
	return ""
}

// sendOffer sends the offer, with descriptors that Withdraw cannot close meanwhile.
// Returns errEnding after Withdraw.
func (f *File) sendOffer(conn *net.UnixConn) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.withdrawn {
		return errEnding
	}
	f.talk = conn
	message := appendOffer(nil, f.socket, f.control.file)
	_, _, err := conn.WriteMsgUnix(message, unix.UnixRights(f.listener, int(f.lock.Fd()), f.control.fd), nil)
	return err
}

// hungUp reports whether the other side of conn has closed it. See POLLHUP in poll(2).
func hungUp(conn *net.UnixConn) (gone bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return true
	}
	err = raw.Control(func(fd uintptr) {
		events, errno := sys.Poll(int(fd), 0, 0)
		gone = errno != 0 || events&unix.POLLHUP != 0
	})
	return err != nil || gone
}
