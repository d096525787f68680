package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"credrpc/frame"

	"golang.org/x/sys/unix"
)

// settle waits until the process has no more descriptors and goroutines than
// given.
func settle(t testing.TB, descriptors, goroutines int) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		d, g := openDescriptors(t), runtime.NumGoroutine()
		if d <= descriptors && g <= goroutines+restingWorkers {
			return
		}
		if time.Since(begin) > patience {
			t.Fatalf("%d descriptors and %d goroutines, %d and %d before", d, g, descriptors, goroutines)
		}
	}
}

// busyWorkers makes the server start what it keeps.
func busyWorkers(t testing.TB, path string) {
	t.Helper()
	var callers sync.WaitGroup
	for range 64 {
		callers.Go(func() {
			for range 5 {
				call(t, path, nil)
			}
		})
	}
	callers.Wait()
}

// TestPassedDescriptors passes descriptors with every piece of a request, from
// connections that can, and looks for them in this process.
func TestPassedDescriptors(t *testing.T) {
	wire := request([]byte("body"))
	for _, count := range []int{1, 3, 253} {
		for at := range len(wire) + 1 {
			t.Run(fmt.Sprintf("descriptors=%d,before_byte=%d", count, at), func(t *testing.T) {
				path := socketPath(t)
				l := listenUnix(t, path, true)
				passed, err := os.CreateTemp(t.TempDir(), "passed")
				if err != nil {
					t.Fatal(err)
				}
				defer passed.Close()
				rights := make([]int, count)
				for i := range rights {
					rights[i] = int(passed.Fd())
				}
				c := dial(t, path)
				_, firstErr := c.Write(wire[:at])
				_, _, secondErr := c.WriteMsgUnix(append(bytes.Clone(wire[at:]), "more"...), unix.UnixRights(rights...), nil)
				if err := errors.Join(firstErr, secondErr); err != nil {
					t.Fatal(err)
				}
				srv := &Server{Handler: echo}
				serveOn(t, srv, l)
				// A piece behind the request may be read with it or not.
				if answer, err := response(c); at < len(wire) || err != nil {
					if want := remoteError(RefusedDescriptors.text()); err != want {
						t.Errorf("%q, %v, want %v", answer, err, want)
					}
					if n := srv.Stats().Refused[RefusedDescriptors]; n != 1 {
						t.Errorf("%d counted", n)
					}
				}
				if n := descriptorsOf(t, passed.Name()); n != 1 {
					t.Errorf("%d descriptors of what was passed, want the caller's own", n)
				}
				c.Close()
			})
		}
	}
}

// descriptorsOf counts this process's descriptors of a file.
func descriptorsOf(t testing.TB, name string) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if target, _ := os.Readlink("/proc/self/fd/" + entry.Name()); target == name {
			n++
		}
	}
	return n
}

// TestPassedDescriptorsOverAndOver has many callers try it.
func TestPassedDescriptorsOverAndOver(t *testing.T) {
	srv := &Server{Handler: echo}
	path := start(t, srv)
	_, err := unix.GetsockoptInt(running(srv).ln.fd, unix.SOL_SOCKET, unix.SO_PASSRIGHTS)
	refusedBySocket := err == nil
	busyWorkers(t, path)
	descriptors, goroutines := openDescriptors(t), runtime.NumGoroutine()
	rights := unix.UnixRights(make([]int, 253)...)
	for range 1000 {
		c := dial(t, path)
		_, _, err := c.WriteMsgUnix(request([]byte("x")), rights, nil)
		switch {
		case refusedBySocket && !errors.Is(err, unix.EPERM):
			t.Fatalf("got %v", err)
		case !refusedBySocket:
			if _, err := response(c); err == nil {
				t.Fatal("answered")
			}
		}
		c.Close()
	}
	settle(t, descriptors, goroutines)
}

// TestGarbage has many callers send random bytes, half frames and nothing, and
// hang up early, with honest calls in between.
func TestGarbage(t *testing.T) {
	connections := 100_000
	if testing.Short() {
		connections = 5_000
	}
	const callers, honestEvery = 8, 20
	srv := &Server{Handler: echo, MaxRequest: 64 << 10}
	path := start(t, srv)
	busyWorkers(t, path)
	descriptors, goroutines := openDescriptors(t), runtime.NumGoroutine()
	var group sync.WaitGroup
	var honest atomic.Uint64
	for caller := range callers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(caller), 1))
			payload := make([]byte, 2000)
			for i := range connections / callers {
				if i%honestEvery != 0 {
					if err := misbehave(path, random); err != nil {
						t.Error(err)
						return
					}
					continue
				}
				for j := range payload {
					payload[j] = byte(random.Uint32())
				}
				p := payload[:random.IntN(len(payload))]
				if answer, err := call(t, path, p); err != nil || !bytes.Equal(answer, p) {
					t.Errorf("honest call: %d bytes, %v, want %d", len(answer), err, len(p))
					return
				}
				honest.Add(1)
			}
		})
	}
	group.Wait()
	settle(t, descriptors, goroutines)
	eventually(t, "nothing is in flight", func() bool { return srv.Stats().InFlight == 0 })
	s := srv.Stats()
	if s.Answered < honest.Load() || s.Accepted < uint64(connections/callers*callers) {
		t.Errorf("%d honest calls of %d: %+v", honest.Load(), connections, s)
	}
	for _, r := range []Reason{RefusedTooLarge, RefusedTruncated} {
		if s.Refused[r] == 0 {
			t.Errorf("nobody was refused as %s: %+v", r, s)
		}
	}
	if s.Refused[RefusedNoCredentials]+s.Refused[RefusedSenderChanged]+s.Refused[RefusedSenderMismatch]+s.Panics > 0 {
		t.Errorf("got %+v", s)
	}
}

// misbehave makes one connection that is no call.
func misbehave(path string, random *rand.Rand) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil { // waits for the backlog
		return err
	}
	// Writing may fail: the server may have hung up.
	write := func(b []byte) { unix.SendmsgN(fd, b, nil, nil, unix.MSG_NOSIGNAL) }
	switch random.IntN(6) {
	case 0: // nothing
	case 1: // garbage
		b := make([]byte, random.IntN(300))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		write(b)
	case 2: // half a frame
		b := request(make([]byte, random.IntN(300)))
		write(b[:random.IntN(len(b))])
	case 3: // a frame in pieces, hanging up without reading the answer
		for b := request(make([]byte, random.IntN(30))); len(b) > 0; {
			n := 1 + random.IntN(len(b))
			write(b[:n])
			b = b[n:]
		}
	case 4: // a header only, of any size
		write(binary.BigEndian.AppendUint32(nil, random.Uint32()))
		if random.IntN(2) == 0 {
			unix.Shutdown(fd, unix.SHUT_WR)
		}
	case 5: // two requests at once, reading a little of the answer
		write(append(request([]byte("one")), request([]byte("two"))...))
		if random.IntN(2) == 0 {
			unix.Shutdown(fd, unix.SHUT_WR)
			unix.Read(fd, make([]byte, random.IntN(12)))
		}
	}
	return nil
}

// TestHangUpAtEachByteOfRequest closes, or ends sending, after each prefix.
func TestHangUpAtEachByteOfRequest(t *testing.T) {
	srv := &Server{Handler: echo}
	path := start(t, srv)
	wire := request([]byte("0123456789"))
	for at := range len(wire) {
		c := dial(t, path)
		c.Write(wire[:at])
		c.Close()

		c = dial(t, path)
		c.Write(wire[:at])
		c.CloseWrite()
		b, err := io.ReadAll(c)
		c.Close()
		if at == 0 {
			if len(b) > 0 || err != nil {
				t.Errorf("without a byte: %q, %v", b, err)
			}
			continue
		}
		if text, failed, err := frame.ParseResponse(b, frame.MaxPayload); err != nil || !failed || string(text) != RefusedTruncated.text() {
			t.Errorf("after %d bytes: %q, %v", at, text, err)
		}
	}
	eventually(t, "all are counted", func() bool {
		s := srv.Stats()
		return s.Refused[RefusedTruncated] == 2*uint64(len(wire)-1) && s.InFlight == 0
	})
}

// TestHangUpAtEachByteOfAnswer closes after having read each prefix of a short
// answer, and some of a long one.
func TestHangUpAtEachByteOfAnswer(t *testing.T) {
	srv := &Server{Handler: echo}
	path := start(t, srv)
	for size, step := range map[int]int{40: 1, 1 << 20: 50_021} {
		wire := request(make([]byte, size))
		for at := 0; at < size+8; at += step {
			c := dial(t, path)
			if _, err := c.Write(wire); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, make([]byte, at)); err != nil {
				t.Fatalf("%d of %d bytes: %v", at, size, err)
			}
			c.Close()
		}
	}
	eventually(t, "all have ended", func() bool { return srv.Stats().InFlight == 0 })
	if s := srv.Stats(); s.Answered == 0 || s.Dropped == 0 {
		t.Errorf("got %+v", s)
	}
}

// TestUnreadAnswers has callers that do not read a large answer.
func TestUnreadAnswers(t *testing.T) {
	const callers = 50
	srv := &Server{CallTimeout: 500 * time.Millisecond, Handler: HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
		if len(call.Payload) > 0 {
			return append(dst, call.Payload...), nil
		}
		return make([]byte, 1<<20), nil
	})}
	path := start(t, srv)
	conns := make([]*net.UnixConn, callers)
	for i := range conns {
		conns[i] = dial(t, path)
		conns[i].Write(request(nil))
	}
	if _, err := call(t, path, []byte("x")); err != nil {
		t.Errorf("another caller: %v", err)
	}
	eventually(t, "they have been ended", func() bool {
		s := srv.Stats()
		return s.Dropped == callers
	})
	if n := srv.Stats().InFlight; n != callers {
		t.Errorf("%d count that have not read what lies in the kernel for them", n)
	}
	for _, c := range conns {
		b, err := io.ReadAll(c)
		if len(b) < frame.HeaderSize || len(b) >= 1<<20 || err != nil && !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		if _, _, err := frame.ParseResponse(b, frame.MaxPayload); !errors.Is(err, frame.ErrTruncated) {
			t.Errorf("the part of an answer parses as %v", err)
		}
	}
}
