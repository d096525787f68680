//go:build linux

package sys

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDeadChild learns of an end without reaping.
func TestDeadChild(t *testing.T) {
	if pid, errno := DeadChild(); errno != unix.ECHILD {
		t.Fatalf("without a child: %d, %v", pid, errno)
	}
	child := exec.Command("/bin/sh", "-c", "exit 7")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if pid, errno := DeadChild(); pid != child.Process.Pid || errno != 0 {
			t.Errorf("got %d, %v, want %d", pid, errno, child.Process.Pid)
		}
	}
	if child.Wait(); child.ProcessState.ExitCode() != 7 {
		t.Errorf("the child was reaped: %v", child.ProcessState)
	}
}

// TestAcceptBlocking accepts callers with every kind of address.
func TestAcceptBlocking(t *testing.T) {
	dir, err := os.MkdirTemp("", "sys") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	listener, errno := Stream()
	if errno != 0 {
		t.Fatal(errno)
	}
	defer unix.Close(listener)
	if err := unix.Bind(listener, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(listener, 10); err != nil {
		t.Fatal(err)
	}
	var from Address
	if _, errno := AcceptBlocking(listener, &from); errno != unix.EAGAIN {
		t.Errorf("nobody connected: %v", errno)
	}
	full := filepath.Join(dir, strings.Repeat("x", 108-len(dir)-1)) // as long as sun_path
	for name, want := range map[string]string{
		"": "", "@abstract-credrpc-test": "", filepath.Join(dir, "a\nb\xff"): filepath.Join(dir, "a\nb\xff"), full[:107]: full[:107],
	} {
		caller, errno := Stream()
		if errno != 0 {
			t.Fatal(errno)
		}
		defer unix.Close(caller)
		if name != "" {
			if err := unix.Bind(caller, &unix.SockaddrUnix{Name: name}); err != nil {
				t.Fatal(err)
			}
		}
		if err := unix.Connect(caller, &unix.SockaddrUnix{Name: path}); err != nil {
			t.Fatal(err)
		}
		fd, errno := AcceptBlocking(listener, &from)
		if errno != 0 {
			t.Fatal(errno)
		}
		if got := from.Path(); got != want {
			t.Errorf("caller at %q: got %q", name, got)
		}
		flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		onExec, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if flags&unix.O_NONBLOCK != 0 || onExec&unix.FD_CLOEXEC == 0 {
			t.Errorf("status flags %#x, descriptor flags %#x", flags, onExec)
		}
		unix.Close(fd)
	}
	for i := range from.raw.Path {
		from.raw.Path[i] = 'y'
	}
	from.size = unix.SizeofSockaddrUnix
	if got := from.Path(); got != strings.Repeat("y", 108) {
		t.Errorf("without terminator: %q", got)
	}
}
