//go:build linux

package sys

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair returns two ends of a connection.
func pair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(fds[0])
		unix.Close(fds[1])
	})
	return fds[0], fds[1]
}

// TestWaiting sends more than a socket holds, so that both sides have to wait.
func TestWaiting(t *testing.T) {
	a, b := pair(t)
	sent := bytes.Repeat([]byte("0123456"), 1<<20)
	done := make(chan unix.Errno)
	go func() {
		n, errno := WaitingSend(a, sent)
		if n != len(sent) && errno == 0 {
			errno = unix.EIO
		}
		ShutdownWrite(a)
		done <- errno
	}()
	var got []byte
	buf := make([]byte, 100_000)
	for {
		n, errno := WaitingReceive(b, buf)
		if errno != 0 {
			t.Fatal(errno)
		}
		if n == 0 {
			break
		}
		got = append(got, buf[:n]...)
	}
	if errno := <-done; errno != 0 {
		t.Error(errno)
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("%d bytes arrived of %d", len(got), len(sent))
	}
}

// TestWaitingPeerGone has an error, not a signal.
func TestWaitingPeerGone(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	unix.Close(fds[1])
	if n, errno := WaitingSend(fds[0], []byte("x")); n != 0 || errno != unix.EPIPE {
		t.Errorf("sent %d, %v", n, errno)
	}
	if n, errno := WaitingReceive(fds[0], make([]byte, 1)); n != 0 || errno != 0 {
		t.Errorf("received %d, %v", n, errno)
	}
	if _, errno := WaitingReceive(-1, make([]byte, 1)); errno != unix.EBADF {
		t.Errorf("no descriptor: %v", errno)
	}
	if n, errno := WaitingSend(-1, []byte("x")); n != 0 || errno != unix.EBADF {
		t.Errorf("no descriptor: %d, %v", n, errno)
	}
}

func TestWaitingAllocatesNothing(t *testing.T) {
	a, b := pair(t)
	p := make([]byte, 64)
	got := testing.AllocsPerRun(100, func() {
		WaitingSend(a, p)
		WaitingReceive(b, p)
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestSleepUntil(t *testing.T) {
	before := time.Now()
	deadline := Monotonic() + int64(20*time.Millisecond)
	for Monotonic() < deadline { // a signal of the runtime may end it early
		SleepUntil(deadline)
	}
	if d := time.Since(before); d < 20*time.Millisecond {
		t.Errorf("it slept for %v", d)
	}
	SleepUntil(deadline) // which is over
}

// TestWaitingConnect connects to a full backlog, in vain, and then to one with room,
// and is not blocking afterwards.
func TestWaitingConnect(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	address, _ := MakeAddress(path)
	listener, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(listener)
	if err := errors.Join(unix.Bind(listener, &unix.SockaddrUnix{Name: path}), unix.Listen(listener, 0)); err != nil {
		t.Fatal(err)
	}
	stream := func() int {
		fd, errno := Stream()
		if errno != 0 {
			t.Fatal(errno)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	if errno := WaitingConnect(stream(), &address); errno != 0 { // a backlog of 0 holds 1. See listen(2)
		t.Fatal(errno)
	}
	fd := stream()
	if errno := WaitingConnect(fd, &address); errno != unix.EAGAIN {
		t.Errorf("a full backlog: %v", errno)
	}
	accepted, _, err := unix.Accept(listener)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(accepted)
	if errno := WaitingConnect(fd, &address); errno != 0 {
		t.Errorf("there is room: %v", errno)
	}
	if _, err := unix.Read(fd, make([]byte, 1)); err != unix.EAGAIN {
		t.Errorf("it is blocking: %v", err)
	}
	if errno := WaitingConnect(-1, &address); errno != unix.EBADF {
		t.Errorf("no descriptor: %v", errno)
	}
}

// TestActAs changes the user of one thread, and back, and to another.
func TestActAs(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatal("acting as another user needs root")
		}
		t.Skip("acting as another user needs root")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // it ends with the goroutine
		for _, uid := range []uint32{20_000, 0, 20_001, 0} {
			if errno := ActAs(uid); errno != 0 {
				t.Errorf("%d: %v", uid, errno)
			}
			if r, e, _ := unix.Getresuid(); r != int(uid) || e != int(uid) {
				t.Errorf("real %d and effective %d, want %d", r, e, uid)
			}
		}
		ActAs(20_000)
		if errno := ActAs(20_001); errno != unix.EPERM {
			t.Errorf("from one to another without capabilities: %v", errno)
		}
	}()
	<-done
	if r, e, s := unix.Getresuid(); r != 0 || e != 0 || s != 0 {
		t.Errorf("the others act as %d, %d, %d", r, e, s)
	}
}
