//go:build linux

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// RefuseRights has the kernel refuse the peer's attempts to pass descriptors over
// the AF_UNIX socket fd, with EPERM to the peer. It needs Linux 6.16 and is
// ENOPROTOOPT before. See SO_PASSRIGHTS in the kernel's sources; it holds for
// what is sent after the call.
func RefuseRights(fd int) (errno unix.Errno) {
	var off int32
	_, _, errno = unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PASSRIGHTS,
		uintptr(unsafe.Pointer(&off)), unsafe.Sizeof(off), 0)
	return errno
}

// Recv reads bytes from the non-blocking fd into p and nothing besides them.
// Descriptors that the peer passed are dropped by the kernel and never enter
// this process; dropping the last reference to one can take as long as the peer
// likes, hence the mode. n is 0 with errno 0 at the end of the stream, or if p
// is empty. See recv(2).
func Recv(fd int, p []byte, mode Mode) (n int, errno unix.Errno) {
	base := unsafe.Pointer(unsafe.SliceData(p))
	for {
		var r uintptr
		if mode == Yield {
			r, _, errno = unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(base), uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
		} else {
			r, _, errno = unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(base), uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
		}
		switch errno {
		case 0:
			return int(r), 0
		case unix.EINTR:
			continue
		default:
			return 0, errno
		}
	}
}
