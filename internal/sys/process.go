//go:build linux

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// A childInfo is the part of siginfo_t that waitid(2) fills in, and room for the
// rest. The pid follows three ints, aligned like a pointer.
type childInfo struct {
	_   [3]int32 // si_signo, si_errno, si_code
	_   [0]uintptr
	pid int32
	_   [112]byte // so that it is no shorter than siginfo_t, 128 bytes
}

// DeadChild waits until a child process has ended and returns its pid. The child
// stays a zombie, so that its pid cannot become that of another process; of
// several that have ended it is always the same one, until that is reaped. Without
// any child it returns ECHILD. See waitid(2), WNOWAIT.
func DeadChild() (pid int, errno unix.Errno) {
	var info childInfo
	for {
		_, _, errno := unix.Syscall6(unix.SYS_WAITID, unix.P_ALL, 0, uintptr(unsafe.Pointer(&info)),
			unix.WEXITED|unix.WNOWAIT, 0, 0)
		if errno != unix.EINTR {
			return int(info.pid), errno
		}
	}
}
