package ipcserver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds every wait of a test that is about to fail.
const patience = 20 * time.Second

// asServer makes the test binary the server when it is in the environment. The race
// detector would keep it for a second at its end.
const (
	asServer = "CREDRPC_TEST_IPCSERVER=1"
	noSleep  = "GORACE=atexit_sleep_ms=0"
)

// TestMain makes the test binary the server itself when it is started so.
func TestMain(m *testing.M) {
	if slices.Contains(os.Environ(), asServer) {
		for _, entry := range []string{asServer, noSleep} {
			name, _, _ := strings.Cut(entry, "=")
			os.Unsetenv(name)
		}
		os.Exit(Run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// needRoot skips tests that act as other users.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		lacks(t, "needs root")
	}
}

// needProgram returns a program of a Debian package.
func needProgram(t testing.TB, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		lacks(t, name+" of the Debian package "+debianPackage+" is not installed")
	}
	return path
}

func lacks(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CREDRPC_CI") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// tempDir returns a directory that every user can enter, whose path leaves room
// for a socket's name.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ipcs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A testServer is a server in a process of its own.
type testServer struct {
	t      testing.TB
	path   string
	cmd    *exec.Cmd
	stderr *log
	ended  chan struct{} // closed when the process has ended
	mute   chan struct{} // closed when it and its programs have closed standard error
}

// log is what a server and its programs write to standard error.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// ours returns the command that runs this package's server.
func ours(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asServer, noSleep)
	return cmd
}

// launch starts a server and waits until it says that it is ready: cmd has the
// option -1.
func launch(t testing.TB, path string, cmd *exec.Cmd) *testServer {
	t.Helper()
	s, ready := tryLaunch(t, path, cmd)
	if !ready {
		t.Fatalf("%v does not start: %v, %s", cmd.Args, cmd.ProcessState, s.stderr)
	}
	return s
}

// tryLaunch starts a server, and waits until it is ready or has ended.
func tryLaunch(t testing.TB, path string, cmd *exec.Cmd) (s *testServer, ready bool) {
	t.Helper()
	s = &testServer{t: t, path: path, cmd: cmd, stderr: new(log), ended: make(chan struct{}), mute: make(chan struct{})}
	notice, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer notice.Close()
	// Programs that go on after the server keep what copies from the pipe.
	stderr, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = stdout, pipe
	err = cmd.Start()
	stdout.Close()
	pipe.Close()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		io.Copy(s.stderr, stderr)
		stderr.Close()
		close(s.mute)
	}()
	go func() {
		cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() { s.kill() })
	notice.SetReadDeadline(time.Now().Add(patience))
	line, err := io.ReadAll(notice)
	if err != nil {
		t.Fatalf("waiting for readiness: %v", err)
	}
	if string(line) == "\n" {
		return s, true
	}
	s.exit()
	return s, false
}

// running starts our server with the option -1 and a path of its own.
func running(t testing.TB, options []string, program ...string) *testServer {
	t.Helper()
	path := filepath.Join(tempDir(t), "s")
	args := append(append([]string{"-1"}, options...), path)
	return launch(t, path, ours(t, append(args, program...)...))
}

// kill ends the server and its programs.
func (s *testServer) kill() {
	for _, pid := range s.children() {
		unix.Kill(pid, unix.SIGKILL)
	}
	s.cmd.Process.Kill()
	<-s.ended
}

// exit waits for the server's end and returns its exit status.
func (s *testServer) exit() int {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Fatalf("the server does not end: %s", s.stderr)
	}
	return s.cmd.ProcessState.ExitCode()
}

// terminate ends the server, whose programs have ended, and returns its messages.
func (s *testServer) terminate() []string {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	if status := s.exit(); status != 0 {
		s.t.Errorf("%v: exit status %d after SIGTERM", s.cmd.Args, status)
	}
	return s.lastMessages()
}

// lastMessages returns all messages of a server that has ended, and whose programs
// have ended.
func (s *testServer) lastMessages() []string {
	s.t.Helper()
	select {
	case <-s.mute:
	case <-time.After(patience):
		s.t.Fatal("somebody keeps standard error open")
	}
	return s.stderr.messages()
}

// quiet waits until no program runs.
func (s *testServer) quiet() {
	s.t.Helper()
	eventually(s.t, "every program is reaped", func() bool { return len(s.children()) == 0 })
}

// signal sends a signal to the server.
func (s *testServer) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// children returns the pids of the server's children, zombies too.
func (s *testServer) children() (pids []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.cmd.Process.Pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for field := range strings.FieldsSeq(string(text)) {
			var pid int
			if _, err := fmt.Sscan(field, &pid); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// descriptors returns what the server has open.
func (s *testServer) descriptors() (open []string) {
	s.t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, entry := range entries {
		target, _ := os.Readlink(filepath.Join(dir, entry.Name()))
		open = append(open, entry.Name()+" "+target)
	}
	return open
}

// eventually waits until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// dial connects to a server, with a deadline on everything.
func (s *testServer) dial() *net.UnixConn {
	s.t.Helper()
	c, err := net.Dial("unix", s.path)
	if err != nil {
		s.t.Fatalf("%v: %s", err, s.stderr)
	}
	c.SetDeadline(time.Now().Add(patience))
	s.t.Cleanup(func() { c.Close() })
	return c.(*net.UnixConn)
}

// An identity is whom a caller is.
type identity struct{ uid, gid int }

// call connects as who, unless that is nil, sends the request and returns the
// answer and how it ended: "end", "reset", or an error of connecting.
func call(t testing.TB, path string, who *identity, request string) (answer, end string) {
	t.Helper()
	c, err := dialAs(path, who)
	if err != nil {
		return "", err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, request)
	c.CloseWrite()
	b, err := io.ReadAll(c)
	switch {
	case err == nil:
		return string(b), "end"
	case errors.Is(err, unix.ECONNRESET):
		return string(b), "reset"
	}
	t.Fatalf("reading from %s: %v", path, err)
	return "", ""
}

// dialAs connects in a thread that is somebody else and that ends with that.
func dialAs(path string, who *identity) (c *net.UnixConn, err error) {
	if who == nil {
		conn, err := net.Dial("unix", path)
		if err != nil {
			return nil, err
		}
		return conn.(*net.UnixConn), nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		// Raw, since package unix would change every thread.
		keep := ^uintptr(0)
		for _, change := range [][2]uintptr{{unix.SYS_SETRESGID, uintptr(who.gid)}, {unix.SYS_SETRESUID, uintptr(who.uid)}} {
			if _, _, errno := unix.RawSyscall(change[0], keep, change[1], keep); errno != 0 {
				err = errno
				return
			}
		}
		var fd int
		if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return
		}
		if err = unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
			unix.Close(fd)
			return
		}
		file := os.NewFile(uintptr(fd), path)
		defer file.Close()
		var conn net.Conn
		if conn, err = net.FileConn(file); err == nil {
			c = conn.(*net.UnixConn)
		}
	}()
	<-done
	return c, err
}

// pids are numbers in messages that differ from run to run.
var pids = regexp.MustCompile(`\bpid \d+`)

// messages returns the lines of the log, sorted, without the program's name and
// with N for every pid.
func (l *log) messages() (lines []string) {
	for line := range strings.Lines(l.String()) {
		for _, name := range []string{name + ": ", "s6-ipcserverd: ", "s6-ipcserver-access: ", "s6-ipcserver-socketbinder: "} {
			line = strings.TrimPrefix(line, name)
		}
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), ": Success") // s6 names an errno that nobody set
		lines = append(lines, pids.ReplaceAllString(line, "pid N"))
	}
	slices.Sort(lines)
	return lines
}
