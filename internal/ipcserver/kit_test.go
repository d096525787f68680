package ipcserver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"credrpc/internal/leak"

	"golang.org/x/sys/unix"
)

// patience bounds every wait of a test that is about to fail.
const patience = 20 * time.Second

// serverName makes the test binary the server when it is started under that name.
const serverName = "ipcserver-under-test"

// noSleep keeps the race detector from sleeping for a second at the end of a
// process.
const noSleep = "GORACE=atexit_sleep_ms=0"

// TestMain makes the test binary the server itself when it is started so.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == serverName {
		os.Unsetenv("GORACE") // programs need not know
		os.Exit(Run(os.Args[1:], os.Stdout, os.Stderr))
	}
	// Where SIGHUP is ignored, as under nohup(1), s6-ipcserver hands that on and the server
	// without cgo does not. Programs begin with the default of what is caught.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	os.Exit(leak.Run(m))
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
	cmd.Args[0] = serverName
	cmd.Env = append(os.Environ(), noSleep)
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
	programs := s.programs()
	s.cmd.Process.Kill()
	<-s.ended
	for _, p := range programs {
		p.signal(unix.SIGKILL)
		p.close()
	}
}

// A program is a child of a server, whose pid may become another's meanwhile.
type program struct{ pidfd int }

func (p program) signal(signal syscall.Signal) bool {
	return unix.PidfdSendSignal(p.pidfd, signal, nil, 0) == nil
}

func (p program) close() { unix.Close(p.pidfd) }

// programs returns the programs that run now. What is being loaded is none yet: it
// shares the server's memory, see worker.spawn.
func (s *testServer) programs() (found []program) {
	command := func(pid int) string {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		return string(text)
	}
	server := command(s.cmd.Process.Pid)
	for _, pid := range s.children() {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		// It is this process, if it is a child still.
		if comm := command(pid); comm != server && comm != "" && slices.Contains(s.children(), pid) {
			found = append(found, program{fd})
		} else {
			unix.Close(fd)
		}
	}
	return found
}

// stop stops the server with SIGSTOP.
func (s *testServer) stop() {
	s.t.Helper()
	s.signal(unix.SIGSTOP)
	eventually(s.t, "the server stops", func() bool {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
		_, fields, _ := strings.Cut(string(text), ") ")
		return strings.HasPrefix(fields, "T")
	})
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

// children returns the pids of the server's children, zombies too. After its end
// there are none: its pid may be another's.
func (s *testServer) children() (pids []int) {
	select {
	case <-s.ended:
		return nil
	default:
	}
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

// descriptors returns what is open in that thread of the server that has most open.
func (s *testServer) descriptors() (most []string) {
	s.t.Helper()
	tables, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/fd", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, table := range tables {
		var open []string
		entries, _ := os.ReadDir(table)
		for _, entry := range entries {
			target, _ := os.Readlink(filepath.Join(table, entry.Name()))
			open = append(open, entry.Name()+" "+target)
		}
		if len(open) > len(most) {
			most = open
		}
	}
	return most
}

// noMoreOpen checks that no more is open than before.
func (s *testServer) noMoreOpen(before []string) {
	s.t.Helper()
	var after []string
	defer func() {
		if len(after) > len(before) {
			s.t.Errorf("open before: %q\nafter: %q", before, after)
		}
	}()
	eventually(s.t, "descriptors are closed", func() bool {
		after = s.descriptors()
		return len(after) <= len(before)
	})
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
