//go:build linux

package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below give something up for the whole process. Credentials,
// capabilities and no_new_privs belong to threads (credentials(7)), and a Go program
// has many, so they are made on every thread; later threads have what the one has
// that makes them. In a program that is linked with cgo they are ENOTSUP and do
// nothing, since the runtime does not know the threads that C has made.

// PrctlAllThreads makes the same prctl(2) on every thread. Threads that disagree
// about the result end the program.
func PrctlAllThreads(option int, arg2, arg3 uintptr) unix.Errno {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, uintptr(option), arg2, arg3, 0, 0, 0)
	return errno
}

// SetCapabilities gives every thread keep as its permitted and effective
// capabilities and nothing that can be inherited. See capset(2).
func SetCapabilities(keep uint64) unix.Errno {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	low, high := uint32(keep), uint32(keep>>32)
	data := [2]unix.CapUserData{{Effective: low, Permitted: low}, {Effective: high, Permitted: high}}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data)), 0)
	return errno
}

// Capabilities returns the effective and the permitted capabilities of the calling
// thread. See capget(2).
func Capabilities() (effective, permitted uint64, err error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, 0, err
	}
	effective = uint64(data[0].Effective) | uint64(data[1].Effective)<<32
	permitted = uint64(data[0].Permitted) | uint64(data[1].Permitted)<<32
	return effective, permitted, nil
}

// Filter puts every thread under the seccomp filter. no_new_privs must be set. thread
// is 0, or the id of a thread that has a filter of its own; then nothing has been
// done. See seccomp(2), SECCOMP_FILTER_FLAG_TSYNC.
func Filter(program []unix.SockFilter) (thread int, errno unix.Errno) {
	if len(program) == 0 || len(program) > unix.BPF_MAXINSNS {
		return 0, unix.EINVAL
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: unsafe.SliceData(program)}
	r, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}
