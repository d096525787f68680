package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"credrpc/internal/sys"
	"credrpc/internal/trust"

	"golang.org/x/sys/unix"
)

var (
	// ErrAddressInUse reports a path on which another server is or is being
	// started.
	ErrAddressInUse = errors.New("another server uses it")

	// ErrNotSocket reports a path at which something else than a socket is.
	ErrNotSocket = errors.New("exists and is not a socket; it is left alone")

	// ErrUntrusted reports a directory in which others could replace the socket.
	ErrUntrusted = errors.New("whoever may change it could take the socket's place")
)

// Options say what a socket file is like. They do not apply to abstract names.
type Options struct {
	Mode  fs.FileMode // permissions; connecting needs write permission
	Owner *uint32     // nil: whoever this process is
	Group *uint32     // nil: likewise

	// AnyDirectory makes the file also where others than root and this process' user
	// could replace it.
	AnyDirectory bool

	// KeepStale leaves a socket that nobody listens on where it is, so that it is
	// in the way like any other file.
	KeepStale bool
}

// Bind binds fd, which does not listen yet, to path, or to the abstract name that
// follows an "@". Nobody can connect before listen(2), so that mode and owner
// hold for the first client.
//
// The lock, PATH.lock, is held until [File.Withdraw] or the end of the process. It
// is never removed, since removing it would let two hold different locks of one
// name. A socket that nobody listens on is replaced. Returns [ErrUntrusted],
// [ErrAddressInUse], [ErrNotSocket] or an error of the system; nothing is left behind but the lock
// file.
func Bind(fd int, path string, o Options) (*File, error) {
	address, ok := sys.MakeAddress(path)
	if !ok {
		return nil, fmt.Errorf("want 1 to %d bytes without NUL: %w", sys.MaxPath, unix.EINVAL)
	}
	f := &File{owned: true}
	var err error
	if strings.HasPrefix(path, "@") {
		err = bindAbstract(fd, path)
	} else {
		err = f.bind(fd, path, &address, o)
	}
	if err != nil {
		f.Withdraw()
		return nil, err
	}
	return f, nil
}

func bindAbstract(fd int, name string) error {
	err := unix.Bind(fd, &unix.SockaddrUnix{Name: name})
	if err == unix.EADDRINUSE {
		return ErrAddressInUse
	}
	return os.NewSyscallError("bind", err)
}

func (f *File) bind(fd int, path string, address *sys.Address, o Options) error {
	// Before anything is made: PATH.lock may mean something to others, as
	// /etc/passwd.lock does.
	var before unix.Stat_t
	if unix.Lstat(path, &before) == nil {
		switch {
		case o.KeepStale:
			return os.NewSyscallError("bind", unix.EADDRINUSE)
		case before.Mode&unix.S_IFMT != unix.S_IFSOCK:
			return ErrNotSocket
		}
	}
	err := examineDirectory(path, o)
	if err != nil {
		return err
	}
	if f.lock, err = lock(path + lockSuffix); err != nil {
		return err
	}
	if !o.KeepStale {
		if err := removeStale(path, address); err != nil {
			return err
		}
	}
	f.socket, err = makeNode(fd, path, o)
	return err
}

// examineDirectory returns an error if o asks for a directory that only trusted users
// can change, and path is in another.
func examineDirectory(path string, o Options) error {
	if o.AnyDirectory {
		return nil
	}
	directory, _ := filepath.Split(path) // not Dir: it takes ".." for the name before it, which may be a link
	if directory == "" {
		directory = "."
	}
	err := trust.Directory(directory)
	var untrusted *trust.Error
	if errors.As(err, &untrusted) {
		return fmt.Errorf("%w: %w", untrusted, ErrUntrusted)
	}
	return err
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

// A node is a socket in the file system. The zero value is none.
type node struct {
	path     string
	dev, ino uint64
}

// makeNode binds fd to path and gives the file its mode and owner. If it fails after
// the file was made it returns the node beside the error.
func makeNode(fd int, path string, o Options) (n node, err error) {
	// The file is made with the mode of the socket less the umask (unix(7)).
	if err := unix.Fchmod(fd, uint32(o.Mode)); err != nil {
		return n, os.NewSyscallError("fchmod", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return n, os.NewSyscallError("bind", err)
	}
	// O_PATH pins the file: what follows cannot be led to another.
	file, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return n, os.NewSyscallError("open", err)
	}
	defer unix.Close(file)
	var stat unix.Stat_t
	if err := unix.Fstat(file, &stat); err != nil {
		return n, os.NewSyscallError("fstat", err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return n, ErrNotSocket
	}
	n = node{path, stat.Dev, stat.Ino}
	if o.Owner != nil || o.Group != nil {
		uid, gid := -1, -1 // leave as they are, see chown(2)
		if o.Owner != nil {
			uid = int(*o.Owner)
		}
		if o.Group != nil {
			gid = int(*o.Group)
		}
		if err := unix.Fchownat(file, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
			return n, os.NewSyscallError("fchownat", err)
		}
	}
	// What the umask took away.
	err = unix.Chmod("/proc/self/fd/"+strconv.Itoa(file), uint32(o.Mode))
	return n, os.NewSyscallError("chmod", err)
}

// stat looks at what is at n's path, and reports whether that is n.
func (n node) stat() (stat unix.Stat_t, same bool) {
	same = n.path != "" && unix.Lstat(n.path, &stat) == nil &&
		stat.Mode&unix.S_IFMT == unix.S_IFSOCK && stat.Dev == n.dev && stat.Ino == n.ino
	return stat, same
}

// remove removes the file if it is still n.
func (n node) remove() {
	if _, same := n.stat(); same {
		unix.Unlink(n.path)
	}
}
