package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"testing"

	"credrpc/frame"

	"golang.org/x/sys/unix"
)

// maxPiece is the most bytes that a fuzzed caller sends at once: pieces end before, in
// and behind headers and payloads, and no size is a multiple of another.
const maxPiece = 143

// fuzzLimit is MaxRequest of the servers that are fuzzed: below 2^16, so that many
// lengths are over it.
const fuzzLimit = 4000

// FuzzServer has a caller send arbitrary bytes to a live server, in pieces whose sizes
// come from cuts, and compares what it is told with what the bytes say as a whole. How
// the caller ends comes from the bits of end: 1 asks the server whose handler runs on
// the loop, 2 reads nothing and hangs up, 4 stops sending when all is sent.
func FuzzServer(f *testing.F) {
	for _, wire := range [][]byte{nil, request(nil), request([]byte("request")), request(make([]byte, fuzzLimit)), request(make([]byte, fuzzLimit+1)),
		[]byte("\x00\x00\x00"), []byte("\x00\x00\x01\x00short"), []byte("text from a program"), append(request([]byte("one")), request([]byte("two"))...)} {
		for end := range byte(8) {
			f.Add(wire, []byte{0, 2, 255, 142}, end)
		}
	}
	var paths [2]string
	for i := range paths {
		paths[i] = start(f, &Server{Handler: ownHandler(), HandlerOnLoop: i == 1, MaxRequest: fuzzLimit})
	}
	f.Fuzz(func(t *testing.T, wire, cuts []byte, end byte) {
		if len(wire) > 32<<10 {
			return // it must fit into the socket's buffer
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		limit := unix.NsecToTimeval(int64(patience))
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
			t.Fatal(err)
		}
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: paths[end&1]}); err != nil {
			t.Fatal(err)
		}
		sendPieces(fd, wire, cuts)
		if end&2 != 0 {
			return
		}
		payload, wrong := wholeRequest(wire)
		cut := errors.Is(wrong, frame.ErrTruncated)
		if end&4 != 0 || cut {
			unix.Shutdown(fd, unix.SHUT_WR)
		}
		answer, err := response(readFD(fd))
		switch {
		case cut && len(wire) == 0: // told nothing
			if !errors.Is(err, frame.ErrTruncated) {
				t.Errorf("%q, %v without a request", answer, err)
			}
		case cut && err != remoteError(RefusedTruncated.text()):
			t.Errorf("%q, %v for a part of a request", answer, err)
		case cut:
		case wrong != nil && err != remoteError(RefusedTooLarge.text()):
			t.Errorf("%q, %v for %v", answer, err, wrong)
		case wrong == nil && (err != nil || !bytes.Equal(answer, payload)):
			t.Errorf("%q, %v, want %q", answer, err, payload)
		}
	})
}

// ownHandler answers the request, and panics if the caller is not this process.
func ownHandler() Handler {
	self := NewCredentials(os.Getpid(), uint32(os.Getuid()), uint32(os.Getgid()))
	return HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
		if call.Sender != self || call.Peer != self {
			panic("a call of somebody else")
		}
		return append(dst, call.Payload...), nil
	})
}

// sendPieces sends b in pieces of 1 to maxPiece bytes, and lets others run before every
// second size that cuts may say. The server may hang up at any time.
func sendPieces(fd int, b, cuts []byte) {
	for len(b) > 0 {
		n := len(b)
		if len(cuts) > 0 {
			if cuts[0] >= maxPiece {
				runtime.Gosched()
			}
			n, cuts = min(n, int(cuts[0])%maxPiece+1), cuts[1:]
		}
		n = min(n, maxPiece)
		if unix.Send(fd, b[:n], unix.MSG_NOSIGNAL) != nil {
			return
		}
		b = b[n:]
	}
}

// wholeRequest returns the payload of the request that wire begins with. The error is a
// [*frame.TooLargeError] if it is over fuzzLimit, and [frame.ErrTruncated] if more of it
// has to come.
func wholeRequest(wire []byte) (payload []byte, err error) {
	if len(wire) < frame.HeaderSize {
		return nil, frame.ErrTruncated
	}
	n, rest := binary.BigEndian.Uint32(wire), wire[frame.HeaderSize:]
	switch {
	case n > fuzzLimit:
		return nil, &frame.TooLargeError{Length: uint64(n), Limit: fuzzLimit}
	case uint64(len(rest)) < uint64(n):
		return nil, frame.ErrTruncated
	}
	return rest[:n], nil
}
