// Package inherited gives back to a program what a Go process found when it began and
// Go's runtime has changed since, for a process that becomes the program by
// execve(2). See signal(7) for what an execve passes on: the signal mask, and which
// signals are ignored.
//
// At its start the runtime installs handlers, also for signals that were ignored; an
// execve makes those default. It unblocks the signals of faults, those that commonly
// end a process, and a few that it uses. It opens /dev/null for descriptors 0, 1 and 2
// that were closed. (It also raises the soft limit on descriptors, and syscall.Exec
// puts that back.)
//
// # With cgo
//
// A constructor in C runs before the runtime and notes the mask, the ignored signals
// and the closed descriptors. [RestoreSignals] and [CloseAgain] restore them exactly.
//
// # Without cgo
//
// Nobody has seen what the runtime changed, so nothing can be restored. Blocked remain
// all signals but SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE,
// SIGSEGV, SIGTERM, SIGSTKFLT, SIGCHLD, SIGURG, SIGPROF, SIGSYS and 32 to 34. Ignored
// remain only SIGHUP, SIGINT, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, 32 and 34.
// Descriptors 0 to 2 that were closed are /dev/null. (Seen with Go 1.26 on amd64; the
// tests of cmd/credrpc-access hold it.)
package inherited
