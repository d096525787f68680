package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"credrpc/client"

	"golang.org/x/sys/unix"
)

// unitSocket is a listening socket as systemd makes one, in this process.
func unitSocket(t *testing.T, path string, passCredentials bool) *os.File {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), path)
	t.Cleanup(func() { file.Close() })
	if passCredentials {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 100), os.Chmod(path, 0o666)); err != nil {
		t.Fatal(err)
	}
	return file
}

// activated returns cmd as systemd starts it: with files from descriptor 3 on, with env,
// and as the process that the variables name.
func activated(cmd *exec.Cmd, names string, files []*os.File, env ...string) *exec.Cmd {
	script := fmt.Sprintf(`LISTEN_PID=$$ LISTEN_FDS=%d LISTEN_FDNAMES=%s exec "$0" "$@"`, len(files), names)
	cmd.Args = append([]string{"/bin/sh", "-c", script, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.ExtraFiles = files
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// answers makes one call at path.
func answers(t *testing.T, path, request, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if got, err := (&client.Client{Path: path}).Call(ctx, []byte(request)); err != nil || string(got) != want {
		t.Errorf("%s: %q, %v; want %q", path, got, err, want)
	}
}

// TestActivation serves two sockets, whose first callers are older than the server.
func TestActivation(t *testing.T) {
	dir := tempDir(t)
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	files := []*os.File{unitSocket(t, a, true), unitSocket(t, b, true)}
	early := make(chan string)
	for _, path := range []string{a, b} {
		go func() {
			got, err := (&client.Client{Path: path}).Call(t.Context(), []byte("early"))
			early <- fmt.Sprint(string(got), err)
		}()
	}
	for _, listen := range []string{"systemd:", "systemd:one,two"} {
		tk := startTaker(t, activated(program(t, "serve", "--listen", listen), "one:two", files))
		awaitLine(t, tk.stderr, " msg=serving socket=")
		awaitLine(t, tk.stderr, " msg=serving socket=")
		if listen == "systemd:" {
			for range 2 {
				if got := <-early; got != "early<nil>" {
					t.Error(got)
				}
			}
		}
		answers(t, a, "at a", "at a")
		answers(t, b, "at b", "at b")
		tk.cmd.Process.Signal(syscall.SIGTERM)
		if err := tk.cmd.Wait(); err != nil {
			t.Error(err)
		}
		for _, path := range []string{a, b} {
			if _, err := os.Lstat(path); err != nil {
				t.Errorf("the socket belongs to systemd: %v", err)
			}
		}
	}
}

// TestActivationWatched looks at two sockets at one place: metrics tell them apart, the
// control socket adds them up, and "drain" ends both.
func TestActivationWatched(t *testing.T) {
	dir := tempDir(t)
	a, b, metrics, operators := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "m"), filepath.Join(dir, "c")
	files := []*os.File{unitSocket(t, a, true), unitSocket(t, b, true)}
	tk := startTaker(t, activated(program(t, "serve", "--listen=systemd:", "--audit=all", "--audit-to="+filepath.Join(dir, "log"),
		"--metrics=unix:"+metrics, "--control="+operators), "one:one", files))
	for range files {
		awaitLine(t, tk.stderr, " msg=serving socket=one handler=echo on=")
	}
	for path, calls := range map[string]int{a: 2, b: 3} {
		for range calls {
			answers(t, path, "x", "x")
		}
	}
	s := controlStats(t, operators)
	for begin := time.Now(); s.Latency.Count < 5 && time.Since(begin) < patience; s = controlStats(t, operators) {
		time.Sleep(time.Millisecond) // a caller has his answer before it is counted
	}
	if s.Calls.Answered != 5 || len(s.Sockets) != 2 || s.Sockets[0].Socket != a || s.Sockets[0].Calls.Answered != 2 || s.Sockets[1].Latency.Count != 3 {
		t.Errorf("%+v", s)
	}
	contains(t, scrape(t, "unix", metrics),
		fmt.Sprintf(`credrpc_calls_total{outcome="answered",socket=%q} 2`, a),
		fmt.Sprintf(`credrpc_calls_total{outcome="answered",socket=%q} 3`, b),
		fmt.Sprintf(`credrpc_call_duration_seconds_count{socket=%q} 3`, b))
	if status, _, stderr := result("", "call", operators, "drain"); status != exitOK {
		t.Errorf("%d, %q", status, stderr)
	}
	if err := tk.cmd.Wait(); err != nil {
		t.Error(err)
	}
	if log, err := os.ReadFile(filepath.Join(dir, "log")); err != nil || bytes.Count(log, []byte(`"outcome":"answered"`)) != 5 {
		t.Errorf("%v, %s", err, log)
	}
}

// TestActivationErrors checks what an administrator is told who has made a mistake.
func TestActivationErrors(t *testing.T) {
	dir := tempDir(t)
	a, b := unitSocket(t, filepath.Join(dir, "a"), true), unitSocket(t, filepath.Join(dir, "b"), true)
	for _, tt := range []struct {
		args  string
		names string
		files []*os.File
		want  string
	}{
		{"--listen systemd:", "", nil, "credrpc: --listen \"systemd:\": systemd: no listening sockets were passed to this process: LISTEN_FDS=0; start the service by its socket unit, which must have the name of the service or Service=\n"},
		{"--listen systemd:three", "one:two", []*os.File{a, b}, `credrpc: --listen "systemd:three": no socket "three" was passed, but "one", "two"; the names are those of FileDescriptorName= in the socket units` + "\n"},
		{"--listen systemd:two", "one:two", []*os.File{a, b}, `credrpc: --listen "systemd:two": nobody would serve "one", which was passed too; add its name after a comma, or take all with --listen systemd:` + "\n"},
		{"--listen systemd:", "one", []*os.File{a, b}, `credrpc: --listen "systemd:": systemd: LISTEN_FDNAMES="one" has 1 names, LISTEN_FDS=2` + "\n"},
		{"--listen " + dir + "/new", "one", []*os.File{a}, `credrpc: --listen "` + dir + `/new": systemd has passed sockets that nobody would serve ("one"); serve them with --listen systemd:, or remove the socket unit` + "\n"},
		{"--listen systemd: --mode 0666", "one", []*os.File{a}, "credrpc: --mode, --owner, --group: systemd makes the socket; use SocketMode=, SocketUser=, SocketGroup= in its socket unit\n"},
		{"--listen systemd: --takeover", "one", []*os.File{a}, "credrpc: --takeover: systemd keeps the socket and passes it to the next server, which needs no takeover; leave it out with --listen systemd:\n"},
		{"--listen " + dir + "/new --exit-when-idle 1s", "", nil, "credrpc: --exit-when-idle: nobody would start the service again; it needs --listen systemd: and a socket unit\n"},
		{"--listen systemd: --exit-when-idle=-1s", "one", []*os.File{a}, "credrpc: --exit-when-idle: want more than 0\n"},
	} {
		out, err := activated(program(t, append([]string{"serve"}, strings.Fields(tt.args)...)...), tt.names, tt.files).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitUsage || string(out) != tt.want {
			t.Errorf("%s: %v\n got %q\nwant %q", tt.args, err, out, tt.want)
		}
	}
}

// TestExitWhenIdle ends servers, each after a call that has started it, and loses none.
func TestExitWhenIdle(t *testing.T) {
	path := filepath.Join(tempDir(t), "s")
	file := unitSocket(t, path, true)
	for i := range 3 {
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			answers(t, path, fmt.Sprint(i), fmt.Sprint(i))
		}()
		tk := startTaker(t, activated(program(t, "serve", "--listen=systemd:", "--exit-when-idle=100ms"), "s", []*os.File{file}))
		awaitLine(t, tk.stderr, "nothing was called, the service ends until it is")
		<-answered
		if err := tk.cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	// One whose caller takes his time is not idle.
	tk := startTaker(t, activated(program(t, "serve", "--listen=systemd:", "--exit-when-idle=50ms"), "s", []*os.File{file}))
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	c.Write([]byte("\x00\x00\x00\x02a"))
	awaitLine(t, tk.stderr, " msg=serving ")
	time.Sleep(200 * time.Millisecond)
	c.Write([]byte("b"))
	if got, err := bufio.NewReader(c).ReadString('b'); got != "\x00\x00\x00\x00\x00\x00\x00\x02ab" {
		t.Errorf("%q, %v", got, err)
	}
	awaitLine(t, tk.stderr, "nothing was called")
	if err := tk.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// A notes is where a test is told what systemd would be told.
type notes struct {
	t    *testing.T
	conn *net.UnixConn
}

func openNotes(t *testing.T, name string) *notes {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &notes{t, conn}
}

// await reads messages, signs of life aside, until one begins so.
func (n *notes) await(prefix string) string {
	n.t.Helper()
	buf := make([]byte, 4096)
	n.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		k, err := n.conn.Read(buf)
		if err != nil {
			n.t.Fatalf("no message %q: %v", prefix, err)
		}
		if got := string(buf[:k]); strings.HasPrefix(got, prefix) {
			return got
		} else if got != "WATCHDOG=1" {
			n.t.Fatalf("%q, want %q", got, prefix)
		}
	}
}

// TestNotify follows what systemd is told from the start to the end, at a path and at an
// abstract name, the latter in a sandbox, where nothing can be opened or connected.
func TestNotify(t *testing.T) {
	for _, sandbox := range []bool{false, true} {
		t.Run(fmt.Sprintf("sandbox=%v", sandbox), func(t *testing.T) {
			dir := tempDir(t)
			path, rules, name := filepath.Join(dir, "s"), filepath.Join(dir, "rules.cdb"), filepath.Join(dir, "n")
			compileRules(t, rules, "uid/default/allow")
			cmd := program(t, "serve", "--listen=systemd:x", "--rules", rules, "--handler=whoami")
			if sandbox {
				needSandbox(t)
				name = fmt.Sprintf("@credrpc-notify-%d", os.Getpid())
				cmd = sandboxCommand(t, 0, "serve", "--listen=systemd:x", "--rules", rules, "--handler=whoami", "--sandbox")
			}
			n := openNotes(t, name)
			tk := startTaker(t, activated(cmd, "x", []*os.File{unitSocket(t, path, true)}, "NOTIFY_SOCKET="+name, "WATCHDOG_USEC=300000"))
			n.await("STATUS=serving whoami on " + path + ", 0 calls, 0 refused")
			n.await("READY=1")
			if status, out, stderr := result("", "call", path); status != exitOK || !strings.Contains(out, `"rule":"uid/default"`) {
				t.Errorf("%d, %q, %q", status, out, stderr)
			}
			tk.cmd.Process.Signal(syscall.SIGHUP)
			n.await("RELOADING=1\nMONOTONIC_USEC=")
			n.await("STATUS=serving whoami on " + path + ", 1 calls, 0 refused")
			n.await("READY=1")
			if err := os.WriteFile(rules+".bad", []byte("no rules"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(rules+".bad", rules); err != nil {
				t.Fatal(err)
			}
			tk.cmd.Process.Signal(syscall.SIGHUP)
			n.await("RELOADING=1")
			if got := n.await("STATUS="); !strings.Contains(got, "; the last reload failed and changed nothing: ") {
				t.Errorf("%q", got)
			}
			n.await("READY=1")
			buf := make([]byte, 100)
			if k, err := n.conn.Read(buf); err != nil || string(buf[:k]) != "WATCHDOG=1" {
				t.Errorf("%q, %v", buf[:k], err)
			}
			tk.cmd.Process.Signal(syscall.SIGTERM)
			n.await("STOPPING=1")
			if err := tk.cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// compileRules makes the file of rules that has these files, such as uid/default/allow.
func compileRules(t *testing.T, path string, files ...string) {
	t.Helper()
	dir := t.TempDir()
	for _, file := range files {
		file = filepath.Join(dir, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if status, _, stderr := result("", "rules", "compile", dir, path); status != exitOK {
		t.Fatal(stderr)
	}
}

// TestActivatedPrograms looks at what the programs of an activated server inherit.
func TestActivatedPrograms(t *testing.T) {
	path := filepath.Join(tempDir(t), "s")
	n := openNotes(t, path+".n")
	startTaker(t, activated(program(t, "serve", "--listen=systemd:", "--handler=exec", "--without-rules", "--", "/bin/sh", "-c", "echo $IPCLOCALPATH; env | grep -e LISTEN_ -e NOTIFY -e WATCHDOG; ls /proc/self/fd | wc -l"),
		"x", []*os.File{unitSocket(t, path, true)}, "NOTIFY_SOCKET="+path+".n", "WATCHDOG_USEC=60000000"))
	n.await("STATUS=")
	n.await("READY=1")
	answers(t, path, "", path+"\n4\n") // 0, 1, 2 and the one that ls has opened
}

// socketActivate starts systemd's own program, which waits for the first caller.
func socketActivate(t *testing.T, args ...string) {
	t.Helper()
	const name = "systemd-socket-activate"
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatal(err)
		}
		t.Skip("needs systemd-socket-activate of the package systemd")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience) // outlives the test's
	cmd := exec.CommandContext(ctx, name, args...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer cancel()
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, &log)
		}
		if !strings.Contains(log.String(), "add PassCredentials=yes to [Socket] of its socket unit") {
			t.Errorf("the log says %s", &log)
		}
	})
}

// TestSocketActivate is started by systemd's program for trying activation, which cannot
// set PassCredentials=yes. Its first caller, another user, whose request has come before
// the server has, is known all the same, as are those who come later.
func TestSocketActivate(t *testing.T) {
	dir := tempDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	needSandbox(t) // as root, with the program without cgo, which strangers can read
	binary, err := withoutCgo()
	if err != nil {
		t.Fatal(err)
	}
	socketActivate(t, "--listen="+a, "--listen="+b, "--fdname=one:two", binary, "serve", "--listen", "systemd:one,two", "--handler=whoami", "--sandbox")
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		if _, err := os.Lstat(b); err == nil {
			break
		} else if time.Since(begin) > patience {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chmod(a, 0o666), os.Chmod(b, 0o666)); err != nil { // it has no option for that either
		t.Fatal(err)
	}
	first, err := sandboxCommand(t, stranger, "call", "--timeout=10s", a, "").CombinedOutput()
	if strings.Count(string(first), fmt.Sprintf(`"uid":%d`, stranger)) != 2 {
		t.Errorf("the first caller gets %q, %v", first, err)
	}
	for _, path := range slices.Repeat([]string{a, b}, 3) {
		got, err := sandboxCommand(t, stranger, "call", path, "").CombinedOutput()
		if strings.Count(string(got), fmt.Sprintf(`"uid":%d`, stranger)) != 2 {
			t.Errorf("another user gets %q, %v", got, err)
		}
	}
}
