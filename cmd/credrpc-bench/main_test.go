package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"credrpc/internal/leak"

	"golang.org/x/sys/unix"
)

// commandVariable makes the test program the command, as which it also runs the
// command's children.
const commandVariable = "CREDRPC_BENCH_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(leakVariable) != "" {
		loseThings()
	}
	if os.Getenv(commandVariable) == "1" {
		main()
		os.Exit(0)
	}
	os.Exit(leak.Run(m))
}

// command prepares the command with its own temporary directory, which must be
// empty when the command has ended, and whose path marks its children.
func command(t *testing.T, args ...string) (cmd *exec.Cmd, dir string) {
	t.Helper()
	dir = t.TempDir()
	cmd = exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), commandVariable+"=1", "TMPDIR="+dir, "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd, dir
}

// run runs the command and returns what it printed.
func run(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	cmd, dir := command(t, args...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Logf("%v: %v\n%s", args, err, exit.Stderr)
	}
	checkGone(t, dir)
	if left, err := os.ReadDir(dir); len(left) != 0 || err != nil {
		t.Errorf("%v left %v, %v", args, left, err)
	}
	return string(out), err
}

// checkGone waits until no process has dir in its command line or environment.
func checkGone(t *testing.T, dir string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var alive []string
		files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, file := range files {
			environment, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "environ"))
			line, _ := os.ReadFile(file)
			if bytes.Contains(line, []byte(dir)) || bytes.Contains(environment, []byte("TMPDIR="+dir+"\x00")) {
				alive = append(alive, strings.ReplaceAll(string(line), "\x00", " "))
			}
		}
		if len(alive) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still there: %q", alive)
		}
	}
}

// tiny are the flags of a comparison that shows only that everything works.
var tiny = []string{"--rounds", "2", "--seconds", "0.03", "--loads", "b4x1,t2"}

func TestQuick(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.json")
	out, err := run(t, append(tiny, "--json", file)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"b4x1: ", "t2: ", "reference ", "eventloop ", "eventloop-on-loop ", "× floor"} {
		if !strings.Contains(out, want) {
			t.Errorf("the table lacks %q:\n%s", want, out)
		}
	}
	var report struct {
		Machine   struct{ Kernel string }
		Servers   []struct{ Name string }
		Summaries []struct{ Errors int }
		Runs      []struct {
			Server string
			Round  int
			Load   string
			Calls  int
			User   float64 `json:"server_user_seconds"`
			System float64 `json:"server_system_seconds"`
		}
	}
	readReport(t, file, &report)
	if len(report.Runs) != 2*2*len(report.Servers) || len(report.Servers) < 3 || report.Machine.Kernel == "" {
		t.Errorf("%d runs of %d servers", len(report.Runs), len(report.Servers))
	}
	for _, r := range report.Runs {
		if r.Calls == 0 || r.User+r.System <= 0 {
			t.Errorf("%+v", r)
		}
	}
}

// readReport reads the only report of a result file.
func readReport(t *testing.T, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Reports []json.RawMessage }
	if err := json.Unmarshal(b, &file); err != nil || len(file.Reports) != 1 {
		t.Fatalf("%s: %v, %d reports", path, err, len(file.Reports))
	}
	if err := json.Unmarshal(file.Reports[0], into); err != nil {
		t.Fatal(err)
	}
}

// TestGnet compares gnet's engine, also with payloads that do not fit into a
// socket's buffer.
func TestGnet(t *testing.T) {
	for _, payload := range []string{"32", "1000000"} {
		out, err := run(t, append(tiny, "--servers", "gnet", "--payload", payload)...)
		if err != nil || !strings.Contains(out, "with each connection: gnet") {
			t.Errorf("%s bytes: %v\n%s", payload, err, out)
		}
	}
}

// TestNoCompiler leaves the floor out.
func TestNoCompiler(t *testing.T) {
	cmd, dir := command(t, append(tiny, "--servers", "floor,eventloop")...)
	cmd.Env = append(cmd.Env, "PATH="+dir)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "floor is left out") || strings.Contains(string(out), "floor-1  ") {
		t.Errorf("%s", out)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"--rounds", "0"}, {"--seconds", "0"}, {"--seconds", "-1"}, {"--loads", "x"}, {"--servers", "other"}, {"--unknown"},
		{"load"}, {"server", "other", "x"}, {"ladder", "--rules", "0"}, {"ladder", "--steps", "other"}, {"ladder", "--rounds", "0"},
		{"watched", "--flooders", "0"}, {"watched", "--rounds", "0"},
		{"clients", "--loads", "b2x1"}, {"clients", "--clients", "other"}, {"clients", "--servers", "gnet"}, {"clients", "--payload", "2M"}, {"clients", "--rounds", "0"},
		{"peers", "--loads", "b2x1"}, {"peers", "--loads", "t1", "--connections", "2"}, {"peers", "--servers", "floor"},
		{"sleepers", "--share", "1"}, {"sleepers", "--rounds", "0"}, {"idle", "--connections", "0"}, {"idle", "--request-timeout", "1s", "--seconds", "1"},
	} {
		if out, err := run(t, args...); err == nil {
			t.Errorf("%v: %s", args, out)
		}
	}
	for want, args := range map[string][]string{
		`Run "credrpc-bench quick --help" for usage.`: {"--servers", "other"}, // which lists the servers
		`Run "credrpc-bench run --help" for usage.`:   {"run", "--other"},
		`Run "credrpc-bench --help" for usage.`:       {"other"},
	} {
		if _, complaints, code := status(t, args...); code != exitUsage || !strings.Contains(complaints, want) {
			t.Errorf("%v: status %d, %s", args, code, complaints)
		}
	}
}

// waitFor starts the command and waits until it has printed what to standard
// error.
func waitFor(t *testing.T, cmd *exec.Cmd, what string) {
	t.Helper()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if strings.Contains(lines.Text(), what) {
			go io.Copy(io.Discard, stderr)
			return
		}
	}
	t.Fatalf("%q was not printed", what)
}

// TestInterrupt stops a long comparison, which still prints and writes what there is.
func TestInterrupt(t *testing.T) {
	text := filepath.Join(t.TempDir(), "r.txt")
	cmd, dir := command(t, "--rounds", "1000", "--seconds", "0.05", "--loads", "t1", "--servers", "reference,eventloop",
		"--go-bench", text, "--fail-if", "eventloop.errors > 0")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	waitFor(t, cmd, "round ")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended with %v", err)
	}
	if !strings.Contains(stdout.String(), "Interrupted") || !strings.Contains(stdout.String(), "--fail-if: 0 of 1 checks failed.") &&
		!strings.Contains(stdout.String(), "condition: it was not checked") {
		t.Errorf("%s", stdout.String())
	}
	if lines, err := os.ReadFile(text); err != nil || !strings.HasPrefix(string(lines), "Unit ") {
		t.Errorf("%v\n%s", err, lines)
	}
	checkGone(t, dir)
	if left, err := os.ReadDir(dir); len(left) != 0 || err != nil {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestInterruptTwice has a benchmark print to somebody who does not read. The first signal
// makes it try, the second one ends it.
func TestInterruptTwice(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel() // it waits most of the time
			cmd, dir := command(t, "run", "--seconds", "3600", "--warm-up", "0s", "--callers", "1")
			cmd.Stdout = fullPipe(t)
			waitFor(t, cmd, "measuring")
			for _, after := range []func(){func() {}, func() { awaitWrite(t, cmd.Process.Pid) }} {
				after()
				if err := cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
			}
			err := cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 128+int(signal) {
				t.Errorf("it ended with %v", err)
			}
			checkGone(t, dir)
			if left, err := os.ReadDir(dir); len(left) != 0 || err != nil {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// fullPipe returns a pipe that takes no byte more, whose other end is open.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	read, write := os.NewFile(uintptr(fds[0]), "read"), os.NewFile(uintptr(fds[1]), "write")
	t.Cleanup(func() { errors.Join(read.Close(), write.Close()) })
	size, err := unix.FcntlInt(uintptr(fds[1]), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := write.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	return write
}

// awaitWrite waits until a thread of a process writes to standard output. See proc(5),
// /proc/pid/syscall.
func awaitWrite(t *testing.T, pid int) {
	t.Helper()
	writes := fmt.Sprintf("%d 0x1 ", unix.SYS_WRITE)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
		for _, file := range files {
			if call, _ := os.ReadFile(file); strings.HasPrefix(string(call), writes) {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not print")
		}
	}
}

// TestKilled checks that children die with the benchmark.
func TestKilled(t *testing.T) {
	cmd, dir := command(t, "--rounds", "1000", "--loads", "t1", "--servers", "reference,eventloop")
	waitFor(t, cmd, "round ")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	checkGone(t, dir)
}

// TestServerKilled has a server that ends in the middle of a comparison.
func TestServerKilled(t *testing.T) {
	cmd, dir := command(t, "--rounds", "1000", "--seconds", "0.05", "--loads", "t1", "--servers", "reference")
	waitFor(t, cmd, "round ")
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, _ := os.ReadFile(file)
		if !bytes.Contains(line, []byte("server\x00reference\x00")) || !bytes.Contains(line, []byte(dir)) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		syscall.Kill(pid, syscall.SIGKILL)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended with %v", err)
	}
	checkGone(t, dir)
}

// TestLoadSeesWrongAnswers runs the load generator on a server that lies.
func TestLoadSeesWrongAnswers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				request := make([]byte, 100)
				if n, err := conn.Read(request); err == nil {
					request[n-1]++
					conn.Write(append([]byte{0, 0, 0, 0}, request[:n]...))
				}
			}()
		}
	}()
	out, err := run(t, "load", "--socket", path, "--seconds", "0.02")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out, "not the payload") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSleepers(t *testing.T) {
	out, err := run(t, "sleepers", "--rounds", "1", "--seconds", "0.1", "--sleep", "5ms", "--load", "t2")
	if err != nil || !strings.Contains(out, "callers whose handler sleeps 5ms") || !strings.Contains(out, "with by without") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestIdle(t *testing.T) {
	out, err := run(t, "idle", "--rounds", "1", "--seconds", "0.05", "--connections", "40", "--request-timeout", "2s", "--load", "t2")
	// On a machine that is slow enough the deadline passes before the load ends;
	// then the command says so and nothing else is wrong.
	missed := strings.Contains(out, "40 connections missed")
	if (err != nil) != missed || !strings.Contains(out, "40 ended") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestStrace(t *testing.T) {
	if err := exec.Command("strace", "-o", os.DevNull, "true").Run(); err != nil {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatal("strace is not installed or may not trace: ", err)
		}
		t.Skip("strace is not installed or may not trace: ", err)
	}
	out, err := run(t, "strace", "--seconds", "0.1", "--servers", "reference,eventloop-on-loop")
	if err != nil || !strings.Contains(out, "accept4 1.0") || !strings.Contains(out, "sendto 1.0") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestManual checks that the manual page is that of this program. "go generate
// ./cmd/..." makes it anew.
func TestManual(t *testing.T) {
	want, err := os.ReadFile("../../docs/man/credrpc-bench.1")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, "--man"); err != nil || out != string(want) {
		t.Errorf("%v: docs/man/credrpc-bench.1 is out of date; run \"go generate ./cmd/...\"", err)
	}
}

func TestUCSPI(t *testing.T) {
	if _, err := exec.LookPath("s6-ipcserver"); err != nil {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatal("the Debian package s6 is not installed")
		}
		t.Skip("the Debian package s6 is not installed")
	}
	out, err := run(t, "ucspi", "--rounds", "2", "--seconds", "0.1", "--loads", "t4")
	if err != nil || !strings.Contains(out, "credrpc ipcserver -x by s6-ipcserver, no rules") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, step := range []string{"s6-ipcserver, s6-ipcserver-access -x ", "s6-ipcserver, no rules ", "credrpc ipcserver -x ", "credrpc ipcserver, no rules "} {
		if !strings.Contains(out, "\n"+step) {
			t.Errorf("no row %q:\n%s", step, out)
		}
	}
}
