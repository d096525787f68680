//go:build linux

package client_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"credrpc/client"
	"credrpc/frame"
	"credrpc/internal/sys"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// echoVariable names the environment variable that makes the test program an
// echo server on the path it holds, until standard input ends.
const echoVariable = "CREDRPC_CLIENT_TEST_ECHO"

func TestMain(m *testing.M) {
	if path := os.Getenv(echoVariable); path != "" {
		stop := startEcho(path)
		fmt.Println("ready")
		io.Copy(io.Discard, os.Stdin)
		stop()
		return
	}
	goleak.VerifyTestMain(m)
}

// socketPath returns a path for a socket, shorter than one in t.TempDir may be.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "credrpc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// A script is what a server does with one connection, which is closed after it.
// Scripts that do nothing more wait for stop.
type script func(conn *net.UnixConn, stop <-chan struct{})

// serve runs a server with the script until the end of the test.
func serve(t testing.TB, path string, run script) *client.Client {
	t.Helper()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var scripts sync.WaitGroup
	scripts.Go(func() {
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			scripts.Go(func() {
				defer conn.Close()
				run(conn, stop)
			})
		}
	})
	t.Cleanup(func() {
		close(stop)
		listener.Close()
		scripts.Wait()
	})
	return &client.Client{Path: path, MaxResponse: frame.MaxPayload}
}

// readRequest reads a whole request.
func readRequest(conn net.Conn) ([]byte, error) {
	var header [frame.HeaderSize]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return nil, err
	}
	payload := make([]byte, binary.BigEndian.Uint32(header[:]))
	_, err := io.ReadFull(conn, payload)
	return payload, err
}

// echo answers with the request.
func echo(conn *net.UnixConn, _ <-chan struct{}) {
	payload, err := readRequest(conn)
	if err != nil {
		return
	}
	response, _ := frame.AppendResponse(nil, payload)
	conn.Write(response)
}

// answer returns a script that reads the request and writes bytes.
func answer(bytes string) script {
	return func(conn *net.UnixConn, _ <-chan struct{}) {
		readRequest(conn)
		io.WriteString(conn, bytes)
	}
}

// drained waits until the peer has received everything that was written to conn,
// or has closed.
func drained(conn *net.UnixConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		for {
			// See unix(7), SIOCOUTQ, which is TIOCOUTQ.
			n, err := unix.IoctlGetInt(int(fd), unix.TIOCOUTQ)
			if n == 0 || err != nil {
				return
			}
			time.Sleep(10 * time.Microsecond)
		}
	})
}

// within fails the test if f does not end in time. The time is long enough for
// any machine; it only keeps a hang from lasting.
func within(t testing.TB, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("no end after a minute")
	}
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// descriptors counts the open descriptors of this process.
func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// wantOp fails the test unless err is an Error of the step op, and not one of the
// server as well.
func wantOp(t testing.TB, err error, op client.Op) {
	t.Helper()
	var failure *client.Error
	if !errors.As(err, &failure) || failure.Op != op {
		t.Fatalf("got %v, want an error of step %q", err, op)
	}
	var remote *client.RemoteError
	if errors.As(err, &remote) {
		t.Fatalf("%v counts as a remote error", err)
	}
}

// startEcho runs a server that allocates nothing for a call, so that it can
// share a process with a client whose allocations are counted. It answers
// requests that arrive in one piece of at most 32 KiB, one after the other.
func startEcho(path string) (stop func()) {
	fd, err := listenRaw(path, 1024)
	if err != nil {
		panic(err)
	}
	var ended atomic.Bool
	var server sync.WaitGroup
	server.Go(func() {
		defer unix.Close(fd)
		buffer := make([]byte, 32<<10)
		empty := make([]byte, frame.HeaderSize)
		for !ended.Load() {
			conn, errno := sys.Accept(fd)
			if errno != 0 {
				sys.Poll(fd, unix.POLLIN, 20)
				continue
			}
			n, errno := sys.Recv(conn, buffer, sys.Raw)
			for errno == unix.EAGAIN {
				sys.Poll(conn, unix.POLLIN, 1000)
				n, errno = sys.Recv(conn, buffer, sys.Raw)
			}
			sys.Send(conn, empty, buffer[:n])
			sys.Close(conn, sys.Raw)
		}
	})
	return func() {
		ended.Store(true)
		server.Wait()
	}
}

// listenRaw returns a non-blocking listener whose backlog holds one connection
// more than backlog.
func listenRaw(path string, backlog int) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err = unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
