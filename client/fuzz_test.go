//go:build linux && !credrpc_net

package client

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"credrpc/frame"

	"golang.org/x/sys/unix"
)

// FuzzReceive gives the bytes of a response to a call, in pieces whose sizes
// come from cuts, and compares the outcome with that of the whole input.
func FuzzReceive(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x05hello"), []byte{1, 2, 3}, true)
	f.Add([]byte("\x00\x00\x00\x06denied\x00\x00\x00\x00"), []byte{4}, false)
	f.Add([]byte("\x00\x00\x00\x00"), []byte{}, true)
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x20\x00"+string(make([]byte, 8192))), []byte{8, 255, 255}, false)
	f.Add([]byte("\xff\xff\xff\xff"), []byte{2}, true)
	const limit = 16 << 10
	f.Fuzz(func(t *testing.T, response, cuts []byte, alone bool) {
		if len(response) > 2*limit {
			return // it must fit into the socket's buffer
		}
		want, remote, wantErr := whole(response, limit)
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		written := make(chan struct{})
		go func() {
			defer close(written)
			defer unix.Close(pair[1])
			for len(response) > 0 {
				n := len(response)
				if len(cuts) > 0 {
					n, cuts = min(n, int(cuts[0])+1), cuts[1:]
				}
				if _, err := unix.SendmsgN(pair[1], response[:n], nil, nil, unix.MSG_NOSIGNAL); err != nil {
					return // the call has its answer
				}
				response = response[n:]
				runtime.Gosched()
			}
		}()
		x := &exchange{fd: pair[0], alone: alone, waits: new(waits)}
		got, err := x.receive(context.Background(), []byte("dst"), limit)
		x.close()
		<-written

		var text *RemoteError
		switch {
		case wantErr != nil:
			if !errors.Is(err, ErrProtocol) || errors.Is(err, frame.ErrTruncated) != errors.Is(wantErr, frame.ErrTruncated) {
				t.Errorf("error %v, want %v", err, wantErr)
			}
		case remote:
			if !errors.As(err, &text) || text.Text != string(want) {
				t.Errorf("error %v, want the remote error %q", err, want)
			}
		case err != nil || string(got) != "dst"+string(want):
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		if (wantErr != nil || remote) && string(got) != "dst" {
			t.Errorf("got %q beside an error", got)
		}
	})
}

// whole decodes a response that is all there.
func whole(b []byte, limit uint32) (content []byte, remote bool, err error) {
	for _, remote := range []bool{true, false} {
		if len(b) < frame.HeaderSize {
			return nil, false, frame.ErrTruncated
		}
		n := binary.BigEndian.Uint32(b)
		b = b[frame.HeaderSize:]
		switch {
		case n > limit:
			return nil, false, &frame.TooLargeError{Length: uint64(n), Limit: limit}
		case uint64(len(b)) < uint64(n):
			return nil, false, frame.ErrTruncated
		case n > 0 || !remote:
			return b[:n], remote, nil
		}
	}
	panic("unreachable")
}
