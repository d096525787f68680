package cclient

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"credrpc/bench/floor"
	"credrpc/bench/load"
	"credrpc/bench/reference"
	"credrpc/frame"
	"credrpc/internal/leak"

	"golang.org/x/sys/unix"
)

// TestMain fails if a test leaves a goroutine or a descriptor behind.
func TestMain(m *testing.M) { os.Exit(leak.Run(m)) }

// compile returns the program, and skips the test where there is no compiler.
func compile(t *testing.T) string {
	t.Helper()
	program, err := Compile(t.Context(), t.TempDir())
	if errors.Is(err, floor.ErrNoCompiler) && os.Getenv("CREDRPC_CI") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// call has the program make a short run, and returns what it found.
func call(t *testing.T, program, path string, callers, payload int) *load.Result {
	t.Helper()
	config := &load.Config{Path: path, Load: load.Load{Batch: 1, Callers: callers}, Payload: payload, WarmUp: 5 * time.Millisecond, Duration: 10 * time.Millisecond}
	command := Command(program, config)
	out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(out), "\n")
	if len(lines) != 4 || lines[0] != "begin\n" || lines[1] != "end\n" {
		t.Fatalf("it says %q", out)
	}
	r, err := Parse([]byte(lines[2]), config)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// serveReference has the naive server echo until the test ends, and returns its path.
func serveReference(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	srv := &reference.Server{Handler: func(payload []byte, _ *unix.Ucred) ([]byte, error) { return payload, nil }}
	ended := make(chan error, 1)
	go func() { ended <- srv.ListenAndServe(path) }()
	t.Cleanup(func() { srv.Close(); <-ended })
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

// TestProtocol has the naive server, which answers in pieces.
func TestProtocol(t *testing.T) {
	program, path := compile(t), serveReference(t)
	for _, size := range []int{0, 1, 9, 32, 4096, 1 << 20} {
		r := call(t, program, path, 3, size)
		h, err := r.Decode()
		if err != nil {
			t.Fatal(err)
		}
		if r.Calls < 3 || r.Errors() != 0 || r.FirstError != "" || uint64(h.TotalCount()) != r.Calls || r.Payload != size || r.Callers != 3 {
			t.Errorf("%d bytes: %d latencies, %+v %s", size, h.TotalCount(), r.Counts, r.FirstError)
		}
		if r.UserSeconds+r.SystemSeconds <= 0 || r.Seconds < 0.01 || r.Latency.P50 <= 0 || r.Latency.P99 < r.Latency.P50 || r.Interrupted {
			t.Errorf("%d bytes: %v s, processor %v + %v s, %+v", size, r.Seconds, r.UserSeconds, r.SystemSeconds, r.Latency)
		}
		if want := 2 * r.Calls * uint64(size); r.RequestBytes+r.AnswerBytes != want {
			t.Errorf("%d bytes: %d and %d of %d calls", size, r.RequestBytes, r.AnswerBytes, r.Calls)
		}
	}
}

// answerWith answers every call with what answer makes of its request, and closes.
func answerWith(t *testing.T, answer func(request []byte) []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { listener.Close(); <-ended })
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			request := make([]byte, frame.HeaderSize+32)
			if _, err := io.ReadFull(conn, request); err == nil {
				conn.Write(answer(request))
			}
			conn.Close()
		}
	}()
	return path
}

// TestWrongAnswers has servers that lie. No answer of theirs counts as a call.
func TestWrongAnswers(t *testing.T) {
	program := compile(t)
	right := func(request []byte) []byte { return append(make([]byte, frame.HeaderSize), request...) }
	tests := []struct {
		name   string
		answer func(request []byte) []byte
		count  func(*load.Counts) uint64
		says   string
	}{
		{"right", right, func(c *load.Counts) uint64 { return c.Calls }, ""},
		{"a bit is wrong", func(r []byte) []byte { a := right(r); a[30] ^= 1; return a }, func(c *load.Counts) uint64 { return c.Wrong }, "the answer is not the request"},
		{"the length is wrong", func(r []byte) []byte { a := right(r); a[7]--; return a }, func(c *load.Counts) uint64 { return c.Wrong }, "the answer has another size than the request"},
		{"it ends early", func(r []byte) []byte { return right(r)[:20] }, func(c *load.Counts) uint64 { return c.Failed }, "the answer ended early"},
		{"no answer", func(r []byte) []byte { return nil }, func(c *load.Counts) uint64 { return c.Failed }, "the answer ended early"},
		{"an error", func(r []byte) []byte { return []byte("\x00\x00\x00\x02no\x00\x00\x00\x00") }, func(c *load.Counts) uint64 { return c.Refused }, "the server refused"},
	}
	for _, tt := range tests {
		r := call(t, program, answerWith(t, tt.answer), 1, 32)
		if n := tt.count(&r.Counts); n == 0 || n != r.Calls+r.Errors() || r.FirstError != tt.says {
			t.Errorf("%s: %+v %q", tt.name, r.Counts, r.FirstError)
		}
	}
}

// TestNoServer has nobody who listens: callers give up before the end.
func TestNoServer(t *testing.T) {
	r := call(t, compile(t), filepath.Join(t.TempDir(), "s"), 2, 32)
	if r.Calls != 0 || r.Failed == 0 || r.FirstError != "connect: No such file or directory" {
		t.Errorf("%+v %q", r.Counts, r.FirstError)
	}
}

// TestInterrupt ends runs before their time: with what there is, and in the warm-up.
func TestInterrupt(t *testing.T) {
	program, path := compile(t), serveReference(t)
	for _, warmUp := range []time.Duration{0, time.Hour} {
		config := &load.Config{Path: path, Load: load.Load{Batch: 1, Callers: 2}, Payload: 32, WarmUp: warmUp, Duration: time.Hour}
		command := Command(program, config)
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		stdout, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		all := bufio.NewReader(stdout)
		begun := ""
		if warmUp == 0 {
			begun, _ = all.ReadString('\n')
		} else {
			waitForThreads(t, cmd.Process.Pid)
		}
		cmd.Process.Signal(syscall.SIGINT)
		out, err := io.ReadAll(all)
		if err := errors.Join(err, cmd.Wait()); err != nil || (begun == "begin\n") != (warmUp == 0) {
			t.Fatalf("%q %v", begun, err)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		r, err := Parse([]byte(lines[len(lines)-1]), config)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Interrupted || (r.Calls > 0) != (warmUp == 0) || r.Errors() != 0 {
			t.Errorf("after a warm-up of %v: %+v\n%s", warmUp, r.Counts, out)
		}
	}
}

// waitForThreads waits until a process has three threads. The program blocks SIGINT
// before: until then, one would end it.
func waitForThreads(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(status), "Threads:\t3\n") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s", status)
		}
	}
}

func TestCommandLine(t *testing.T) {
	program := compile(t)
	for _, args := range [][]string{{}, {"s", "1", "32", "0"}, {"s", "0", "32", "0", "1"}, {"s", "1", "-1", "0", "1"},
		{"s", "1", "32", "-1", "1"}, {strings.Repeat("x", 108), "1", "32", "0", "1"}} {
		err := exec.CommandContext(t.Context(), program, args...).Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	if r, err := Parse([]byte("end\n"), &load.Config{}); err == nil {
		t.Errorf("%+v", r)
	}
}
