package server

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Closing a TCP socket that lingers (socket(7), SO_LINGER) takes until its peer
// has read what was sent. Whoever passes the last descriptor of one to a server
// makes the server's thread wait that long, when the kernel drops it there. The
// callers here wait far longer than any test, and their peers read only when
// the test is over.

// A freezer makes descriptors whose last close takes as long as the test.
type freezer struct {
	t      testing.TB
	l      net.Listener
	peers  []net.Conn
	closes sync.WaitGroup
}

func newFreezer(t testing.TB) *freezer {
	t.Helper()
	small := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		// What the peers do not read must not fit into their buffers.
		return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
	}}
	l, err := small.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &freezer{t: t, l: l}
	t.Cleanup(f.thaw)
	return f
}

// thaw lets every close return.
func (f *freezer) thaw() {
	f.l.Close()
	for _, peer := range f.peers {
		peer.(*net.TCPConn).SetLinger(0) // reset
		peer.Close()
	}
	f.peers = nil
	f.closes.Wait()
}

// descriptor returns a descriptor, which the caller owns.
func (f *freezer) descriptor() int {
	f.t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: f.l.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}})
	if err != nil {
		f.t.Fatal(err)
	}
	peer, err := f.l.Accept()
	if err != nil {
		f.t.Fatal(err)
	}
	f.peers = append(f.peers, peer)
	unix.SetNonblock(fd, true)
	for fill := make([]byte, 64<<10); ; {
		if _, err := unix.Write(fd, fill); err == unix.EAGAIN {
			break
		} else if err != nil {
			f.t.Fatal(err)
		}
	}
	unix.SetNonblock(fd, false)
	err = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 600})
	if err != nil {
		f.t.Fatal(err)
	}
	return fd
}

// pass sends b with a descriptor, and closes its own at once. Whoever closes
// last waits: the server, unless it was quicker.
func (f *freezer) pass(c *net.UnixConn, b []byte) error {
	f.t.Helper()
	fd := f.descriptor()
	_, _, err := c.WriteMsgUnix(b, unix.UnixRights(fd), nil)
	if err != nil {
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{})
	}
	f.closes.Go(func() { unix.Close(fd) })
	return err
}

// TestFreezeIsRefusedBySocket attacks a listener of the server's own.
func TestFreezeIsRefusedBySocket(t *testing.T) {
	srv := &Server{Handler: echo}
	path := start(t, srv)
	c := dial(t, path)
	if _, err := unix.GetsockoptInt(running(srv).ln.fd, unix.SOL_SOCKET, unix.SO_PASSRIGHTS); err == unix.ENOPROTOOPT {
		t.Skip("Linux before 6.16")
	}
	if err := newFreezer(t).pass(c, request([]byte("x"))); !errors.Is(err, unix.EPERM) {
		t.Errorf("got %v, want %v", err, unix.EPERM)
	}
	if answer, err := call(t, path, []byte("y")); string(answer) != "y" {
		t.Errorf("%q, %v", answer, err)
	}
}

// TestFreeze attacks a server from connections that were in the backlog of an
// inherited listener and can pass descriptors for that reason; before Linux 6.16
// every connection can. Honest calls must go on, and so must deadlines.
func TestFreeze(t *testing.T) {
	const attackers = 8
	big := make([]byte, 1<<20)
	slow := HandlerFunc(func(ctx context.Context, dst []byte, call *Call) ([]byte, error) {
		switch string(call.Payload) {
		case "wait":
			<-ctx.Done()
		case "big":
			return append(dst, big...), nil
		}
		return append(dst, call.Payload...), nil
	})
	rows := []struct {
		name   string
		srv    *Server
		before func(f *freezer, c *net.UnixConn) error // the server starts
		after  func(f *freezer, c *net.UnixConn) error // it has started
	}{
		{
			name:   "with the first piece",
			srv:    &Server{},
			before: func(f *freezer, c *net.UnixConn) error { return f.pass(c, request([]byte("x"))) },
		},
		{
			name: "with a later piece",
			srv:  &Server{},
			before: func(_ *freezer, c *net.UnixConn) error {
				_, err := c.Write(request([]byte("x"))[:2])
				return err
			},
			after: func(f *freezer, c *net.UnixConn) error { return f.pass(c, request([]byte("x"))[2:]) },
		},
		{
			name: "behind the request",
			srv:  &Server{},
			before: func(f *freezer, c *net.UnixConn) error {
				_, err := c.Write(request([]byte("x")))
				return errors.Join(err, f.pass(c, []byte("behind")))
			},
		},
		{
			name: "after having been refused",
			srv:  &Server{MaxRequest: 1},
			before: func(_ *freezer, c *net.UnixConn) error {
				_, err := c.Write(request([]byte("too large")))
				return err
			},
			after: func(f *freezer, c *net.UnixConn) error {
				if _, err := response(c); err == nil {
					return errors.New("was not refused")
				}
				return f.pass(c, []byte("and on"))
			},
		},
		{
			name:   "by callers over a limit",
			srv:    &Server{MaxCalls: 1},
			before: func(f *freezer, c *net.UnixConn) error { return f.pass(c, request([]byte("x"))) },
		},
		{
			name: "before a timeout of the request",
			srv:  &Server{CallTimeout: 300 * time.Millisecond, RequestTimeout: 300 * time.Millisecond},
			before: func(_ *freezer, c *net.UnixConn) error {
				_, err := c.Write([]byte{0})
				return err
			},
			after: func(f *freezer, c *net.UnixConn) error { return f.pass(c, []byte{0}) },
		},
		{
			name: "before a timeout of the handler",
			srv:  &Server{CallTimeout: 300 * time.Millisecond, RequestTimeout: 300 * time.Millisecond},
			before: func(_ *freezer, c *net.UnixConn) error {
				_, err := c.Write(request([]byte("wait")))
				return err
			},
			after: func(f *freezer, c *net.UnixConn) error { return f.pass(c, []byte("behind")) },
		},
		{
			name: "before a timeout of the answer",
			srv:  &Server{CallTimeout: 300 * time.Millisecond, RequestTimeout: 300 * time.Millisecond},
			before: func(_ *freezer, c *net.UnixConn) error {
				_, err := c.Write(request([]byte("big")))
				return err
			},
			after: func(f *freezer, c *net.UnixConn) error { return f.pass(c, []byte("behind")) },
		},
		{
			name: "behind a request whose answer is read late",
			srv:  &Server{},
			before: func(_ *freezer, c *net.UnixConn) error {
				_, err := c.Write(request([]byte("big")))
				return err
			},
			after: func(f *freezer, c *net.UnixConn) error {
				if err := f.pass(c, []byte("behind")); err != nil {
					return err
				}
				response(c) // reset, since what was behind it is unread
				return nil
			},
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			path := socketPath(t)
			l := listenUnix(t, path, true)
			srv := row.srv
			srv.Handler = slow
			f := newFreezer(t)
			conns := make([]*net.UnixConn, attackers)
			for i := range conns {
				conns[i] = dial(t, path)
				if err := row.before(f, conns[i]); err != nil {
					t.Fatal(err)
				}
			}
			serveOn(t, srv, l)
			t.Cleanup(func() { // before the server is stopped
				f.thaw()
				for _, c := range conns {
					c.Close()
				}
			})
			for _, c := range conns {
				if row.after == nil {
					break
				}
				// A server that waits for one attacker leaves the next unread.
				c.SetDeadline(time.Now().Add(time.Second))
				if err := row.after(f, c); err != nil && !errors.Is(err, unix.EPIPE) && !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("attacker: %v", err)
				}
			}
			if srv.CallTimeout > 0 {
				time.Sleep(600 * time.Millisecond) // the attackers' deadlines pass
			}

			// Honest callers and the deadlines of others, each within a small
			// part of the time for which the attackers' descriptors linger.
			honest := dial(t, path)
			honest.SetDeadline(time.Now().Add(5 * time.Second))
			honest.Write(request([]byte("h")))
			answer, err := response(honest)
			switch {
			case srv.MaxCalls == 1:
				if err == nil || err.Error() != RefusedOverloadUID.text() && string(answer) != "h" {
					t.Errorf("honest call: %q, %v", answer, err)
				}
			case string(answer) != "h":
				t.Errorf("honest call: %q, %v", answer, err)
			}
			if srv.CallTimeout == 0 {
				return
			}
			for what, b := range map[string][]byte{"call": request([]byte("wait")), "half a request": {0}} {
				c := dial(t, path)
				c.SetDeadline(time.Now().Add(5 * time.Second))
				c.Write(b)
				var told remoteError
				if _, err := response(c); !errors.As(err, &told) {
					t.Errorf("the deadline of another %s: %v", what, err)
				}
			}
		})
	}
}
