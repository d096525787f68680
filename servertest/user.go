package servertest

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"

	"credrpc/internal/sys"
	"credrpc/server"

	"golang.org/x/sys/unix"
)

// RootVariable is the environment variable that makes [NeedRoot] fail instead of skip,
// if it is "required". Set it where the tests run as root on purpose, so that none of
// them can be lost unnoticed.
const RootVariable = "SERVERTEST_ROOT"

var (
	// ErrNotRoot reports that a process that is not root tried to be somebody else.
	ErrNotRoot = errors.New("servertest: only root can act as another user")

	// ErrInvalidUser reports a [User] with an id that no process has.
	ErrInvalidUser = errors.New("servertest: 4294967295 is nobody's id")

	// ErrExited reports a function of [As] that has called [runtime.Goexit], which
	// FailNow and Skip of a test do: they are for the test's own goroutine.
	ErrExited = errors.New("servertest: the function has ended its goroutine")
)

// NeedRoot skips the test unless the test process is root, or fails it if
// [RootVariable] says that it must not be skipped.
func NeedRoot(tb testing.TB) {
	tb.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv(RootVariable) == "required":
		tb.Fatal("needs root to act as other users, and " + RootVariable + "=required says that it must run")
	default:
		tb.Skip("needs root to act as other users")
	}
}

// A User is who acts: a user and a group, with no other groups. The zero value is root.
// It need not exist in the user database.
type User struct{ UID, GID uint32 }

// Self returns the user that the test process runs as.
func Self() User {
	return User{uint32(os.Geteuid()), uint32(os.Getegid())}
}

// String returns "uid 1 gid 2".
func (u User) String() string { return fmt.Sprintf("uid %d gid %d", u.UID, u.GID) }

// As runs f as u and returns its error. For [Self] it just calls f. Otherwise it needs
// root, and calls f on another goroutine, whose thread becomes u for good, real,
// effective and saved ids all, without other groups and capabilities, and ends with f.
// The other threads stay what they are.
//
// So what f does itself is done as u: connecting, writing, opening files, starting a
// process. What it leaves to other goroutines is not, such as the rest of a large
// request that client.Client.Call sends; [Server.Call] has no such part. The process id
// is that of the test; for another one see [Conn.WriteFromChild]. From the first use on
// the process is not dumpable (PR_SET_DUMPABLE(2const)), and processes of u can send
// signals to the thread (kill(2)).
//
// Returns [ErrNotRoot], [ErrInvalidUser], [ErrExited], an error of the system, or that
// of f.
func As(u User, f func() error) error {
	if u == Self() {
		return f()
	}
	if err := u.check(); err != nil {
		return err
	}
	err := ErrExited
	onThread(func() {
		if errno := sys.Become(u.UID, u.GID); errno != 0 {
			err = fmt.Errorf("servertest: becoming %v: %w", u, errno)
			return
		}
		err = f()
	})
	return err
}

// onThread calls f on a thread that ends with it: not on the main one, which never
// ends, and by whose user the whole process would be known from then on.
func onThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // unless it is unlocked the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			onThread(f) // another one, while this goroutine has the main thread
			runtime.UnlockOSThread()
			return
		}
		f()
	}()
	<-done
}

// check returns an error if this process cannot become u.
func (u User) check() error {
	if u.UID == server.NoID || u.GID == server.NoID {
		return ErrInvalidUser
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: this is %v, not %v", ErrNotRoot, Self(), u)
	}
	return nil
}
