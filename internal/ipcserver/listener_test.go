package ipcserver

import (
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// fails checks that a server does not start, and says why.
func fails(t *testing.T, path string, cmd *exec.Cmd, status int, message string) {
	t.Helper()
	s, ready := tryLaunch(t, path, cmd)
	if ready {
		t.Fatalf("%v: serves", cmd.Args)
	}
	if got := s.exit(); got != status || !slices.Equal(s.lastMessages(), []string{message}) {
		t.Errorf("%v: exit status %d, messages %q; want %d, %q", cmd.Args, got, s.lastMessages(), status, message)
	}
}

// TestSocketFile checks permissions, and that the file outlives the server as that
// of s6-ipcserver does.
func TestSocketFile(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	for options, want := range map[string]fs.FileMode{"": 0o777, "-a0660": 0o660, "-a 1": 0o001, "-a0": 0} {
		path := filepath.Join(tempDir(t), "s")
		s := launch(t, path, ours(t, slices.Concat([]string{"-1"}, strings.Fields(options), []string{path, "/bin/sh", "-c", "umask"})...))
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != want|fs.ModeSocket {
			t.Errorf("%q: %v, %v", options, info.Mode(), err)
		}
		if want == 0o777 {
			if answer, _ := call(t, path, nil, ""); answer != "0077\n" {
				t.Errorf("the program's umask is %q", answer)
			}
		}
		s.terminate()
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%q: after the end: %v", options, err)
		}
	}
}

// TestTakeOver starts servers where others have been, or are.
func TestTakeOver(t *testing.T) {
	path := filepath.Join(tempDir(t), "s")
	server := func(options ...string) *exec.Cmd {
		return ours(t, slices.Concat([]string{"-1"}, options, []string{path, "/bin/echo", "served"})...)
	}
	serves := func() {
		t.Helper()
		if answer, end := call(t, path, nil, ""); answer != "served\n" {
			t.Errorf("%q, %s", answer, end)
		}
	}
	inTheWay := "fatal: unable to bind to " + path + ": "
	first := launch(t, path, server("-D"))
	serves()
	fails(t, path, server(), statusSystem, inTheWay+`"`+path+`.lock" is locked: another server uses it`)
	fails(t, path, server("-D"), statusSystem, inTheWay+"bind: address already in use")
	serves()
	first.kill()
	fails(t, path, server("-D"), statusSystem, inTheWay+"bind: address already in use")
	second := launch(t, path, server())
	serves()
	second.terminate()
	launch(t, path, server()).terminate()

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, path, server(), statusSystem, inTheWay+"exists and is not a socket; it is left alone")
	if content, err := os.ReadFile(path); string(content) != "precious" {
		t.Errorf("%q, %v", content, err)
	}
	path = filepath.Join(path, "s")
	fails(t, path, server(), statusSystem, "fatal: unable to bind to "+path+": open "+path+".lock: not a directory")
}

// TestStartAtOnce starts several servers at a time: one serves.
func TestStartAtOnce(t *testing.T) {
	const many = 6
	for range 3 {
		path := filepath.Join(tempDir(t), "s")
		// A stale socket makes it harder.
		stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
		if err != nil {
			t.Fatal(err)
		}
		stale.SetUnlinkOnClose(false)
		stale.Close()
		results := make(chan bool, many)
		for range many {
			go func() {
				_, ready := tryLaunch(t, path, ours(t, "-1", path, "/bin/echo", "served"))
				results <- ready
			}()
		}
		ready := 0
		for range many {
			if <-results {
				ready++
			}
		}
		if answer, _ := call(t, path, nil, ""); ready != 1 || answer != "served\n" {
			t.Errorf("%d servers, %q", ready, answer)
		}
	}
}

// TestAbstract serves an abstract name.
func TestAbstract(t *testing.T) {
	name := "@credrpc-" + filepath.Base(tempDir(t))
	s := launch(t, name, ours(t, "-1", "-e", name, "/bin/sh", "-c", "echo \"<$IPCLOCALPATH>\""))
	if answer, _ := call(t, s.path, nil, ""); answer != "<>\n" {
		t.Errorf("%q", answer)
	}
	fails(t, name, ours(t, "-1", name, "/bin/true"), statusSystem, "fatal: unable to bind to "+name+": another server uses it")
}

// passed returns the command of a server that gets a listener as systemd passes it.
func passed(t *testing.T, listener *net.UnixListener, env string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := ours(t, args...)
	cmd.Args = slices.Concat([]string{"/bin/bash", "-c", env + ` exec -a "$1" "$0" "${@:2}"`, cmd.Path, serverName}, cmd.Args[1:])
	cmd.Path = "/bin/bash"
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	cmd.ExtraFiles = []*os.File{file}
	return cmd
}

// TestSocketActivation serves a listener that was passed, callers included that
// came before the server.
func TestSocketActivation(t *testing.T) {
	path := filepath.Join(tempDir(t), "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	const ok = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=x"
	for _, given := range []string{"-", path} {
		early, err := dialAs(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer early.Close()
		s := launch(t, path, passed(t, listener, ok, "-1", "-e", given, "/bin/sh", "-c", "echo $IPCLOCALPATH; env | grep LISTEN; ls /proc/self/fd"))
		want := path + "\n" + inheritedDescriptors(t)
		expect(t, early, want)
		if answer, _ := call(t, path, nil, ""); answer != want {
			t.Errorf("path %q: %q", given, answer)
		}
		s.terminate()
	}
	for _, tt := range []struct {
		env     string
		args    []string
		message string
	}{
		{ok, []string{"/other/path"}, `fatal: path "/other/path": the socket that was passed is "` + path + `"; give that or "-"`},
		{"LISTEN_PID=$$ LISTEN_FDS=2", []string{"-"}, "fatal: LISTEN_FDS=2: want 1 socket"},
		{"LISTEN_PID=$$ LISTEN_FDS=many", []string{"-"}, `fatal: LISTEN_FDS="many": want a number up to 1024`},
		{"LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=a:b", []string{"-"}, `fatal: LISTEN_FDNAMES="a:b" has 2 names, LISTEN_FDS=1`},
		{"X=1", []string{"-"}, `fatal: path "-": no listening sockets were passed to this process: LISTEN_PID is not set`},
		{ok, []string{"-a600", "-"}, "fatal: -a, -b, -D: the socket was made by whoever passed it; in a socket unit see SocketMode= and Backlog="},
		{ok + "; exec 3</dev/null;", []string{"-"}, `fatal: descriptor 3, "x": is no socket; want ListenStream= and a path in the socket unit`},
	} {
		env := tt.env
		if strings.Contains(env, ";") {
			env = strings.Replace(env, "LISTEN_PID", "export LISTEN_PID", 1)
		}
		fails(t, path, passed(t, listener, env, append([]string{"-1"}, append(tt.args, "/bin/true")...)...), statusUsage, tt.message)
	}
}

// inheritedDescriptors returns what "ls /proc/self/fd" says in a process that has
// only standard streams and what this process has inherited itself.
func inheritedDescriptors(t *testing.T) string {
	t.Helper()
	list, err := exec.Command("/bin/ls", "/proc/self/fd").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(list)
}

// TestStandardStreams leaves nothing of the server's own to programs but standard
// error.
func TestStandardStreams(t *testing.T) {
	s := running(t, nil, "/bin/sh", "-c", "/bin/ls /proc/self/fd; readlink /proc/self/fd/0 /proc/self/fd/1; echo to the log >&2")
	answer, _ := call(t, s.path, nil, "")
	list, ends, _ := strings.Cut(answer, "socket:")
	if want := inheritedDescriptors(t); list != want {
		t.Errorf("want %q, got %q", want, list)
	}
	if in, out, _ := strings.Cut(ends, "\n"); out != "socket:"+in+"\n" {
		t.Errorf("standard input and output are %q", ends)
	}
	eventually(t, "the message of the program", func() bool { return s.stderr.String() == "to the log\n" })
	for _, open := range s.descriptors() {
		if number, target, _ := strings.Cut(open, " "); (number == "0" || number == "1") && target != "/dev/null" {
			t.Errorf("descriptor %s is %s", number, target)
		}
	}
}

// TestDeafLog goes on when nobody reads its messages.
func TestDeafLog(t *testing.T) {
	path := filepath.Join(tempDir(t), "s")
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	notice, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := ours(t, "-1v", path, "/bin/echo", "served")
	cmd.Stderr, cmd.Stdout = writer, stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	stdout.Close()
	writer.Close()
	notice.Read(make([]byte, 1))
	notice.Close()
	reader.Close()
	for range 3 {
		if answer, end := call(t, path, nil, ""); answer != "served\n" {
			t.Errorf("%q, %s", answer, end)
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestNoProgram serves although there is no such program, and finds it when it
// comes.
func TestNoProgram(t *testing.T) {
	dir := tempDir(t)
	path := filepath.Join(dir, "s")
	cmd := ours(t, "-1", path, "late-program")
	cmd.Env = []string{"PATH=" + filepath.Join(dir, "empty") + "::" + dir, noSleep}
	cmd.Dir = filepath.Join(dir, "here")
	for _, d := range []string{cmd.Dir, filepath.Join(dir, "empty")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const script = "#!/bin/sh\necho served by $0\n"
	// The current directory is in no PATH.
	if err := os.WriteFile(filepath.Join(cmd.Dir, "late-program"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	s := launch(t, path, cmd)
	if answer, end := call(t, path, nil, ""); answer != "" || end != "end" && end != "reset" {
		t.Errorf("%q, %s", answer, end)
	}
	want := []string{
		"error: unable to run late-program: no such file or directory",
		"warning: late-program: no such file or directory; it is looked for again when somebody connects",
	}
	eventually(t, "messages", func() bool { return slices.Equal(s.stderr.messages(), want) })
	late := filepath.Join(dir, "late-program")
	if err := os.WriteFile(late, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if answer, _ := call(t, path, nil, ""); answer != "served by "+late+"\n" {
		t.Errorf("%q", answer)
	}
	s.quiet()
}
