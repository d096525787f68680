package callers

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"credrpc/bench/reference"
	"credrpc/frame"
	"credrpc/internal/leak"

	"golang.org/x/sys/unix"
)

// TestMain fails if a test leaves a goroutine or a descriptor behind.
func TestMain(m *testing.M) { os.Exit(leak.Run(m)) }

// clients are the Conns that are here.
var clients = map[string]func(path string) Conn{"client": Client, "net": Net}

// run has two callers make a short run.
func run(t *testing.T, conn Conn, payload int) (calls, failures uint64) {
	t.Helper()
	r, err := Run(t.Context(), Config{Callers: 2, Payload: payload, WarmUp: 2 * time.Millisecond, Duration: 5 * time.Millisecond}, conn)
	if err != nil {
		t.Fatal(err)
	}
	return r.Calls, r.Errors()
}

// TestProtocol has the naive server, which answers in pieces.
func TestProtocol(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	srv := &reference.Server{Handler: func(payload []byte, _ *unix.Ucred) ([]byte, error) { return payload, nil }}
	ended := make(chan error, 1)
	go func() { ended <- srv.ListenAndServe(path) }()
	defer func() { srv.Close(); <-ended }()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("unix", path)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	for name, conn := range clients {
		for _, size := range []int{0, 1, 32, 1 << 20} {
			if calls, failures := run(t, conn(path), size); calls == 0 || failures != 0 {
				t.Errorf("%s, %d bytes: %d calls, %d failed", name, size, calls, failures)
			}
		}
	}
}

// TestLyingServers has answers that are none of the request's. None counts as a call.
func TestLyingServers(t *testing.T) {
	for what, answer := range map[string]func(right []byte) []byte{
		"a bit is wrong":       func(a []byte) []byte { a[30] ^= 1; return a },
		"the length is wrong":  func(a []byte) []byte { a[7]--; return a },
		"it ends early":        func(a []byte) []byte { return a[:20] },
		"no answer":            func(a []byte) []byte { return nil },
		"an error of a server": func(a []byte) []byte { return []byte("\x00\x00\x00\x02no\x00\x00\x00\x00") },
	} {
		path := filepath.Join(t.TempDir(), "s")
		listener, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				request := make([]byte, frame.HeaderSize+32)
				if _, err := io.ReadFull(conn, request); err == nil {
					conn.Write(answer(append(make([]byte, frame.HeaderSize), request...)))
				}
				conn.Close()
			}
		}()
		for name, conn := range clients {
			if calls, failures := run(t, conn(path), 32); calls != 0 || failures == 0 {
				t.Errorf("%s: %s: %d calls, %d failed", name, what, calls, failures)
			}
		}
		listener.Close()
		<-ended
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, config := range []Config{{}, {Callers: 1, Payload: -1}, {Callers: 1, WarmUp: -1}, {Callers: 1, Duration: -1}} {
		if r, err := Run(t.Context(), config, Net("s")); err == nil {
			t.Errorf("%+v: %+v", config, r)
		}
	}
	if calls, failures := run(t, Net(filepath.Join(t.TempDir(), "s")), 32); calls != 0 || failures == 0 {
		t.Errorf("nobody listens: %d calls, %d failed", calls, failures)
	}
	if _, err := Net("missing").Echo(t.Context(), nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
