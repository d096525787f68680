//go:build linux

package client_test

import (
	"bytes"
	"context"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"credrpc/client"
	"credrpc/frame"
	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// noise returns n bytes that depend on n only.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)}).Read(b)
	return b
}

func TestAnswerEqualsPayload(t *testing.T) {
	c := serve(t, socketPath(t), echo)
	for _, size := range []int{0, 1, 4087, 4088, 4089, 8192, 64 << 10, 1 << 20, 16 << 20} {
		t.Run(fmt.Sprintf("size=%d", size), func(t *testing.T) {
			payload := noise(size)
			within(t, func() {
				got, err := c.Call(t.Context(), payload)
				if err != nil || !bytes.Equal(got, payload) {
					t.Errorf("%d bytes equal=%v, error %v", len(got), bytes.Equal(got, payload), err)
				}
			})
		})
	}
}

func TestAbstractName(t *testing.T) {
	name := fmt.Sprintf("@credrpc-client-test-%d", os.Getpid())
	c := serve(t, name, echo)
	got, err := c.Call(t.Context(), []byte("hello"))
	if err != nil || string(got) != "hello" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestAppendCallKeepsWhatIsThere(t *testing.T) {
	c := serve(t, socketPath(t), echo)
	for _, size := range []int{0, 5, 100_000} {
		payload := noise(size)
		dst := append(make([]byte, 0, 5+size), "there"...)
		got, err := c.AppendCall(t.Context(), dst, payload)
		if err != nil || !bytes.Equal(got, append([]byte("there"), payload...)) {
			t.Fatalf("size %d: %d bytes, error %v", size, len(got), err)
		}
		if &got[0] != &dst[0] {
			t.Errorf("size %d: the answer fits into dst and is elsewhere", size)
		}
	}
}

func TestAppendCallReturnsDstOnError(t *testing.T) {
	c := serve(t, socketPath(t), answer("\x00\x00\x00\x03bad"))
	dst := append(make([]byte, 0, 100), "there"...)
	got, err := c.AppendCall(t.Context(), dst, nil)
	if err == nil || string(got) != "there" {
		t.Fatalf("got %q, %v", got, err)
	}
}

// A response means the same wherever it is split, and each piece is received
// before the next is written.
func TestEverySplit(t *testing.T) {
	responses := []struct {
		name     string
		response string
		want     string
		remote   string
	}{
		{"an answer", "\x00\x00\x00\x00\x00\x00\x00\x05hello", "hello", ""},
		{"an empty answer", "\x00\x00\x00\x00\x00\x00\x00\x00", "", ""},
		{"a remote error", "\x00\x00\x00\x06denied", "", "denied"},
		{"a remote error with a second frame", "\x00\x00\x00\x06denied\x00\x00\x00\x02no", "", "denied"},
		{"an answer with bytes behind it", "\x00\x00\x00\x00\x00\x00\x00\x02hi!", "hi", ""},
	}
	for _, row := range responses {
		t.Run(row.name, func(t *testing.T) {
			var pieces [][]string
			for i := range len(row.response) + 1 {
				pieces = append(pieces, []string{row.response[:i], row.response[i:]})
			}
			pieces = append(pieces, strings.Split(row.response, "")) // byte by byte
			for i := range len(row.response) {
				for j := i; j < len(row.response); j++ {
					pieces = append(pieces, []string{row.response[:i], row.response[i:j], row.response[j:]})
				}
			}
			next := make(chan []string, 1)
			c := serve(t, socketPath(t), func(conn *net.UnixConn, _ <-chan struct{}) {
				readRequest(conn)
				for _, piece := range <-next {
					io.WriteString(conn, piece)
					drained(conn)
				}
			})
			for _, split := range pieces {
				next <- split
				got, err := c.Call(t.Context(), []byte("x"))
				var remote *client.RemoteError
				switch {
				case row.remote == "" && (err != nil || string(got) != row.want):
					t.Fatalf("%q: got %q, %v", split, got, err)
				case row.remote != "" && (!errors.As(err, &remote) || remote.Text != row.remote):
					t.Fatalf("%q: got %q, %v", split, got, err)
				}
			}
		})
	}
}

// A large answer may pause anywhere.
func TestLargeAnswerInPieces(t *testing.T) {
	want := noise(300_000)
	response, _ := frame.AppendResponse(nil, want)
	for _, size := range []int{1021, 4096, 65_537, 150_000} {
		c := serve(t, socketPath(t), func(conn *net.UnixConn, _ <-chan struct{}) {
			readRequest(conn)
			for piece := range slices.Chunk(response, size) {
				conn.Write(piece)
				drained(conn)
			}
		})
		got, err := c.Call(t.Context(), nil)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("pieces of %d: %d bytes, %v", size, len(got), err)
		}
	}
}

// Memory follows what arrives, not what is announced.
func TestAnnouncedAnswerCostsNothing(t *testing.T) {
	c := serve(t, socketPath(t), answer("\x00\x00\x00\x00\x08\x00\x00\x00"+strings.Repeat("x", 5000)))
	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Call(context.Background(), nil); !errors.Is(err, frame.ErrTruncated) {
				b.Fatal(err)
			}
		}
	})
	if got := result.AllocedBytesPerOp(); got == 0 || got > 200_000 {
		t.Errorf("a call that is announced 128 MiB and gets 5000 bytes allocates %d bytes", got)
	}
}

func TestDescriptorIsClosedOnExec(t *testing.T) {
	open := func() map[int]bool {
		fds := map[int]bool{}
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Error(err)
		}
		for _, entry := range entries {
			var fd int
			fmt.Sscan(entry.Name(), &fd)
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
				fds[fd] = flags&unix.FD_CLOEXEC != 0
			}
		}
		return fds
	}
	before := open()
	during := make(chan map[int]bool, 1)
	c := serve(t, socketPath(t), func(conn *net.UnixConn, stop <-chan struct{}) {
		readRequest(conn)
		during <- open()
		io.WriteString(conn, "\x00\x00\x00\x00\x00\x00\x00\x00")
	})
	if _, err := c.Call(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	fresh := 0
	for fd, cloexec := range <-during {
		if _, old := before[fd]; !old {
			fresh++
			if !cloexec {
				t.Errorf("descriptor %d stays open on exec", fd)
			}
		}
	}
	if fresh < 2 { // both ends of the connection at least
		t.Errorf("%d descriptors during the call are new", fresh)
	}
}

// Descriptors that a server passes do not enter the process. Where the kernel can
// refuse them, it does.
func TestPassedDescriptors(t *testing.T) {
	sent := make(chan error, 1)
	c := serve(t, socketPath(t), func(conn *net.UnixConn, _ <-chan struct{}) {
		readRequest(conn)
		_, _, err := conn.WriteMsgUnix(make([]byte, 8), unix.UnixRights(0), nil)
		sent <- err
		conn.Write(make([]byte, 8))
	})
	before := descriptors(t)
	if answer, err := c.Call(t.Context(), nil); err != nil || len(answer) != 0 {
		t.Errorf("got %q, %v", answer, err)
	}
	eventually(t, "descriptors stay open", func() bool { return descriptors(t) <= before })
	fd, errno := sys.Stream()
	if errno != 0 {
		t.Fatal(errno)
	}
	defer unix.Close(fd)
	want := sys.RefuseRights(fd) == 0
	if err := <-sent; errors.Is(err, unix.EPERM) != want {
		t.Errorf("passing a descriptor gives %v, and the option is known: %v", err, want)
	}
}

func TestConcurrentCalls(t *testing.T) {
	c := serve(t, socketPath(t), echo)
	var callers sync.WaitGroup
	for i := range 32 {
		callers.Go(func() {
			var dst []byte
			for j := range 30 {
				payload := noise(i*j + (j%10/9)*300_000)
				var err error
				dst, err = c.AppendCall(t.Context(), dst[:0], payload)
				if err != nil || !bytes.Equal(dst, payload) {
					t.Errorf("caller %d call %d: %d bytes of %d, %v", i, j, len(dst), len(payload), err)
					return
				}
			}
		})
	}
	within(t, callers.Wait)
}

// A number is 8 bytes on the wire.
type number uint64

func (n number) MarshalBinary() ([]byte, error) {
	if n == 13 {
		return nil, errUnlucky
	}
	return binary.BigEndian.AppendUint64(nil, uint64(n)), nil
}

func (n *number) UnmarshalBinary(b []byte) error {
	if len(b) != 8 {
		return errUnlucky
	}
	*n = number(binary.BigEndian.Uint64(b))
	return nil
}

// An appendingNumber can be marshalled only by appending.
type appendingNumber uint64

func (n appendingNumber) AppendBinary(b []byte) ([]byte, error) {
	if n == 13 {
		return b, errUnlucky
	}
	return binary.BigEndian.AppendUint64(b, uint64(n)), nil
}

func (appendingNumber) MarshalBinary() ([]byte, error) {
	return nil, errors.New("MarshalBinary of a BinaryAppender")
}

var errUnlucky = errors.New("unlucky")

func TestCallBinary(t *testing.T) {
	c := serve(t, socketPath(t), echo)
	for i := range 20 {
		var got number
		var request encoding.BinaryMarshaler = number(100 + i)
		if i%2 == 1 {
			request = appendingNumber(100 + i)
		}
		if err := c.CallBinary(t.Context(), request, &got); err != nil || got != number(100+i) {
			t.Fatalf("got %d, %v", got, err)
		}
	}
}

func TestCallBinaryErrors(t *testing.T) {
	var connections atomic.Int32
	c := serve(t, socketPath(t), func(conn *net.UnixConn, _ <-chan struct{}) {
		connections.Add(1)
		answer("\x00\x00\x00\x00\x00\x00\x00\x01x")(conn, nil)
	})
	var response number
	for _, request := range []encoding.BinaryMarshaler{number(13), appendingNumber(13)} {
		if err := c.CallBinary(t.Context(), request, &response); !errors.Is(err, errUnlucky) {
			t.Errorf("%T: got %v", request, err)
		}
	}
	if connections.Load() != 0 {
		t.Error("a request that cannot be marshalled was sent")
	}
	err := c.CallBinary(t.Context(), number(1), &response)
	if !errors.Is(err, errUnlucky) || errors.Is(err, client.ErrProtocol) {
		t.Errorf("an answer that cannot be unmarshalled gives %v", err)
	}
}

// The package depends neither on a server nor on package net.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "credrpc/client").Output()
	if err != nil {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatal(err)
		}
		t.Skip("go list does not run here: ", err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, "credrpc/frame") {
		t.Fatal("go list does not name credrpc/frame")
	}
	for _, banned := range []string{"net", "credrpc/server"} {
		if slices.Contains(deps, banned) {
			t.Errorf("credrpc/client depends on %s", banned)
		}
	}
}

// What the package assumes of a raw receive.
func TestRecv(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	buffer := make([]byte, 4)
	for _, mode := range []sys.Mode{sys.Raw, sys.Yield} {
		// MSG_DONTWAIT holds although the descriptor is blocking.
		if n, errno := sys.Recv(pair[0], buffer, mode); n != 0 || errno != unix.EAGAIN {
			t.Errorf("nothing there: %d, %v", n, errno)
		}
		unix.Write(pair[1], []byte("hello"))
		if n, errno := sys.Recv(pair[0], buffer, mode); n != 4 || errno != 0 || string(buffer) != "hell" {
			t.Errorf("five bytes there: %d, %v", n, errno)
		}
		if n, errno := sys.Recv(pair[0], buffer, mode); n != 1 || errno != 0 || buffer[0] != 'o' {
			t.Errorf("one byte there: %d, %v", n, errno)
		}
	}
	unix.Close(pair[1])
	if n, errno := sys.Recv(pair[0], buffer, sys.Raw); n != 0 || errno != 0 {
		t.Errorf("end of the stream: %d, %v", n, errno)
	}
}
