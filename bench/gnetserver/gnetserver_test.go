package gnetserver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"credrpc/client"
	"credrpc/frame"
)

const maxPayload = 2 << 20

// serve starts a server that ends with the test, and returns its path.
func serve(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gnet")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "Socket 100%") // what a URL would spell otherwise
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	var log safeBuffer
	go func() {
		ended <- (&Server{Loops: 1, MaxPayload: maxPayload, Log: &log}).ListenAndServe(ctx, path)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket is left: %v", err)
		}
		if text := log.String(); text != "" {
			t.Errorf("logged: %s", text)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("unix", path)
		if err == nil {
			conn.Close()
			return path
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// A safeBuffer is a buffer for several goroutines.
type safeBuffer struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func TestEcho(t *testing.T) {
	c := client.Client{Path: serve(t), MaxResponse: maxPayload}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, size := range []int{0, 1, 32, 64 << 10, 1 << 20, maxPayload} {
		payload := bytes.Repeat([]byte("payload "), size/8+1)[:size]
		answer, err := c.Call(ctx, payload)
		if err != nil || !bytes.Equal(answer, payload) {
			t.Errorf("%d bytes: answer of %d, %v", size, len(answer), err)
		}
	}
}

// TestCallersAtOnce has callers whose answers must not be mixed up.
func TestCallersAtOnce(t *testing.T) {
	c := client.Client{Path: serve(t)}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			payload := bytes.Repeat([]byte{byte(i)}, 100<<i)
			for range 50 {
				if answer, err := c.Call(ctx, payload); err != nil || !bytes.Equal(answer, payload) {
					t.Errorf("%d bytes: answer of %d, %v", len(payload), len(answer), err)
					return
				}
			}
		})
	}
	callers.Wait()
}

// TestPieces sends a request a byte at a time, and waits for the end of the
// connection, as the protocol has it.
func TestPieces(t *testing.T) {
	request, err := frame.AppendRequest(nil, []byte("piece by piece"))
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, serve(t))
	for i := range request {
		if _, err := conn.Write(request[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := io.ReadAll(conn)
	if want := append(make([]byte, frame.HeaderSize), request...); err != nil || !bytes.Equal(answer, want) {
		t.Errorf("%q, %v", answer, err)
	}
}

// dial connects for at most half a minute.
func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestNoRequest sends what is none.
func TestNoRequest(t *testing.T) {
	path := serve(t)
	for _, request := range []string{"\x00\x00\x00\x01ab", "\x00\x20\x00\x01", "\xff\xff\xff\xff", "text, and no frame"} {
		conn := dial(t, path)
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if answer, _ := io.ReadAll(conn); len(answer) != 0 { // an error: the rest was not read
			t.Errorf("%q: answer %q", request, answer)
		}
	}
	c := client.Client{Path: path}
	if answer, err := c.Call(t.Context(), []byte("afterwards")); err != nil || string(answer) != "afterwards" {
		t.Errorf("%q, %v", answer, err)
	}
}

// TestNothingIsRemoved gives paths at which the engine would remove something.
func TestNothingIsRemoved(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, "tree", "file")
	if err := os.Mkdir(filepath.Dir(kept), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Dir(kept), kept, filepath.Dir(kept) + "?s", filepath.Dir(kept) + "#s"} {
		err := (&Server{Log: io.Discard}).ListenAndServe(t.Context(), path)
		if !errors.Is(err, ErrPath) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}

// TestEnvironment starts this test program with an environment that would make
// gnet's logger panic.
func TestEnvironment(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "GNET_LOGGING_LEVEL=bogus", "GORACE=atexit_sleep_ms=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
