package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"credrpc/frame"
	"credrpc/internal/leak"
	"credrpc/internal/listen"
	"credrpc/internal/sys"
)

// TestMain fails if a test leaves a goroutine or a descriptor behind.
func TestMain(m *testing.M) { os.Exit(leak.Run(m)) }

// patience bounds every wait of a test that is about to fail.
const patience = 20 * time.Second

// echo answers the request.
var echo = HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
	return append(dst, call.Payload...), nil
})

// start serves srv on a socket of its own until the test ends, and fails the
// test if anything is in flight then or a descriptor is left. It returns the
// socket's path.
func start(t testing.TB, srv *Server) (path string) {
	t.Helper()
	path = socketPath(t)
	startAt(t, srv, path)
	return path
}

func startAt(t testing.TB, srv *Server, path string) {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- srv.ListenAndServe(path) }()
	awaitListening(t, path, served)
	t.Cleanup(func() { stop(t, srv, served) })
	eventually(t, "it serves", func() bool { return running(srv) != nil }) // after it listens
}

// startYielding is start as before Linux 6.16, where callers can pass descriptors: what is
// done about that does not need such a kernel.
func startYielding(t testing.TB, srv *Server) (path string) {
	t.Helper()
	path = socketPath(t)
	lim, err := srv.prepare()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := newListener(path, listen.Options{Mode: 0o600}, false)
	if err != nil {
		t.Fatal(err)
	}
	ln.mode = sys.Yield
	served := make(chan error, 1)
	go func() { served <- srv.serve(ln, lim) }()
	awaitListening(t, path, served)
	t.Cleanup(func() { stop(t, srv, served) })
	eventually(t, "it serves", func() bool { return running(srv) != nil })
	return path
}

func stop(t testing.TB, srv *Server, served <-chan error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-served; !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve returned %v", err)
	}
	if s := srv.Stats(); s.InFlight != 0 || s.Accepted != ended(s) {
		t.Errorf("the counters do not add up: %+v", s)
	}
}

// ended sums what became of the calls in s.
func ended(s Stats) uint64 {
	n := s.Answered + s.Failed + s.Dropped + s.Empty
	for _, refused := range s.Refused {
		n += refused
	}
	return n
}

// awaitListening waits until somebody listens at path.
func awaitListening(t testing.TB, path string, served chan error) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(time.Millisecond) {
		select {
		case err := <-served:
			t.Fatalf("Serve returned %v", err)
		default:
		}
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return
		}
	}
	t.Fatalf("nobody listens at %s", path)
}

// probeGone waits for the end of the connection by which awaitListening has found out.
func probeGone(t testing.TB, srv *Server) {
	t.Helper()
	eventually(t, "the first probe is gone", func() bool { s := srv.Stats(); return s.Empty == 1 && s.InFlight == 0 })
}

// yields reports whether callers can pass descriptors to srv, as everywhere before Linux
// 6.16: a leader then gives up its lead before it receives from one, whoever the handler is.
func yields(srv *Server) bool { return running(srv).ln.mode == sys.Yield }

// socketPath returns a path that fits into an address.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "credrpc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// dial connects to path, with a deadline on everything.
func dial(t testing.TB, path string) *net.UnixConn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	return c.(*net.UnixConn)
}

// request returns the frame of a request.
func request(payload []byte) []byte {
	b, err := frame.AppendRequest(nil, payload)
	if err != nil {
		panic(err)
	}
	return b
}

// remoteError is the text of an error frame.
type remoteError string

func (e remoteError) Error() string { return string(e) }

// response reads the response from c up to the end of the stream.
func response(c io.Reader) ([]byte, error) {
	b, err := io.ReadAll(c)
	if err != nil && len(b) == 0 {
		return nil, err
	}
	content, failed, err := frame.ParseResponse(b, frame.MaxPayload)
	switch {
	case err != nil:
		return nil, fmt.Errorf("response of %d bytes: %w", len(b), err)
	case failed:
		return nil, remoteError(content)
	}
	return content, nil
}

// call makes one call.
func call(t testing.TB, path string, payload []byte) ([]byte, error) {
	t.Helper()
	c := dial(t, path)
	defer c.Close()
	if _, err := c.Write(request(payload)); err != nil {
		return nil, err
	}
	return response(c)
}

// openDescriptors counts this process's descriptors.
func openDescriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// needRoot skips a test for ordinary users. In CI everything must run.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CREDRPC_CI") == "1" {
		t.Fatal("needs root, and CI must not skip it")
	}
	t.Skip("needs root: it acts as other users")
}
