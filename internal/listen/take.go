package listen

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNoOffer reports a path at which nobody offers a place.
var ErrNoOffer = errors.New("nobody offers to hand it on: start the running server with Takeover (credrpc serve --takeover) too")

// A Succession is the place of a running server, which has been offered and not yet
// been taken.
type Succession struct {
	File     *File // which a Withdraw before Claim leaves to the running server
	Listener int   // the listening socket, non-blocking, which is the caller's to close

	conn *net.UnixConn
}

// Take asks the running server at path for its place, and checks what it offers. The
// socket file must have the mode of o, and its owner and group if o names them.
// Returns [ErrNoOffer] if nobody is there who could answer: then another try may find
// a place to [Bind] to.
func Take(path string, o Options) (*Succession, error) {
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path + controlSuffix, Net: "unixpacket"})
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ECONNREFUSED):
		return nil, fmt.Errorf("%w at %q", ErrNoOffer, path+controlSuffix)
	case err != nil:
		return nil, err
	}
	s := &Succession{conn: conn}
	if err := s.accept(path, o); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

// accept reads the offer and fills s.
func (s *Succession) accept(path string, o Options) error {
	// As in connect(2): this is who called listen(2), or the first of a row of
	// servers that took over one from the other.
	server, err := peer(s.conn)
	if err != nil {
		return err
	}
	ours := &control{uid: uint32(os.Geteuid())}
	if !ours.trusts(server.Uid) {
		return fmt.Errorf("the running server is of user %d, which is neither root nor this one, %d", server.Uid, ours.uid)
	}
	s.conn.SetDeadline(time.Now().Add(Patience))
	message, fds, err := receiveOffer(s.conn)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET):
		return fmt.Errorf("%w: the running server has ended, or this is not its user", ErrNoOffer)
	case err != nil:
		return err
	}
	s.Listener, ours.fd = fds[offeredListener], fds[offeredControl]
	s.File = &File{lock: os.NewFile(uintptr(fds[offeredLock]), path+lockSuffix), control: ours}
	if err = s.check(path, message, o); err == nil {
		err = s.duplicate()
	}
	if err != nil {
		s.File.lock.Close()
		closeAll([]int{s.Listener, ours.fd})
	}
	return err
}

// check checks what was offered, and names it.
func (s *Succession) check(path string, message []byte, o Options) (err error) {
	f := s.File
	if f.socket, f.control.file, err = parseOffer(message); err != nil {
		return err
	}
	f.socket.path, f.control.file.path = path, path+controlSuffix
	return errors.Join(
		checkListening("listening socket", s.Listener, unix.SOCK_STREAM),
		checkListening("control socket", f.control.fd, unix.SOCK_SEQPACKET),
		checkLock(f.lock), f.socket.check(o), f.control.file.check(Options{Mode: 0o600}),
	)
}

// duplicate gives the file what it needs to offer the place again.
func (s *Succession) duplicate() (err error) {
	f := s.File
	if f.listener, err = unix.FcntlInt(uintptr(s.Listener), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		return os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	if f.control.listener, err = listenerOf(f.control.fd); err != nil {
		unix.Close(f.listener)
	}
	return err
}

// checkListening checks that fd is a listening UNIX socket of a type.
func checkListening(what string, fd, kind int) error {
	for option, want := range map[int]int{unix.SO_DOMAIN: unix.AF_UNIX, unix.SO_TYPE: kind, unix.SO_ACCEPTCONN: 1} {
		if got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option); err != nil || got != want {
			return fmt.Errorf("the %s that was offered is not what it should be: option %d is %d, want %d (%v)", what, option, got, want, err)
		}
	}
	return os.NewSyscallError("fcntl F_SETFL", unix.SetNonblock(fd, true))
}

// checkLock checks that file is the lock of its path, and locked. If it is not locked
// it is from here on.
func checkLock(file *os.File) error {
	held, err := file.Stat()
	if err != nil {
		return err
	}
	named, err := os.Lstat(file.Name())
	if err != nil {
		return err
	}
	if !os.SameFile(held, named) {
		return fmt.Errorf("lock file %q: is not the one that the running server holds: stop it, and start this one", file.Name())
	}
	// No matter who else has this open file: the lock is its, see flock(2).
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("lock file %q: %w", file.Name(), os.NewSyscallError("flock", err))
	}
	return nil
}

// check checks that n is still at its path, and is as o wants it.
func (n node) check(o Options) error {
	stat, same := n.stat()
	mode := stat.Mode & 0o7777
	switch {
	case !same:
		return fmt.Errorf("%q is not the socket of the running server: stop it, and start this one", n.path)
	case mode != uint32(o.Mode):
		return fmt.Errorf("%q has mode %04o, want %04o: change one of them", n.path, mode, uint32(o.Mode))
	case o.Owner != nil && stat.Uid != *o.Owner:
		return fmt.Errorf("%q belongs to user %d, want %d: change one of them", n.path, stat.Uid, *o.Owner)
	case o.Group != nil && stat.Gid != *o.Group:
		return fmt.Errorf("%q belongs to group %d, want %d: change one of them", n.path, stat.Gid, *o.Group)
	}
	return nil
}

// Claim takes the place. When it returns nil the running server has accepted its last
// connection, and the socket file is this process's. After an error it is not. It may
// be called once, and needs no more privileges than serving.
func (s *Succession) Claim() error {
	defer s.conn.Close()
	s.conn.SetDeadline(time.Now().Add(Patience))
	// If it fails, what is heard says why.
	s.conn.Write([]byte(take))
	said, err := hear(s.conn)
	switch {
	case err == nil && said == yours:
	case err == nil:
		return errors.New(strings.TrimPrefix(said, no))
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("the running server does not answer: %w", err)
	default:
		// It has ended, without a word: it was killed. If it had ended by itself it
		// would have removed its file.
		if _, same := s.File.socket.stat(); !same {
			return fmt.Errorf("the running server has ended meanwhile, and %q with it: start again", s.File.socket.path)
		}
	}
	s.File.mu.Lock()
	defer s.File.mu.Unlock()
	s.File.owned = true
	return nil
}

// Decline leaves the place to the running server.
func (s *Succession) Decline() { s.conn.Close() }
