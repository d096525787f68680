//go:build linux

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below are for a load generator. They wait in the kernel without
// telling the Go scheduler, which is the cheapest way to wait and the most
// dangerous one: a thread that waits keeps its P, and nothing that stops the
// world, a garbage collection for one, can happen until it returns. They belong
// in a process of its own that has more Ps than threads that wait, and whose
// collector is off.

// WaitingSend writes all of p to the non-blocking fd, and waits in a raw call
// whenever the kernel takes no more. n is less than len(p) only with an errno. A
// peer that is gone is EPIPE, never a signal. See send(2), MSG_NOSIGNAL.
func WaitingSend(fd int, p []byte) (n int, errno unix.Errno) {
	for n < len(p) {
		r, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(p[n:]))), uintptr(len(p)-n), unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			n += int(r)
			continue
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			errno = waitFor(fd, unix.POLLOUT)
		}
		if errno != 0 {
			return n, errno
		}
	}
	return n, 0
}

// WaitingReceive reads up to len(p) bytes from the non-blocking fd, and waits in
// a raw call until there are any. n is 0 with errno 0 at the end of the stream.
// See recv(2).
func WaitingReceive(fd int, p []byte) (n int, errno unix.Errno) {
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
		switch errno {
		case 0:
			return int(r), 0
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			errno = waitFor(fd, unix.POLLIN)
		}
		if errno != 0 {
			return 0, errno
		}
	}
}

// WaitingConnect connects the non-blocking fd to a, and waits in a raw call for room
// in the backlog, in line with others who wait. After a tenth of a second, or when a
// signal arrives, it returns EAGAIN. See connect(2), and socket(7) for SO_SNDTIMEO.
func WaitingConnect(fd int, a *Address) unix.Errno {
	limit := unix.NsecToTimeval(1e8)
	_, _, errno := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_SNDTIMEO,
		uintptr(unsafe.Pointer(&limit)), unsafe.Sizeof(limit), 0)
	if errno != 0 {
		return errno
	}
	if errno := setFlags(fd, 0); errno != 0 {
		return errno
	}
	errno = Connect(fd, a)
	if errno == unix.EINTR {
		errno = unix.EAGAIN
	}
	if errno := setFlags(fd, unix.O_NONBLOCK); errno != 0 {
		return errno
	}
	return errno
}

// setFlags sets the status flags of fd. See F_SETFL(2const).
func setFlags(fd int, flags uintptr) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETFL, flags)
	return errno
}

// waitFor waits in a raw call until one of events, an error or a hang-up holds
// for fd, or a signal arrives. See poll(2).
func waitFor(fd int, events int16) unix.Errno {
	p := unix.PollFd{Fd: int32(fd), Events: events}
	_, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, 0, 0, 0, 0)
	if errno == unix.EINTR {
		return 0
	}
	return errno
}

// SleepUntil waits in a raw call until the monotonic clock shows deadline, in
// nanoseconds as [Monotonic] counts them. A signal may end it early. It takes the
// thread's timer slack away first: the kernel adds 50 µs to every sleep
// otherwise, and the goroutine may be on another thread than last time. See
// clock_nanosleep(2) and PR_SET_TIMERSLACK(2const).
func SleepUntil(deadline int64) {
	unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, 1, 0, 0, 0, 0)
	ts := unix.NsecToTimespec(deadline)
	unix.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME,
		uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
}

// ActAs has the calling thread, and no other, act as a user: its real user is what
// SCM_CREDENTIALS says of a sender, its effective user what SO_PEERCRED says of who
// connected. The saved user stays 0, so that a thread of a process that root started
// can go back to 0 and on to another. Between the two it has no capabilities in
// effect. The goroutine must be locked to its thread. See setresuid(2), credentials(7)
// and capabilities(7), "Effect of user ID changes on capabilities".
func ActAs(uid uint32) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), 0)
	return errno
}

// Monotonic returns what the monotonic clock shows, in nanoseconds. It is the
// same for all processes of the machine, and the clock by which package time
// measures. See clock_gettime(2).
func Monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0 // it fails for bad arguments only
	}
	return ts.Nano()
}
