package chown

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"credrpc/client"

	"golang.org/x/sys/unix"
)

// builtDir has the programs, once they are built; set by built.
var builtDir string

// built builds the programs as they are shipped.
var built = sync.OnceValue(func() error {
	var err error
	if builtDir, err = os.MkdirTemp("", "chown"); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-o", builtDir, "./credrpc-chownd", "./credrpc-takeown")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w: %s", err, out)
	}
	return os.Chmod(builtDir, 0o755)
})

// path returns the path of a program, which is built or installed.
func (g *ground) path(name string) string {
	g.t.Helper()
	if isInstalled() {
		return installed[name]
	}
	g.do(built())
	return filepath.Join(builtDir, name)
}

// A daemon is a running credrpc-chownd.
type daemon struct {
	g     *ground
	cmd   *exec.Cmd
	lines chan string // of its standard error
}

// start starts a command, whose standard error is the daemon's.
func (g *ground) startDaemon(change func(*exec.Cmd), command ...string) *daemon {
	g.t.Helper()
	d := &daemon{g: g, cmd: exec.Command(command[0], command[1:]...), lines: make(chan string, 10_000)}
	d.cmd.Dir = "/"
	change(d.cmd)
	stderr, err := d.cmd.StderrPipe()
	g.do(err)
	g.do(d.cmd.Start())
	go func() {
		defer close(d.lines)
		for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
			d.lines <- scanner.Text()
		}
	}()
	g.t.Cleanup(func() { d.cmd.Process.Kill(); d.cmd.Wait() })
	return d
}

// await returns the next line that contains text.
func (d *daemon) await(text string) string {
	d.g.t.Helper()
	var before []string
	for timeout := time.After(patience); ; {
		select {
		case line, open := <-d.lines:
			if strings.Contains(line, text) {
				return line
			}
			before = append(before, line)
			if open {
				continue
			}
		case <-timeout:
		}
		d.g.t.Fatalf("the daemon does not say %q, but:\n%s", text, strings.Join(before, "\n"))
	}
}

// end ends the daemon, and fails if it does not end well.
func (d *daemon) end() {
	d.g.t.Helper()
	d.g.do(d.cmd.Process.Signal(syscall.SIGTERM))
	timer := time.AfterFunc(patience, func() { d.cmd.Process.Kill() })
	defer timer.Stop()
	for range d.lines {
	}
	d.g.do(d.cmd.Wait())
}

// rules makes rules that let alice and bob call, and returns their path.
func (g *ground) rules() string {
	for _, uid := range []int{alice, bob} {
		g.allow(uid)
	}
	return g.rulesPath()
}

func (g *ground) rulesPath() string {
	if isInstalled() {
		return installedRules
	}
	return g.dir + "/rules"
}

// allow makes a rule that lets a user call, until the end of the test.
func (g *ground) allow(uid int) {
	g.t.Helper()
	rule := g.file(fmt.Sprintf("%s/uid/%d/allow", g.rulesPath(), uid), 0)
	g.do(os.Chmod(rule, 0o644)) // access(2), with which rules are looked at, knows no capabilities
	g.t.Cleanup(func() { os.RemoveAll(filepath.Dir(rule)) })
}

// chownd is the command line of the daemon, without a socket.
func (g *ground) chownd() []string {
	g.t.Helper()
	return []string{g.path("credrpc-chownd"), "--base", g.base, "--from", "root", "--rules", g.rules()}
}

// takeown runs the client as a user, and returns its exit status and all that it says.
func (g *ground) takeown(uid int, socket string, files ...string) (int, string) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, g.path("credrpc-takeown"))
	if !isInstalled() { // where it finds both by itself
		cmd.Args = append(cmd.Args, "--base", g.base, "--socket", socket)
	}
	cmd.Args = append(cmd.Args, files...)
	cmd.SysProcAttr, cmd.Dir = as(uid), "/"
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		g.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// runDir makes the directory of a socket, which belongs to the user who makes that.
func (g *ground) runDir(owner int) (socket string) {
	socket = g.dir + "/run/s"
	if isInstalled() {
		socket = installedSocket
	}
	g.do(os.MkdirAll(filepath.Dir(socket), 0o755))
	g.do(os.Chown(filepath.Dir(socket), owner, owner))
	return socket
}

// TestPrograms has users take files from the daemon as root starts it.
func TestPrograms(t *testing.T) {
	g := newGround(t)
	socket, tree := g.runDir(0), g.tree(alice)
	d := g.startDaemon(func(*exec.Cmd) {}, append(g.chownd(), "--listen", socket)...)
	d.await(`"msg":"serving"`)
	file, second := g.file(tree+"/f", 0), g.file(tree+"/out/g", 0)
	outside := g.file(g.dir+"/outside", 0)
	bobs := g.file(g.tree(bob)+"/f", 0)
	g.do(os.Symlink(outside, tree+"/l"))
	for _, c := range []struct {
		uid    int
		files  []string
		status int
		says   string
	}{
		{alice, []string{file, tree + "/out/../out/g"}, 0, "0:0 -> 54321:54321"},
		{alice, []string{file}, 0, "54321:54321 -> 54321:54321"},
		{alice, []string{tree + "/l", file}, 1, "symbolic link"},
		{alice, []string{bobs}, 2, "is not below your tree, " + tree},
		{alice, []string{tree}, 2, "is not below your tree"},
		{alice, nil, 2, "no file is named"},
		{alice, []string{tree + "/" + long(MaxPath+1)}, 2, "has 4096 bytes"},
		{alice, []string{"--timeout=0", file}, 2, "--timeout: want more than 0"},
		{alice, []string{"--nonsense"}, 2, "--help"},
		{alice, []string{"--help"}, 0, "Usage: credrpc-takeown"},
		{stranger, []string{g.tree(stranger) + "/f"}, 1, "access denied"},
		{alice, []string{"--socket", g.dir + "/missing", file}, 3, "no such file"},
	} {
		status, says := g.takeown(c.uid, socket, c.files...)
		if status != c.status || !strings.Contains(says, c.says) {
			t.Errorf("%d %.100q: exit status %d, says %.200q, want %d and something about %q", c.uid, c.files, status, says, c.status, c.says)
		}
	}
	g.want(file, alice)
	g.want(second, alice)
	g.want(outside, 0)
	g.want(bobs, 0)
	if line := d.await(`"path":"f"`); !strings.Contains(line, `"uid":54321,"gid":54321,`) || !strings.Contains(line, `"rule":"uid/54321"`) || !strings.Contains(line, `"outcome":"taken"`) {
		t.Errorf("the log says %s", line)
	}
	d.await(`"reason":"access","peer":{"pid":`)
	g.garbage(socket)
	g.do(d.cmd.Process.Signal(syscall.SIGHUP))
	d.await("SIGHUP: the rules are loaded")
	if status, says := g.takeown(bob, socket, bobs); status != 0 {
		t.Errorf("after garbage: exit status %d, %s", status, says)
	}
	g.want(bobs, bob)
	d.end()
	if _, err := os.Lstat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// garbage sends what is no request, as root, whom a rule allows from then on.
func (g *ground) garbage(socket string) {
	g.t.Helper()
	g.allow(0)
	c := client.Client{Path: socket}
	path5000 := long(5000)
	for payload, want := range map[string]string{
		"":                            "malformed message",
		"\x00":                        "malformed message",
		"\x00\x01ff":                  "malformed message",
		"\xff\xfff":                   "malformed message",
		"\x00\x09../1/file":           `".."`,
		"\x00\x0b/etc/shadow":         "is absolute",
		"\x13\x88" + path5000:         "request too large",
		strings.Repeat("\x00", 1<<20): "request too large",
	} {
		_, err := c.Call(g.t.Context(), []byte(payload))
		if err == nil || !strings.Contains(err.Error(), want) {
			g.t.Errorf("%.20q of %d bytes: %v, want something about %q", payload, len(payload), err, want)
		}
	}
	for _, frame := range []string{"\xff\xff\xff\xff", "\x00\x00\x00\x05ab", "\x00"} {
		conn, err := net.Dial("unix", socket)
		g.do(err)
		_, err = conn.Write([]byte(frame))
		g.do(err)
		g.do(conn.Close())
	}
}

// TestAsInUnit has the daemon as the units start it: a user of its own with two capabilities,
// and told where the service manager waits for word.
func TestAsInUnit(t *testing.T) {
	const service = 54329
	g := newGround(t)
	socket := g.runDir(service)
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: g.dir + "/notify", Net: "unixgram"})
	g.do(err)
	defer manager.Close()
	g.do(os.Chmod(g.dir+"/notify", 0o666))
	d := g.startDaemon(func(cmd *exec.Cmd) {
		cmd.SysProcAttr = as(service)
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_CHOWN, unix.CAP_DAC_READ_SEARCH}
		cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+g.dir+"/notify")
	}, append(g.chownd(), "--listen", socket)...)
	g.do(manager.SetReadDeadline(time.Now().Add(patience)))
	word := make([]byte, 100)
	n, err := manager.Read(word)
	if string(word[:n]) != "READY=1" || err != nil {
		t.Errorf("the service manager hears %q, %v", word[:n], err)
	}
	if line := d.await(`"msg":"serving"`); !strings.Contains(line, `"capabilities":["CAP_CHOWN","CAP_DAC_READ_SEARCH"]`) {
		t.Errorf("it serves with %s", line)
	}
	file := g.file(g.tree(alice)+"/private/f", 0)
	g.do(os.Chmod(filepath.Dir(file), 0o700))
	if status, says := g.takeown(alice, socket, file); status != 0 {
		t.Errorf("exit status %d, %s", status, says)
	}
	g.want(file, alice)
	d.end()
}

// activate starts the daemon by the first connection to its socket.
func (g *ground) activate(command ...string) (d *daemon, socket string) {
	g.t.Helper()
	activate := program(g.t, "systemd-socket-activate", "systemd")
	socket = g.runDir(0)
	d = g.startDaemon(func(*exec.Cmd) {}, append([]string{activate, "-l", socket}, command...)...)
	d.await("Listening on")
	g.do(os.Chmod(socket, 0o666))
	return d, socket
}

// TestSocketActivated has the socket made by another program, which does not ask for
// credentials as a socket unit with PassCredentials=yes does. The first caller, who is
// there before the daemon, is served all the same.
func TestSocketActivated(t *testing.T) {
	g := newGround(t)
	d, socket := g.activate(g.chownd()...)
	file := g.file(g.tree(alice)+"/f", 0)
	early := g.file(g.tree(alice)+"/early", 0)
	if status, says := g.takeown(alice, socket, early); status != 0 {
		t.Errorf("the first caller: exit status %d, %s", status, says)
	}
	g.want(early, alice)
	d.await(`"msg":"serving"`)
	if status, says := g.takeown(alice, socket, file); status != 0 {
		t.Errorf("exit status %d, %s", status, says)
	}
	g.want(file, alice)
	d.end()
	if _, err := os.Lstat(socket); err != nil {
		t.Errorf("the socket of somebody else is gone: %v", err)
	}
}

// TestUsage has the daemon started wrong.
func TestUsage(t *testing.T) {
	g := newGround(t)
	rules := g.rules()
	good := []string{"--base", g.base, "--from", "0", "--rules", rules}
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{good[2:], 2, "--base is missing"},
		{good[:4], 2, "--rules is missing"},
		{[]string{"--base", g.base, "--rules", rules}, 2, "--from is missing"},
		{append(good, "--from", "nobody-of-this-name"), 2, "unknown user"},
		{append(good, "more"), 2, `unexpected argument "more"`},
		{[]string{"--nonsense"}, 2, "--help"},
		{[]string{"--help"}, 0, "Usage: credrpc-chownd"},
		{good, 1, "there is no socket to serve"},
		{append(good, "--base", g.tree(alice)), 1, "must belong to root"},
		{append(good, "--rules", g.dir+"/missing"), 1, "no such file"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		cmd := exec.CommandContext(ctx, g.path("credrpc-chownd"), c.args...)
		out, _ := cmd.CombinedOutput()
		cancel()
		if status := cmd.ProcessState.ExitCode(); status != c.status || !strings.Contains(string(out), c.says) {
			t.Errorf("%q: exit status %d, says %q, want %d and something about %q", c.args, status, out, c.status, c.says)
		}
	}
}
