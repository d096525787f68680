package load

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listenSmall returns a listener at path with a backlog of 1.
func listenSmall(t *testing.T, path string) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 1); err != nil {
		t.Fatal(err)
	}
	return fd
}

// acceptSmall is listenSmall for a server that uses package net.
func acceptSmall(t *testing.T, path string) net.Listener {
	t.Helper()
	fd, err := unix.Dup(listenSmall(t, path))
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// TestHold has a server that ends all connections but one, once all are open.
func TestHold(t *testing.T) {
	const n = 20
	path := filepath.Join(t.TempDir(), "s")
	l := acceptSmall(t, path) // so that a full backlog is met on the way
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	opened, returned := make(chan struct{}), make(chan struct{})
	go func() {
		var conns []net.Conn
		for range n {
			conn, err := l.Accept()
			if err != nil {
				t.Error(err)
				cancel()
				return
			}
			defer conn.Close()
			conns = append(conns, conn)
		}
		<-opened
		for i, conn := range conns[1:] {
			if i%2 == 0 {
				conn.Write([]byte("\x00\x00\x00\x04late")) // what is said first is no end
			}
			conn.Close()
		}
		// Hold must wait for the last one, until its context ends.
		time.Sleep(10 * time.Millisecond)
		cancel()
		<-returned
	}()
	held, err := Hold(ctx, path, n, func() { close(opened) })
	close(returned)
	if err != nil {
		t.Fatal(err)
	}
	if held.Opened != n || held.Ended > n-1 || held.LastEnd < held.FirstEnd {
		t.Errorf("%+v", held)
	}
}

// TestHoldUntilAllEnd returns by itself.
func TestHoldUntilAllEnd(t *testing.T) {
	const n = 5
	path := filepath.Join(t.TempDir(), "s")
	l := acceptSmall(t, path)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	held, err := Hold(ctx, path, n, func() {})
	if err != nil || ctx.Err() != nil || held.Opened != n || held.Ended != n {
		t.Errorf("%+v, %v, %v", held, err, ctx.Err())
	}
}

func TestHoldNobodyListens(t *testing.T) {
	held, err := Hold(t.Context(), filepath.Join(t.TempDir(), "s"), 3, func() { t.Error("opened") })
	if err == nil || held.Opened != 0 {
		t.Errorf("%+v, %v", held, err)
	}
}
