package floor

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"credrpc/frame"
	"credrpc/internal/leak"
)

// TestMain fails if a test leaves a goroutine or a descriptor behind.
func TestMain(m *testing.M) { os.Exit(leak.Run(m)) }

// compile returns the program, and skips the test where there is no compiler.
func compile(t *testing.T) string {
	t.Helper()
	program, err := Compile(t.Context(), t.TempDir())
	if errors.Is(err, ErrNoCompiler) && os.Getenv("CREDRPC_CI") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// run starts the program with what follows the socket in its command line, and
// returns its socket.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	return serve(t, exec.Command(program, append([]string{path}, args...)...), path)
}

// serve starts a command that listens at path, and waits until it does.
func serve(t *testing.T, cmd *exec.Cmd, path string) string {
	t.Helper()
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // and what it runs
		cmd.Wait()
	})
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn, err := net.Dial("unix", path)
		if err == nil {
			conn.Close()
			return path
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

// exchange sends a request in pieces and returns what comes back.
func exchange(t *testing.T, path string, pieces ...[]byte) []byte {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	for _, piece := range pieces {
		if _, err := conn.Write(piece); err != nil && !errors.Is(err, syscall.EPIPE) { // it may have seen enough
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // so that most are received one by one
	}
	conn.(*net.UnixConn).CloseWrite()
	answer, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) { // it closes with bytes unread
		t.Fatal(err)
	}
	return answer
}

func TestEcho(t *testing.T) {
	program := compile(t)
	for _, threads := range []string{"1", "3"} {
		path := run(t, program, threads)
		for _, size := range []int{0, 1, 32, 4096, 1 << 20, MaxPayload} {
			payload := bytes.Repeat([]byte{'p'}, size)
			request, err := frame.AppendRequest(nil, payload)
			if err != nil {
				t.Fatal(err)
			}
			want, err := frame.AppendResponse(nil, payload)
			if err != nil {
				t.Fatal(err)
			}
			if got := exchange(t, path, request); !bytes.Equal(got, want) {
				t.Errorf("%s threads, %d bytes: answer of %d bytes, want %d", threads, size, len(got), len(want))
			}
		}
	}
}

// TestPieces sends a call byte by byte, whatever is asked about the caller.
func TestPieces(t *testing.T) {
	program := compile(t)
	for _, tt := range everyCheck {
		path := run(t, program, "1", tt.word)
		if got := exchange(t, path, []byte{0}, []byte{0, 0}, []byte{2}, []byte{'a'}, []byte{'b'}); string(got) != "\x00\x00\x00\x00\x00\x00\x00\x02ab" {
			t.Errorf("%s: answer %q", tt.word, got)
		}
	}
}

// TestNoAnswer sends what the floor does not take, and then a call that it does.
func TestNoAnswer(t *testing.T) {
	path := run(t, compile(t), "1")
	large, err := frame.AppendRequest(nil, make([]byte, MaxPayload+1))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		request []byte
	}{
		{"half a header", []byte{0, 0}},
		{"a header alone", []byte{0, 0, 0, 9}},
		{"a payload cut short", []byte{0, 0, 0, 2, 'a'}},
		{"bytes behind the frame", []byte{0, 0, 0, 1, 'a', 'b'}},
		{"a length of 4 GiB", []byte{255, 255, 255, 255, 'a'}},
		{"a byte more than it has room for", large},
	}
	for _, tt := range tests {
		if got := exchange(t, path, tt.request); len(got) != 0 {
			t.Errorf("%s: answer of %d bytes", tt.name, len(got))
		}
	}
	if got := exchange(t, path, []byte{0, 0, 0, 1, 'a'}); string(got) != "\x00\x00\x00\x00\x00\x00\x00\x01a" {
		t.Errorf("afterwards: %q", got)
	}
}

func TestCommandLine(t *testing.T) {
	program := compile(t)
	long := strings.Repeat("x", 108)
	for _, args := range [][]string{{}, {"s"}, {"s", "0"}, {"s", "x"}, {"s", "1", "more"}, {"s", "1", "none", "more"}, {long, "1"}} {
		err := exec.CommandContext(t.Context(), program, args...).Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 {
			t.Errorf("%q: %v", args, err)
		}
	}
	taken := run(t, program, "1")
	if err := exec.CommandContext(t.Context(), program, taken, "1").Run(); err == nil {
		t.Error("two of them on one socket")
	}
}

func TestNoCompiler(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if path, err := Compile(t.Context(), t.TempDir()); !errors.Is(err, ErrNoCompiler) {
		t.Errorf("%q, %v", path, err)
	}
}

// TestCompilerFails has a directory that cannot be written to.
func TestCompilerFails(t *testing.T) {
	compile(t) // skips where there is none
	path, err := Compile(t.Context(), filepath.Join(t.TempDir(), "missing"))
	if err == nil || errors.Is(err, ErrNoCompiler) {
		t.Errorf("%q, %v", path, err)
	}
}
