//go:build linux

package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"credrpc/client"
	"credrpc/frame"

	"golang.org/x/sys/unix"
)

func TestRemoteErrorIsNotATransportError(t *testing.T) {
	c := serve(t, socketPath(t), answer("\x00\x00\x00\x06denied"))
	_, err := c.Call(t.Context(), nil)
	var remote *client.RemoteError
	if !errors.As(err, &remote) || remote.Text != "denied" {
		t.Fatalf("got %v", err)
	}
	var transport *client.Error
	if errors.As(err, &transport) || errors.Is(err, client.ErrProtocol) || errors.Is(err, client.ErrUnreachable) {
		t.Errorf("%v counts as a transport error", err)
	}
	if err.Error() != "remote error: denied" {
		t.Errorf("text %q", err.Error())
	}
}

func TestBrokenResponses(t *testing.T) {
	rows := []struct {
		name     string
		response string
		tooLarge uint64 // 0: truncated
	}{
		{"nothing", "", 0},
		{"half a header", "\x00\x00", 0},
		{"an empty error frame and no payload frame", "\x00\x00\x00\x00", 0},
		{"an empty error frame and half a header", "\x00\x00\x00\x00\x00\x00", 0},
		{"half a payload", "\x00\x00\x00\x00\x00\x00\x00\x04ab", 0},
		{"half an error text", "\x00\x00\x00\x04ab", 0},
		{"a payload of one byte too many", "\x00\x00\x00\x00\x00\x00\x00\x11", 17},
		{"an error text of one byte too many", "\x00\x00\x00\x11", 17},
		{"a payload of 4 GiB", "\x00\x00\x00\x00\xff\xff\xff\xff", 1<<32 - 1},
		{"text that is no frame", "oops", 0x6f6f7073},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := serve(t, socketPath(t), answer(row.response))
			c.MaxResponse = 16
			got, err := c.Call(t.Context(), []byte("request"))
			wantOp(t, err, client.OpReceive)
			if got != nil || !errors.Is(err, client.ErrProtocol) || errors.Is(err, client.ErrUnreachable) {
				t.Errorf("got %q, %v", got, err)
			}
			var tooLarge *frame.TooLargeError
			if row.tooLarge == 0 && !errors.Is(err, frame.ErrTruncated) {
				t.Errorf("got %v, want truncated", err)
			}
			if row.tooLarge != 0 && (!errors.As(err, &tooLarge) || tooLarge.Length != row.tooLarge || tooLarge.Limit != 16) {
				t.Errorf("got %v, want too large", err)
			}
		})
	}
}

func TestAnswerLimits(t *testing.T) {
	rows := []struct {
		name  string
		limit uint32
		size  int
		ok    bool
	}{
		{"the default admits 1 MiB", 0, client.DefaultMaxResponse, true},
		{"the default refuses one byte more", 0, client.DefaultMaxResponse + 1, false},
		{"a limit admits what it says", 10, 10, true},
		{"a limit refuses one byte more", 10, 11, false},
	}
	c := serve(t, socketPath(t), echo)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c.MaxResponse = row.limit
			got, err := c.Call(t.Context(), noise(row.size))
			var tooLarge *frame.TooLargeError
			if row.ok && (err != nil || len(got) != row.size) || !row.ok && !errors.As(err, &tooLarge) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

// A server that resets the connection has not answered.
func TestReset(t *testing.T) {
	c := serve(t, socketPath(t), func(conn *net.UnixConn, _ <-chan struct{}) {
		io.ReadFull(conn, make([]byte, 4)) // closing with the rest unread resets
	})
	_, err := c.Call(t.Context(), []byte("request"))
	if !errors.Is(err, client.ErrProtocol) || !errors.Is(err, frame.ErrTruncated) {
		t.Fatalf("got %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	path := socketPath(t)
	stale, err := listenRaw(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(stale)
	file := path + "-file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name string
		path string
		want error
	}{
		{"no such socket", path + "-absent", unix.ENOENT},
		{"no such socket, as package fs says it", path + "-absent", fs.ErrNotExist},
		{"no such directory", filepath.Join(path+"-absent", "s"), fs.ErrNotExist},
		{"nobody listens", path, unix.ECONNREFUSED},
		{"a regular file", file, unix.ECONNREFUSED},
		{"an abstract name that nobody has", fmt.Sprintf("@credrpc-absent-%d", os.Getpid()), unix.ECONNREFUSED},
		{"no path", "", unix.EINVAL},
		{"a path that is too long", "/" + strings.Repeat("x", 107), unix.EINVAL},
		{"a path with a NUL byte", "/tmp/\x00", unix.EINVAL},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := client.Client{Path: row.path}
			_, err := c.Call(t.Context(), nil)
			wantOp(t, err, client.OpConnect)
			if !errors.Is(err, client.ErrUnreachable) || !errors.Is(err, row.want) || errors.Is(err, client.ErrProtocol) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestForbiddenSocket(t *testing.T) {
	path := socketPath(t)
	c := serve(t, path, echo)
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		// Without file system privileges, on this thread only. See setfsuid(2).
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := unix.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer unix.Setfsuid(0)
	}
	_, err := c.Call(t.Context(), nil)
	if !errors.Is(err, client.ErrUnreachable) || !errors.Is(err, fs.ErrPermission) || !errors.Is(err, unix.EACCES) {
		t.Errorf("got %v", err)
	}
}

func TestRequestOverTheFrameLimit(t *testing.T) {
	c := client.Client{Path: "/nonexistent"}
	_, err := c.Call(t.Context(), make([]byte, frame.MaxPayload+1))
	wantOp(t, err, client.OpSend)
	var tooLarge *frame.TooLargeError
	if !errors.As(err, &tooLarge) || errors.Is(err, client.ErrProtocol) || errors.Is(err, client.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

// A server answers before it has read a large request. Whatever it does then,
// the call ends with that answer.
func TestEarlyAnswer(t *testing.T) {
	const early = "\x00\x00\x00\x09too large"
	rows := []struct {
		name string
		run  script
	}{
		{"and closes with the request unread", func(conn *net.UnixConn, _ <-chan struct{}) {
			io.WriteString(conn, early)
		}},
		{"when it has read the header, and closes", func(conn *net.UnixConn, _ <-chan struct{}) {
			io.ReadFull(conn, make([]byte, 4))
			io.WriteString(conn, early)
		}},
		{"and neither reads nor closes", func(conn *net.UnixConn, stop <-chan struct{}) {
			io.WriteString(conn, early)
			<-stop
		}},
		{"once the request fills the socket, and neither reads nor closes", func(conn *net.UnixConn, stop <-chan struct{}) {
			full(conn)
			io.WriteString(conn, early)
			<-stop
		}},
		{"once the request fills the socket, and closes", func(conn *net.UnixConn, stop <-chan struct{}) {
			full(conn)
			io.WriteString(conn, early)
		}},
		{"byte by byte", func(conn *net.UnixConn, stop <-chan struct{}) {
			for i := range early {
				io.WriteString(conn, early[i:i+1])
				drained(conn)
			}
			<-stop
		}},
		{"after it has shut down its reading side", func(conn *net.UnixConn, stop <-chan struct{}) {
			conn.CloseRead()
			io.WriteString(conn, early)
			<-stop
		}},
		{"shuts down its writing side, and reads on", func(conn *net.UnixConn, stop <-chan struct{}) {
			io.WriteString(conn, early)
			conn.CloseWrite()
			io.Copy(io.Discard, conn)
		}},
	}
	payload := make([]byte, 16<<20)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := serve(t, socketPath(t), row.run)
			for range 20 {
				within(t, func() {
					_, err := c.Call(context.Background(), payload)
					var remote *client.RemoteError
					if !errors.As(err, &remote) || remote.Text != "too large" {
						t.Errorf("got %v", err)
					}
				})
			}
		})
	}
}

// A server that gives up on a large request without an answer has broken the
// protocol.
func TestEarlyClose(t *testing.T) {
	c := serve(t, socketPath(t), func(conn *net.UnixConn, _ <-chan struct{}) { full(conn) })
	within(t, func() {
		_, err := c.Call(context.Background(), make([]byte, 16<<20))
		if !errors.Is(err, client.ErrProtocol) || !errors.Is(err, frame.ErrTruncated) {
			t.Errorf("got %v", err)
		}
	})
}

// full waits until the peer of conn cannot send another byte: until what is to
// be received has not changed while the peer had every chance to send.
func full(conn *net.UnixConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		for last, same := -1, 0; same < 100; runtime.Gosched() {
			n, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
			if err != nil {
				return
			}
			if same++; n != last || n < 64<<10 {
				last, same = n, 0
			}
		}
	})
}
