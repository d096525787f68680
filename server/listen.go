package server

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// backlog is how many connections the kernel keeps until they are accepted, at
// most net.core.somaxconn (listen(2)).
const backlog = 4096

// A listener is a listening socket and what has to be undone at the end.
type listener struct {
	fd        int      // non-blocking, SO_PASSCRED set
	inherited bool     // made by somebody else, who may go on with it
	mode      sys.Mode // Yield if callers can pass descriptors
	early     bool     // callers that are in the backlog at the start can
	endOnce   sync.Once
	closeMore func() // closes what belongs to the listener besides fd; may be nil

	withdrawOnce sync.Once
	path         string // of the socket file that was made here, "" if none
	dev, ino     uint64 // of that file
	lock         *os.File
}

// listen makes a listening socket at path, or of an abstract name.
func listen(path string, mode fs.FileMode, owner, group *uint32) (*listener, error) {
	address, ok := sys.MakeAddress(path)
	if !ok {
		return nil, fmt.Errorf("want 1 to %d bytes without NUL: %w", sys.MaxPath, unix.EINVAL)
	}
	fd, errno := sys.Stream()
	if errno != 0 {
		return nil, os.NewSyscallError("socket", errno)
	}
	ln := &listener{fd: fd}
	var err error
	if strings.HasPrefix(path, "@") {
		err = ln.bindAbstract(path)
	} else {
		err = ln.bindPath(path, &address, mode, owner, group)
	}
	if err == nil {
		err = ln.setOptions()
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

func (ln *listener) bindAbstract(path string) error {
	err := unix.Bind(ln.fd, &unix.SockaddrUnix{Name: path})
	if err == unix.EADDRINUSE {
		return ErrAddressInUse
	}
	return os.NewSyscallError("bind", err)
}

// bindPath binds the socket to path. Nobody can connect before listen(2), so
// that mode and owner hold for the first client; and at no moment is the file
// open to more than mode says.
func (ln *listener) bindPath(path string, address *sys.Address, mode fs.FileMode, owner, group *uint32) error {
	var err error
	if ln.lock, err = lock(path + ".lock"); err != nil {
		return err
	}
	if err := removeStale(path, address); err != nil {
		return err
	}
	// The file is made with the mode of the socket less the umask (unix(7)).
	if err := unix.Fchmod(ln.fd, uint32(mode)); err != nil {
		return os.NewSyscallError("fchmod", err)
	}
	if err := unix.Bind(ln.fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	// O_PATH pins the file: what follows cannot be led to another.
	file, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	defer unix.Close(file)
	var stat unix.Stat_t
	if err := unix.Fstat(file, &stat); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return ErrNotSocket
	}
	ln.path, ln.dev, ln.ino = path, stat.Dev, stat.Ino
	if owner != nil || group != nil {
		uid, gid := -1, -1 // leave as they are, see chown(2)
		if owner != nil {
			uid = int(*owner)
		}
		if group != nil {
			gid = int(*group)
		}
		if err := unix.Fchownat(file, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
			return os.NewSyscallError("fchownat", err)
		}
	}
	// What the umask took away.
	if err := unix.Chmod("/proc/self/fd/"+strconv.Itoa(file), uint32(mode)); err != nil {
		return os.NewSyscallError("chmod", err)
	}
	return nil
}

// lock takes the lock of a socket path, which lasts until the file is closed. Of
// several servers that start at once one gets it (flock(2)).
func lock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, fmt.Errorf("lock file %q: is not a regular file", path)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		if err == unix.EWOULDBLOCK {
			return nil, fmt.Errorf("%q is locked: %w", path, ErrAddressInUse)
		}
		return nil, os.NewSyscallError("flock", err)
	}
	return file, nil
}

// removeStale removes the socket file at path if nobody listens on it. The
// caller holds the lock, so that no other server of this kind puts one there.
func removeStale(path string, address *sys.Address) error {
	var stat unix.Stat_t
	switch err := unix.Lstat(path, &stat); {
	case err == unix.ENOENT:
		return nil
	case err != nil:
		return os.NewSyscallError("lstat", err)
	case stat.Mode&unix.S_IFMT != unix.S_IFSOCK:
		return ErrNotSocket
	}
	probe, errno := sys.Stream()
	if errno != 0 {
		return os.NewSyscallError("socket", errno)
	}
	defer unix.Close(probe)
	// Only a refusal tells that nobody listens: a full backlog is EAGAIN.
	if errno := sys.Connect(probe, address); errno != unix.ECONNREFUSED {
		return ErrAddressInUse
	}
	return os.NewSyscallError("unlink", unix.Unlink(path))
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
	file, err := l.File()
	if err != nil {
		return nil, &ListenerError{Reason: err.Error()}
	}
	defer file.Close()
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return refuse(err.Error())
	}
	ln := &listener{fd: fd, inherited: true, closeMore: func() { l.Close() }}
	if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_STREAM {
		unix.Close(fd)
		return refuse("is no stream socket; need network \"unix\", in a socket unit ListenStream=")
	}
	passcred, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED)
	if err == nil && passcred == 0 {
		log.Warn("the listener lacks SO_PASSCRED: callers that connected before now are refused; its socket unit must contain PassCredentials=yes",
			"listener", l.Addr().String())
	}
	passrights, rightsErr := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSRIGHTS)
	ln.early = rightsErr == nil && passrights != 0
	if err = errors.Join(err, ln.setOptions(), unix.SetNonblock(fd, true)); err != nil {
		unix.Close(fd)
		return refuse(err.Error())
	}
	if ln.early {
		log.Info("the listener accepts descriptors from callers that connected before now; its socket unit should contain AcceptFileDescriptors=no",
			"listener", l.Addr().String())
	}
	return ln, nil
}

// withdraw removes the socket file, if it is still the one that was made here,
// and gives up the lock, so that a successor can start.
func (ln *listener) withdraw() {
	ln.withdrawOnce.Do(func() {
		var stat unix.Stat_t
		if ln.path != "" && unix.Lstat(ln.path, &stat) == nil && stat.Dev == ln.dev && stat.Ino == ln.ino {
			unix.Unlink(ln.path)
		}
		if ln.lock != nil {
			ln.lock.Close()
		}
	})
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
// using.
func (ln *listener) close() {
	ln.end(ln.fd)
	unix.Close(ln.fd)
}
