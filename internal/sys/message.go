//go:build linux

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Ucred is struct ucred of unix(7): a process and its user and group, as the
// kernel says.
type Ucred struct {
	PID int32
	UID uint32
	GID uint32
}

// controlSize is CMSG_SPACE(sizeof(struct ucred)): 16 bytes of header and 12 of
// data, padded to 8. A larger buffer would let the kernel install descriptors
// that a sender passes (SCM_RIGHTS) behind the credentials.
const controlSize = (unix.SizeofCmsghdr + unix.SizeofUcred + 7) &^ 7

const receiveFlags = unix.MSG_DONTWAIT | unix.MSG_CMSG_CLOEXEC

// A Received describes what one recvmsg(2) returned besides the bytes.
type Received struct {
	Ucred     Ucred // who sent the bytes, if HasUcred
	HasUcred  bool  // the kernel gave SCM_CREDENTIALS
	Truncated bool  // MSG_CTRUNC: ancillary data did not fit, so the sender passed more than credentials
}

// Receive reads bytes of one sender from the non-blocking fd into p, and who
// sent them. The kernel never joins bytes of different senders in one call when
// SO_PASSCRED is set (unix(7)). Descriptors that the sender passed are dropped
// by the kernel and never enter this process; dropping the last reference to
// one can take as long as its sender likes, hence the mode. n is 0 with errno 0
// at the end of the stream, or if p is empty.
func Receive(fd int, p []byte, r *Received, mode Mode) (n int, errno unix.Errno) {
	// The alignment of cmsghdr comes from the array of words.
	var control [controlSize / 8]uint64
	iov := unix.Iovec{Base: unsafe.SliceData(p)}
	iov.SetLen(len(p))
	msg := unix.Msghdr{Iov: &iov, Control: (*byte)(unsafe.Pointer(&control))}
	msg.SetIovlen(1)
	for {
		msg.SetControllen(controlSize)
		// The address of msg must be taken in the argument list of an assembly
		// function: only there does it stay valid if the stack moves.
		var got uintptr
		var e unix.Errno
		if mode == Yield {
			got, _, e = unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), receiveFlags)
		} else {
			got, _, e = unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), receiveFlags)
		}
		if e == unix.EINTR {
			continue
		}
		*r = Received{}
		if e != 0 {
			return 0, e
		}
		r.Truncated = msg.Flags&unix.MSG_CTRUNC != 0
		head := (*unix.Cmsghdr)(unsafe.Pointer(&control))
		// CMSG_LEN(sizeof(struct ucred)) is exact: anything else is not credentials.
		if uint64(msg.Controllen) >= unix.SizeofCmsghdr+unix.SizeofUcred &&
			head.Level == unix.SOL_SOCKET && head.Type == unix.SCM_CREDENTIALS &&
			uint64(head.Len) == unix.SizeofCmsghdr+unix.SizeofUcred {
			r.Ucred = *(*Ucred)(unsafe.Add(unsafe.Pointer(&control), unix.SizeofCmsghdr))
			r.HasUcred = true
		}
		return int(got), 0
	}
}

const sendFlags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL

// Send writes head and then body to the non-blocking fd with one system call,
// and returns how many bytes of both together the kernel took. An empty body is
// the cheaper case. A peer that is gone is EPIPE, never a signal. See send(2),
// MSG_NOSIGNAL.
func Send(fd int, head, body []byte) (n int, errno unix.Errno) {
	for len(body) == 0 {
		r, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(head))), uintptr(len(head)), sendFlags, 0, 0)
		switch errno {
		case 0:
			return int(r), 0
		case unix.EINTR:
			continue
		default:
			return 0, errno
		}
	}
	iov := [2]unix.Iovec{{Base: unsafe.SliceData(head)}, {Base: unsafe.SliceData(body)}}
	iov[0].SetLen(len(head))
	iov[1].SetLen(len(body))
	msg := unix.Msghdr{Iov: &iov[0]}
	msg.SetIovlen(len(iov))
	for {
		r, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), sendFlags)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		return int(r), 0
	}
}

// PeerUcred returns the process, effective user and effective group that called
// connect(2), as they were then. See unix(7), SO_PEERCRED.
func PeerUcred(fd int) (c Ucred, errno unix.Errno) {
	size := uint32(unix.SizeofUcred)
	_, _, errno = unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERCRED,
		uintptr(unsafe.Pointer(&c)), uintptr(unsafe.Pointer(&size)), 0)
	if errno == 0 && size != unix.SizeofUcred {
		return Ucred{}, unix.EINVAL
	}
	return c, errno
}
