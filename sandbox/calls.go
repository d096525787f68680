package sandbox

import (
	"math"
	"os"
	"slices"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"
)

// The system calls that the filter lets pass. Each was found with strace(1) over the
// tests of the server and of programs as handlers, or stands in for one of these
// where the kernel or the machine is another. Names that a machine does not have are
// left out.

// running is what the Go runtime lives on.
var running = []string{
	// Memory: the heap grows and is given back. mmap and mprotect have conditions.
	"munmap", "madvise",
	// Threads: waiting, ending, and how many processors there are now. clone has
	// conditions.
	"futex", "exit", "exit_group", "gettid", "getrusage", "getpid", "sched_yield", "sched_getaffinity", "set_robust_list",
	// Time: pauses of the scheduler; the clock where the vDSO does not have it.
	"nanosleep", "clock_nanosleep", "restart_syscall", "clock_gettime", "gettimeofday",
	// Signals: each thread has a stack for them, and preemption uses one. tgkill has
	// conditions.
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack",
	// Random numbers, for maps and for crypto.
	"getrandom",
	// Waiting for descriptors of package os and package net.
	"epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd2",
	// The limit of processors of the control group, whose file is open: Go looks
	// again now and then.
	"pread64",
}

// serving is what a call costs, and what ends a server. None of these makes a socket
// or gives one a name.
var serving = []string{
	"accept4", "getsockopt", "recvmsg", "recvfrom", "sendto", "sendmsg", "shutdown", "close", "close_range",
	"ppoll", "poll",
	"read", "write", // wakeups between threads, and the log
	"getsockname", "getpeername", // package net asks for the names of what it is given
	"dup3", // closes the listener, whose number stays taken (server/listen.go)
}

// reading is for files and directories, which Landlock chooses. That a file exists
// can be found out anywhere.
var reading = []string{
	"openat", "fstat", "newfstatat", "statx", "lseek", "getdents64", "readlinkat", "faccessat", "faccessat2",
	"statfs", // whoever reads /proc makes sure that it is it (metrics)
	// Rules are copied into sealed memory when they are loaded again (accessdb).
	"memfd_create", "copy_file_range",
}

// removing is for the socket file at the end.
var removing = []string{"fstat", "newfstatat", "statx", "faccessat", "faccessat2", "unlinkat"}

// writing is for files that change, and for directories.
var writing = []string{
	"ftruncate", "pwrite64", "writev", "fsync", "fdatasync", "fallocate", "flock",
	"mkdirat", "renameat", "renameat2", "symlinkat", "unlinkat", "mknodat", "utimensat",
}

// starting is for fork, exec and the end of programs, in the server and in the child
// before its exec (internal/program, package os). clone, ioctl and prlimit64 have
// conditions.
var starting = []string{
	"vfork", "fork", "execve", "execveat", "wait4", "waitid", "pidfd_open", "pidfd_send_signal",
	"kill", "tgkill", "setsid", "setpgid", "prctl", "pipe2", "chdir", "fcntl",
}

// insidePrograms is what programs do that only compute and use the files that they
// may: the C library's start, and the older forms of calls that Go makes in newer
// ones. They can make no sockets but pairs, and no call needs a capability.
var insidePrograms = []string{
	// The loader and the C library. A library is mapped with the right to execute.
	"mmap", "mprotect", "mremap", "brk", "arch_prctl", "set_tid_address", "get_robust_list", "rseq", "membarrier",
	"mincore", "mlock", "munlock", "msync", "tkill", "rt_sigpending", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigqueueinfo", "pause",
	// Who and where am I.
	"getuid", "geteuid", "getgid", "getegid", "getgroups", "getresuid", "getresgid", "getppid", "getpgid", "getpgrp",
	"getsid", "capget", "uname", "getcwd", "fchdir", "umask", "sysinfo", "times", "time", "getrlimit",
	"setrlimit", "getpriority", "sched_getparam", "sched_getscheduler", "sched_get_priority_max",
	"sched_get_priority_min", "getcpu", "clock_getres",
	// Files, by older names and by several pieces.
	"open", "creat", "access", "stat", "lstat", "readlink", "getdents", "statfs", "fstatfs", "getxattr", "lgetxattr",
	"fgetxattr", "listxattr", "llistxattr", "flistxattr", "readv", "writev", "preadv", "preadv2", "pwritev", "pwritev2",
	"pwrite64", "ftruncate", "truncate", "fadvise64", "readahead", "sendfile", "splice", "tee", "flock",
	"fsync", "fdatasync", "sync_file_range", "fallocate",
	"mkdir", "rmdir", "unlink", "unlinkat", "rename", "symlink", "mknod",
	"mkdirat", "renameat", "renameat2", "symlinkat", "mknodat", "utimensat", "utimes", "utime", "futimesat",
	// Descriptors, pipes, waiting, timers.
	"dup", "dup2", "pipe", "select", "pselect6", "epoll_create", "epoll_pwait2", "eventfd", "signalfd", "signalfd4", "alarm",
	"setitimer", "getitimer", "timer_create", "timer_settime", "timer_gettime", "timer_getoverrun", "timer_delete",
	"timerfd_create", "timerfd_settime", "timerfd_gettime", "inotify_init", "inotify_init1", "inotify_add_watch",
	"inotify_rm_watch", "socketpair",
	// Sandboxes of their own, inside this one.
	"seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
}

// opening is refused as Landlock refuses it, with EACCES, where nothing may be opened.
var opening = []string{"open", "openat", "openat2", "creat"}

// unreadable calls have their arguments in memory, where a filter cannot look. ENOSYS
// makes the C library take the older call.
var unreadable = []string{"clone3"}

// forCapability has the calls that are there for the sake of a capability.
var forCapability = map[int][]string{
	unix.CAP_CHOWN:  {"chown", "lchown", "fchown", "fchownat"},
	unix.CAP_FOWNER: {"chmod", "fchmod", "fchmodat", "fchmodat2"},
	unix.CAP_KILL:   {"kill", "tgkill", "tkill", "pidfd_open", "pidfd_send_signal"},
	unix.CAP_SETUID: {"setuid", "setreuid", "setresuid", "setfsuid"},
	unix.CAP_SETGID: {"setgid", "setregid", "setresgid", "setfsgid", "setgroups"},
}

// namespaces are the flags of clone(2) that make namespaces, in which a process
// has all capabilities. CLONE_NEWTIME is for clone3 and unshare only.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// fcntlCommands are those that concern nothing but the descriptor: no signals to
// others (F_SETOWN), no leases.
var fcntlCommands = []uint64{
	unix.F_DUPFD, unix.F_DUPFD_CLOEXEC, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL, unix.F_ADD_SEALS, unix.F_GET_SEALS,
}

// calls returns what may be called with any arguments, and what with some.
func (o *Options) calls() (plain []string, conditional []seccomp.NameWithConditions) {
	plain = slices.Concat(running, serving, o.SystemCalls)
	if len(o.Read)+len(o.Write) > 0 || o.programs() {
		plain = append(plain, reading...)
	}
	if len(o.Remove) > 0 {
		plain = append(plain, removing...)
	}
	if len(o.Write) > 0 {
		plain = append(plain, writing...)
	}
	for _, name := range o.Capabilities {
		plain = append(plain, forCapability[capabilityNumber(name)]...)
	}
	if o.programs() {
		return slices.Concat(plain, starting, insidePrograms), append(programConditions(), marking())
	}
	return plain, append(ownConditions(), marking())
}

// marking is for connections that were made before the listener had SO_PASSCRED
// (server/accept.go).
func marking() seccomp.NameWithConditions {
	return when("setsockopt", is(1, seccomp.Equal, unix.SOL_SOCKET), is(2, seccomp.Equal, unix.SO_PASSCRED))
}

// ownConditions are for a process that starts no other.
func ownConditions() []seccomp.NameWithConditions {
	const protection = 2 // the argument of mmap and mprotect
	conditions := []seccomp.NameWithConditions{
		// Threads of this process, no processes (CLONE_THREAD in clone(2)).
		when("clone", is(0, seccomp.BitsSet, unix.CLONE_THREAD), is(0, seccomp.BitsNotSet, namespaces)),
		// To threads of this process, not to others of the user.
		when("tgkill", is(0, seccomp.Equal, uint64(os.Getpid()))),
		// No new code.
		when("mmap", is(protection, seccomp.BitsNotSet, unix.PROT_EXEC)),
		when("mprotect", is(protection, seccomp.BitsNotSet, unix.PROT_EXEC)),
	}
	for _, command := range fcntlCommands {
		conditions = append(conditions, when("fcntl", is(1, seccomp.Equal, command)))
	}
	// How much a socket holds that was not received, or not read by its peer: what the server
	// counts as its user's (server/close.go, server/unread.go).
	for _, request := range []uint64{unix.SIOCINQ, unix.SIOCOUTQ} {
		conditions = append(conditions, when("ioctl", is(1, seccomp.Equal, request)))
	}
	return conditions
}

// programConditions are for a process that starts others.
func programConditions() []seccomp.NameWithConditions {
	return []seccomp.NameWithConditions{
		when("clone", is(0, seccomp.BitsNotSet, namespaces)),
		// Nothing is typed into a terminal that the server was started from. See
		// TIOCSTI(2const) and "Other" in TIOCLINUX(2const). To the kernel the request
		// has 32 bits, to a filter 64, of which the upper ones are 0, or the sign of the
		// lower ones where a C library takes the request for an int.
		when("ioctl", is(1, seccomp.BitsNotSet, math.MaxUint32<<32), is(1, seccomp.NotEqual, unix.TIOCSTI), is(1, seccomp.NotEqual, unix.TIOCLINUX)),
		when("ioctl", is(1, seccomp.BitsSet, 1<<31)),
		// Of this process, not of others of the user: a limit can end them.
		when("prlimit64", is(0, seccomp.Equal, 0)),
	}
}

// when lets a call pass if all conditions hold. Several for one call are alternatives.
func when(name string, conditions ...seccomp.Condition) seccomp.NameWithConditions {
	return seccomp.NameWithConditions{Name: name, Conditions: conditions}
}

// is compares an argument, counted from 0.
func is(argument uint32, operation seccomp.Operation, value uint64) seccomp.Condition {
	return seccomp.Condition{Argument: argument, Operation: operation, Value: value}
}
