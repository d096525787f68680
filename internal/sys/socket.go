//go:build linux

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Mode says how a system call is made.
type Mode bool

const (
	// Raw is for calls that return at once whatever the peer did.
	Raw Mode = false

	// Yield lets the scheduler move other goroutines off this thread while the
	// call lasts, for calls that a peer can prolong.
	Yield Mode = true
)

// YieldProcessor lets another thread have the processor if one waits for it. See
// sched_yield(2).
func YieldProcessor() { unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

// ThreadSwitches returns the calling thread's id and how often it has been put aside for
// another thread while it could have gone on; a goroutine may be on another thread at
// once. See gettid(2), and ru_nivcsw and RUSAGE_THREAD in getrusage(2).
func ThreadSwitches() (thread, switches int) {
	var usage unix.Rusage
	unix.RawSyscall(unix.SYS_GETRUSAGE, unix.RUSAGE_THREAD, uintptr(unsafe.Pointer(&usage)), 0)
	id, _, _ := unix.RawSyscall(unix.SYS_GETTID, 0, 0, 0)
	return int(id), int(usage.Nivcsw)
}

// Accept takes a connection off the backlog of the non-blocking listener. The
// connection is non-blocking and closed on exec. See accept4(2).
func Accept(listener int) (fd int, errno unix.Errno) {
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), 0, 0,
			unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		if errno != unix.EINTR {
			return int(r), errno
		}
	}
}

// AcceptBlocking takes a connection off the backlog of the non-blocking listener
// and stores the caller's address in from. The connection is blocking, as
// programs expect of their standard input, and closed on exec. See accept4(2).
func AcceptBlocking(listener int, from *Address) (fd int, errno unix.Errno) {
	for {
		size := uint32(unsafe.Sizeof(from.raw))
		r, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), uintptr(unsafe.Pointer(&from.raw)),
			uintptr(unsafe.Pointer(&size)), unix.SOCK_CLOEXEC, 0, 0)
		if errno != unix.EINTR {
			from.size = min(uintptr(size), unsafe.Sizeof(from.raw))
			return int(r), errno
		}
	}
}

// Stream makes a non-blocking AF_UNIX stream socket that is closed on exec. See
// unix(7).
func Stream() (fd int, errno unix.Errno) {
	r, _, errno := unix.RawSyscall(unix.SYS_SOCKET, unix.AF_UNIX,
		unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	return int(r), errno
}

// Close closes fd. It is not repeated on EINTR, since Linux has released the
// descriptor by then. See close(2).
func Close(fd int, mode Mode) unix.Errno {
	if mode == Yield {
		_, _, errno := unix.Syscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
		return errno
	}
	_, _, errno := unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
	return errno
}

// CloseRange closes the descriptors from first to last, all of which are the caller's.
// If it fails it has closed none of them: kernels before 5.9 and filters may not have
// it. See close_range(2).
func CloseRange(first, last int) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_CLOSE_RANGE, uintptr(first), uintptr(last), 0)
	return errno
}

// ShutdownWrite tells the peer that nothing more will be written to fd. See
// shutdown(2).
func ShutdownWrite(fd int) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
	return errno
}

// Deafen has the AF_UNIX stream socket fd take nothing more, and returns how many bytes
// it has that were not received. If there are none, its close drops no descriptors that
// the peer has passed: sends have failed since. See shutdown(2), SHUT_RD, and SIOCINQ in
// the kernel's net/unix/af_unix.c.
func Deafen(fd int) (n int, errno unix.Errno) {
	if _, _, errno := unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_RD, 0); errno != 0 {
		return 0, errno
	}
	var held int32
	_, _, errno = unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCINQ, uintptr(unsafe.Pointer(&held)))
	return int(held), errno
}

// Unread returns how many bytes the kernel holds of what was written to the AF_UNIX
// socket fd and its peer has not read, the kernel's own included. It is 0 once the
// peer has closed. See SIOCOUTQ in the kernel's net/unix/af_unix.c.
func Unread(fd int) (n int, errno unix.Errno) {
	var held int32
	_, _, errno = unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCOUTQ, uintptr(unsafe.Pointer(&held)))
	return int(held), errno
}

// An Address is the address of an AF_UNIX socket as the kernel reads it.
type Address struct {
	raw  unix.RawSockaddrUnix
	size uintptr // bytes of raw that count
}

// MaxPath is the length in bytes of the longest path or abstract name. The
// kernel needs one byte more for the terminator or the leading NUL. See
// unix(7), sun_path.
const MaxPath = len(unix.RawSockaddrUnix{}.Path) - 1

// MakeAddress returns the address of a path, or of an abstract name when the
// path begins with "@". ok is false if the path is empty, too long, or holds a
// NUL byte.
func MakeAddress(path string) (a Address, ok bool) {
	if path == "" || len(path) > MaxPath {
		return a, false
	}
	a.raw.Family = unix.AF_UNIX
	for i := range len(path) {
		if path[i] == 0 {
			return Address{}, false
		}
		a.raw.Path[i] = int8(path[i])
	}
	a.size = unsafe.Offsetof(a.raw.Path) + uintptr(len(path)) + 1
	if path[0] == '@' {
		a.raw.Path[0] = 0
		a.size-- // an abstract name has no terminator
	}
	return a, true
}

// Path returns the path, or "" for an abstract name and for a socket without
// address. Whoever bound the socket chose it. It holds no NUL byte.
func (a *Address) Path() string {
	start := unsafe.Offsetof(a.raw.Path)
	if a.size <= start || a.raw.Path[0] == 0 {
		return ""
	}
	// A path of full length has no terminator. See unix(7).
	path := make([]byte, 0, len(a.raw.Path))
	for _, c := range a.raw.Path[:a.size-start] {
		if c == 0 {
			break
		}
		path = append(path, byte(c))
	}
	return string(path)
}

// Connect connects fd to a. On a non-blocking socket it returns EAGAIN when the
// backlog is full; the socket can be used for another try, and poll(2) cannot
// wait for one. See connect(2).
func Connect(fd int, a *Address) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), a.size)
	return errno
}

// PollThree waits until wakeup, a or b can be read, or for timeout milliseconds,
// or without limit if timeout is negative. A negative b is ignored. It returns
// how many are ready, and whether wakeup is one of them. A signal may end it
// early. See poll(2).
func PollThree(wakeup, a, b, timeout int) (ready int, woken bool, errno unix.Errno) {
	p := [3]unix.PollFd{{Fd: int32(wakeup), Events: unix.POLLIN}, {Fd: int32(a), Events: unix.POLLIN}, {Fd: int32(b), Events: unix.POLLIN}}
	var ts *unix.Timespec
	if timeout >= 0 {
		limit := unix.NsecToTimespec(int64(timeout) * 1e6)
		ts = &limit
	}
	n, _, errno := unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), uintptr(len(p)), uintptr(unsafe.Pointer(ts)), 0, 0, 0)
	if errno == unix.EINTR {
		return 0, false, 0
	}
	return int(n), p[0].Revents != 0, errno
}

// Poll waits until one of events holds for fd, or for timeout milliseconds, or
// without limit if timeout is negative. It returns the events that hold, 0 when
// the time is over. A signal may end it early with 0. See poll(2).
func Poll(fd int, events int16, timeout int) (revents int16, errno unix.Errno) {
	p := unix.PollFd{Fd: int32(fd), Events: events}
	var ts *unix.Timespec
	if timeout >= 0 {
		limit := unix.NsecToTimespec(int64(timeout) * 1e6)
		ts = &limit
	}
	_, _, errno = unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(ts)), 0, 0, 0)
	if errno == unix.EINTR {
		return 0, 0
	}
	return p.Revents, errno
}

// LocalPath returns the path that a socket is bound to, or "" when it is bound to
// none: to an abstract name, say, or as a socket of another family. See
// getsockname(2), and "Pathname sockets" in unix(7): the path ends at a zero byte
// or where the address ends.
func LocalPath(fd int) (path string, errno unix.Errno) {
	var a unix.RawSockaddrUnix
	size := uint32(unsafe.Sizeof(a))
	_, _, errno = unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&a)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 || a.Family != unix.AF_UNIX {
		return "", errno
	}
	var b []byte
	for _, c := range a.Path {
		if c == 0 {
			break
		}
		b = append(b, byte(c))
	}
	return string(b), 0
}
