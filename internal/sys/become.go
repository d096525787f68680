//go:build linux

package sys

import "golang.org/x/sys/unix"

// Become makes the calling thread, and no other, user uid and group gid for good: real,
// effective and saved ids all, without other groups, and so without capabilities unless
// uid is 0. The goroutine must be locked to its thread and end with it. A failure may
// leave the thread with some of it; an id that is not taken over is EINVAL. See
// setgroups(2), setresgid(2) and setresuid(2), which say under "C library/kernel
// differences" that to the kernel these belong to threads.
func Become(uid, gid uint32) unix.Errno {
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
		return errno
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)); errno != 0 {
		return errno
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
		return errno
	}
	r, e, s := unix.Getresuid()
	rg, eg, sg := unix.Getresgid()
	for _, pair := range [][2]uint32{{uint32(r), uid}, {uint32(e), uid}, {uint32(s), uid}, {uint32(rg), gid}, {uint32(eg), gid}, {uint32(sg), gid}} {
		if pair[0] != pair[1] { // -1 leaves an id as it is
			return unix.EINVAL
		}
	}
	return 0
}
