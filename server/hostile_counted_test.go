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
	"sync/atomic"
	"testing"

	"credrpc/frame"

	"golang.org/x/sys/unix"
)

// counted is how often the tests of this file try each thing: CREDRPC_FAULTS=all asks for
// the long form.
func counted() int {
	if os.Getenv("CREDRPC_FAULTS") == "all" {
		return 10_000
	}
	return 1_000
}

// A counter is a handler that must not be called.
type counter struct{ calls atomic.Int64 }

func (c *counter) ServeCall(context.Context, []byte, *Call) ([]byte, error) {
	c.calls.Add(1)
	return nil, nil
}

// check reports what has reached the handler of tries.
func (c *counter) check(t *testing.T, tries int) {
	t.Helper()
	t.Logf("%d of %d calls with wrong credentials reached the handler", c.calls.Load(), tries)
	if c.calls.Load() != 0 {
		t.Fail()
	}
}

// TestMalformedInputs sends inputs no two of which are the same and none of which is a
// request. Each caller is told why, or nothing if it has sent nothing, up to a proper
// end, and the next caller is served.
func TestMalformedInputs(t *testing.T) {
	srv := &Server{Handler: echo, MaxRequest: fuzzLimit}
	path := start(t, srv)
	busyWorkers(t, path)
	descriptors, goroutines := openDescriptors(t), runtime.NumGoroutine()
	random, seen := rand.New(rand.NewPCG(3, 5)), make(map[string]bool)
	for len(seen) < counted() {
		kind := len(seen) % len(malformedKinds)
		wire := malformedKinds[kind].make(random)
		_, wrong := wholeRequest(wire)
		if seen[string(wire)] || wrong == nil {
			continue
		}
		seen[string(wire)] = true
		want := RefusedTruncated.text()
		if !errors.Is(wrong, frame.ErrTruncated) {
			want = RefusedTooLarge.text()
		}
		c := dial(t, path)
		c.Write(wire) // the server may have hung up
		c.CloseWrite()
		told, err := io.ReadAll(c)
		c.Close()
		if !bytes.Equal(told, frame.AppendError(nil, want)) || err != nil && !errors.Is(err, unix.ECONNRESET) {
			t.Fatalf("%s, %.40q: told %q, %v, want %q", malformedKinds[kind].name, wire, told, err, want)
		}
		if answer, err := call(t, path, []byte("next")); string(answer) != "next" {
			t.Fatalf("the call behind %.40q: %q, %v", wire, answer, err)
		}
	}
	settle(t, descriptors, goroutines)
	eventually(t, "nothing is in flight", func() bool { return srv.Stats().InFlight == 0 })
	s := srv.Stats()
	t.Logf("%d distinct inputs: %v", len(seen), s.Refused)
	if n := s.Refused[RefusedTruncated] + s.Refused[RefusedTooLarge]; n != uint64(len(seen)) || s.Panics > 0 {
		t.Errorf("%d inputs: %+v", len(seen), s)
	}
}

// malformedKinds make inputs that are not requests, apart from some that are by chance.
var malformedKinds = []struct {
	name string
	make func(*rand.Rand) []byte
}{
	{"a part of a request", func(random *rand.Rand) []byte {
		b := request(randomBytes(random, 1+random.IntN(300)))
		return b[:1+random.IntN(len(b)-1)]
	}},
	{"a length over the limit", func(random *rand.Rand) []byte {
		over := fuzzLimit + 1 + random.Uint32N(1<<(1+random.IntN(31)))
		return append(binary.BigEndian.AppendUint32(nil, over), randomBytes(random, random.IntN(100))...)
	}},
	{"a length with one bit", func(random *rand.Rand) []byte {
		return append(binary.BigEndian.AppendUint32(nil, 1<<random.IntN(32)), randomBytes(random, random.IntN(5))...)
	}},
	{"bytes", func(random *rand.Rand) []byte { return randomBytes(random, 1+random.IntN(200)) }},
	{"text", func(random *rand.Rand) []byte {
		return fmt.Appendf(nil, "%x: Permission denied\n", random.Uint64())
	}},
	{"little endian", func(random *rand.Rand) []byte {
		payload := randomBytes(random, 1+random.IntN(300))
		return append(binary.LittleEndian.AppendUint32(nil, uint32(len(payload))), payload...)
	}},
	{"another protocol", func(random *rand.Rand) []byte {
		return fmt.Appendf(nil, "GET /%d HTTP/1.1\r\n\r\n", random.Uint32())
	}},
}

func randomBytes(random *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// TestWrongCredentials counts how many calls reach a handler whose credentials are not
// those of one sender that the kernel names.
func TestWrongCredentials(t *testing.T) {
	needRoot(t)
	t.Run("splice", wrongBySplice)
	t.Run("descriptors", wrongFromBacklog)
	t.Run("unmarked", wrongFromUnmarked)
	t.Run("dead", wrongByDeath)
}

// wrongBySplice has each of the senders begin a request and each other one end it, at
// every byte.
func wrongBySplice(t *testing.T) {
	var handler counter
	path := publicPath(t)
	startAt(t, &Server{Handler: &handler, Mode: 0o666}, path)
	senders, wire, tries := startSenders(t), request([]byte("0123456789")), 0
	for tries < counted() {
		for at := 1; at < len(wire); at++ {
			first := senders[tries%connecting(senders)]
			second := senders[(tries/connecting(senders))%len(senders)]
			if first == second {
				second = senders[len(senders)-1]
			}
			tries++
			fd, err := first.connect(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(first.send(fd, wire[:at]), second.send(fd, wire[at:])); err != nil {
				t.Fatal(err)
			}
			_, err = response(readFD(fd))
			unix.Close(fd)
			if want := remoteError(RefusedSenderChanged.text()); err != want {
				t.Fatalf("%s, then %s at byte %d: %v, want %v", first.name, second.name, at, err, want)
			}
		}
	}
	handler.check(t, tries)
}

// wrongFromBacklog has callers connect and pass descriptors before a server is there, as
// with a listener that somebody else has made, to servers one after the other.
func wrongFromBacklog(t *testing.T) {
	const queued = 250
	var handler counter
	tries := 0
	for tries < counted() {
		path := socketPath(t)
		l := listenUnix(t, path, true)
		conns := make([]*net.UnixConn, queued)
		for i := range conns {
			conns[i] = dial(t, path)
			passEarly(t, conns[i], i)
		}
		srv, served := &Server{Handler: &handler}, make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		for _, c := range conns {
			tries++
			if _, err := response(c); err != remoteError(RefusedDescriptors.text()) {
				t.Fatalf("%v, want %v", err, RefusedDescriptors)
			}
			c.Close()
		}
		stop(t, srv, served)
	}
	handler.check(t, tries)
}

// passEarly sends a request and descriptors with one of its pieces.
func passEarly(t *testing.T, c *net.UnixConn, i int) {
	wire := request([]byte("body"))
	at := i % len(wire)
	if _, err := c.Write(wire[:at]); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.WriteMsgUnix(wire[at:], unix.UnixRights(make([]int, 1+i%3)...), nil); err != nil {
		t.Fatal(err)
	}
}

// sentEarly answers who has sent.
var sentEarly = HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
	return append(dst, call.Sender.String()...), nil
})

// wrongFromUnmarked has callers connect and send, for themselves or for others, at a
// listener without SO_PASSCRED before a server is there. Each must be taken for who it is.
func wrongFromUnmarked(t *testing.T) {
	const queued = 250
	senders, wire, tries, wrong := startSenders(t), request([]byte("0123456789")), 0, 0
	for tries < counted() {
		path := publicPath(t)
		l := listenUnix(t, path, false)
		if err := os.Chmod(path, 0o666); err != nil {
			t.Fatal(err)
		}
		fds, want := make([]int, queued), make([]string, queued)
		for i := range fds {
			n := tries + i
			caller := senders[n%connecting(senders)]
			first, second := senders[n/7%len(senders)], senders[n/(7*len(senders))%len(senders)]
			switch {
			case first.UID() != caller.UID() || first.GID() != caller.GID():
				want[i] = RefusedSenderMismatch.text()
			case first.Credentials != second.Credentials:
				want[i] = RefusedSenderChanged.text()
			default:
				want[i] = first.String()
			}
			var err error
			if fds[i], err = caller.connect(path); err != nil {
				t.Fatal(err)
			}
			at := 1 + n%(len(wire)-1)
			if err := errors.Join(first.send(fds[i], wire[:at]), second.send(fds[i], wire[at:])); err != nil {
				t.Fatal(err)
			}
		}
		srv, served := &Server{Handler: sentEarly}, make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		for i, fd := range fds {
			tries++
			answer, err := response(readFD(fd))
			unix.Close(fd)
			if err != nil {
				answer = []byte(err.Error())
			}
			if string(answer) != want[i] {
				wrong++
				t.Errorf("got %q, want %q", answer, want[i])
			}
		}
		stop(t, srv, served)
		if wrong > 10 {
			break
		}
	}
	t.Logf("%d of %d calls were taken for another's", wrong, tries)
}

// wrongByDeath has callers die before they are accepted. Their calls do reach the
// handler; none may be taken for one of somebody else.
func wrongByDeath(t *testing.T) {
	tries, wrong := 0, 0
	for tries < counted() {
		calls, others := killedCallers(t)
		tries, wrong = tries+calls, wrong+others
	}
	t.Logf("%d of %d calls of the dead were taken for others'", wrong, tries)
	if wrong != 0 {
		t.Fail()
	}
}
