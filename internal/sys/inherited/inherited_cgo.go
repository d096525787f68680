//go:build cgo

package inherited

// extern unsigned int credrpc_closed;
// extern void credrpc_restore_signals(void);
import "C"

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// RestoreSignals puts back the mask and what signals do. From then on a signal does to
// this process what it will do to the program: the runtime keeps only the handlers of
// faults. It locks the calling goroutine to its thread, whose mask it is; that
// goroutine must make the execve.
func RestoreSignals() {
	runtime.LockOSThread()
	C.credrpc_restore_signals()
}

// CloseAgain closes those of descriptors 0, 1 and 2 that were closed. Whatever is
// opened after that may get one of these numbers.
func CloseAgain() {
	for fd := range 3 {
		if C.credrpc_closed&(1<<fd) != 0 {
			_ = unix.Close(fd) // /dev/null: nothing to lose
		}
	}
}
