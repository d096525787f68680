//go:build linux

package client_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"credrpc/client"
	"credrpc/frame"
	"credrpc/internal/sys"
)

// No way that a call can fail leaves a descriptor open.
func TestFailuresLeakNoDescriptors(t *testing.T) {
	expired := func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.Background(), time.Millisecond)
	}
	background := func() (context.Context, context.CancelFunc) {
		return context.WithCancel(context.Background())
	}
	full := socketPath(t)
	fillBacklog(t, full)
	rows := []struct {
		name    string
		client  *client.Client
		context func() (context.Context, context.CancelFunc)
		payload int
		want    func(error) bool
	}{
		{"absent", &client.Client{Path: "/nonexistent"}, background, 0, is(client.ErrUnreachable)},
		{"full backlog", &client.Client{Path: full}, expired, 0, is(context.DeadlineExceeded)},
		{"remote error", serve(t, socketPath(t), answer("\x00\x00\x00\x01x")), background, 0, isRemote},
		{"truncated", serve(t, socketPath(t), answer("\x00\x00\x00\x00")), background, 0, is(frame.ErrTruncated)},
		{"too large", serve(t, socketPath(t), answer("\xff\x00\x00\x00")), background, 0, is(client.ErrProtocol)},
		{"silent", serve(t, socketPath(t), silent), expired, 0, is(context.DeadlineExceeded)},
		{"silent and large", serve(t, socketPath(t), silent), expired, 1 << 20, is(context.DeadlineExceeded)},
		{"early close", serve(t, socketPath(t), func(*net.UnixConn, <-chan struct{}) {}), background, 1 << 20, is(client.ErrProtocol)},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			before := descriptors(t)
			payload := make([]byte, row.payload)
			within(t, func() {
				for range 200 {
					ctx, cancel := row.context()
					if _, err := row.client.Call(ctx, payload); !row.want(err) {
						t.Errorf("got %v", err)
					}
					cancel()
				}
			})
			// The server's half of a connection counts too, as the server runs
			// in this process; it goes away a little later.
			eventually(t, "descriptors stay open", func() bool { return descriptors(t) <= before })
		})
	}
}

// silent reads nothing and writes nothing until the client has closed.
func silent(conn *net.UnixConn, stop <-chan struct{}) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if events, errno := sys.Poll(int(fd), 0, 10); events != 0 || errno != 0 {
				return // POLLHUP is always waited for
			}
		}
	})
}

// is returns a function that finds target in an error.
func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

// isRemote reports whether the server answered with an error.
func isRemote(err error) bool {
	var remote *client.RemoteError
	return errors.As(err, &remote)
}
