package chown

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"credrpc/client"
	"credrpc/server"

	"golang.org/x/sys/unix"
)

// patience bounds every wait of a test that is about to fail.
const patience = 30 * time.Second

// Users that this machine has given nothing. Each has a group of the same number.
const (
	alice    = 54321
	bob      = 54322
	stranger = 54323 // has no tree
)

// lacking skips the test, or fails it where everything must run.
func lacking(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CREDRPC_CI") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// needRoot is for tests that act as several users.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		lacking(t, "acting as other users needs root")
	}
}

// program returns a program of a Debian package, or skips the test.
func program(t testing.TB, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		lacking(t, name+" of the Debian package "+debianPackage+" is not installed")
	}
	return path
}

// A ground is a base directory with trees for alice and bob, and what stands beside it.
type ground struct {
	t    testing.TB
	dir  string // may be entered by everybody
	base string // dir/base
}

func newGround(t testing.TB) *ground { return newGroundIn(t, "") }

// newGroundIn makes a ground in a directory, or in that of temporary files. That of the
// installed service is where the package has it.
func newGroundIn(t testing.TB, parent string) *ground {
	t.Helper()
	needRoot(t)
	if isInstalled() {
		parent = filepath.Dir(installedBase)
	}
	dir, err := os.MkdirTemp(parent, "chown")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &ground{t: t, dir: dir, base: filepath.Join(dir, "base")}
	g.do(os.Chmod(dir, 0o755))
	if isInstalled() {
		g.base = installedBase
	} else {
		g.do(os.Mkdir(g.base, 0o755))
	}
	for _, uid := range []int{alice, bob} {
		g.do(os.Mkdir(g.tree(uid), 0o700))
		t.Cleanup(func() { os.RemoveAll(g.tree(uid)) })
		g.do(os.Chown(g.tree(uid), uid, uid))
	}
	return g
}

func (g *ground) do(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *ground) tree(uid int) string { return filepath.Join(g.base, fmt.Sprint(uid)) }

// file makes a file of a user, 0600 unless it is root's, with its directories.
func (g *ground) file(path string, owner int) string {
	g.t.Helper()
	g.do(os.MkdirAll(filepath.Dir(path), 0o777))
	g.do(os.WriteFile(path, nil, 0o600))
	g.do(os.Chown(path, owner, owner))
	return path
}

// settle waits until what was made is so old that the service need not wait.
func (g *ground) settle() { time.Sleep(25 * time.Millisecond) }

// owner returns whose a file is.
func (g *ground) owner(path string) int {
	g.t.Helper()
	var stat unix.Stat_t
	g.do(unix.Lstat(path, &stat))
	if stat.Uid != stat.Gid {
		g.t.Errorf("%s is of user %d and group %d", path, stat.Uid, stat.Gid)
	}
	return int(stat.Uid)
}

// want fails if a file is somebody else's.
func (g *ground) want(path string, owner int) {
	g.t.Helper()
	if got := g.owner(path); got != owner {
		g.t.Errorf("%s is of %d, want %d", path, got, owner)
	}
}

// service returns the service on the ground, which gives root's files away.
func (g *ground) service() *Service {
	g.t.Helper()
	s, err := New(g.base, []uint32{0}, slog.New(slog.DiscardHandler))
	g.do(err)
	g.t.Cleanup(func() { unix.Close(s.base) })
	return s
}

// tries is how often each attack asks. The installed service lets a user ask 500 times, and
// then 50 times a second.
func (g *ground) tries() int {
	if isInstalled() {
		return 250
	}
	return 2000
}

// serve serves the service in this process, without rules and rates, or starts the
// installed one, and returns its socket.
func (g *ground) serve() string {
	g.t.Helper()
	if isInstalled() {
		return g.serveInstalled()
	}
	path := filepath.Join(g.dir, "s")
	ready := make(chan struct{})
	srv := &server.Server{Handler: g.service(), Mode: 0o666, Ready: func() { close(ready) }}
	served := make(chan error, 1)
	go func() { served <- srv.ListenAndServe(path) }()
	select {
	case <-ready:
	case err := <-served:
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			g.t.Error(err)
		}
	})
	return path
}

// as makes a command run as a user.
func as(uid int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
}

// roleVariable makes the test binary an actor in that role.
const roleVariable = "CREDRPC_CHOWN_ROLE"

// roles are what an actor can do, as another user. Each returns what it has to tell.
var roles = map[string]func(args []string) (any, error){
	"ask":    actAsk,
	"flip":   actFlip,
	"link":   actLink,
	"mounts": actMounts,
}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(act(role))
	}
	status := m.Run()
	os.RemoveAll(builtDir)
	os.Exit(status)
}

func act(role string) int {
	told, err := roles[role](os.Args[1:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(told)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, role, err)
		return 1
	}
	return 0
}

// An actor is another user at work.
type actor struct {
	g     *ground
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
}

// start starts an actor in a role.
func (g *ground) start(attr *syscall.SysProcAttr, role string, args ...string) *actor {
	g.t.Helper()
	a := &actor{g: g, cmd: exec.Command("/proc/self/exe", args...)}
	// The race detector waits a second at the end if it is not told otherwise.
	a.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", roleVariable+"="+role)
	a.cmd.Stderr, a.cmd.SysProcAttr, a.cmd.Dir = os.Stderr, attr, "/"
	var err error
	a.stdin, err = a.cmd.StdinPipe()
	g.do(err)
	stdout, err := a.cmd.StdoutPipe()
	g.do(err)
	a.out = bufio.NewReader(stdout)
	g.do(a.cmd.Start())
	timer := time.AfterFunc(patience, func() { a.cmd.Process.Kill() })
	g.t.Cleanup(func() { timer.Stop(); a.cmd.Process.Kill(); a.cmd.Wait() })
	return a
}

// tell ends an actor that goes on until it is told to, and returns what it tells.
func (a *actor) tell(told any) {
	a.g.t.Helper()
	a.stdin.Close()
	line, err := a.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, told)
	}
	if err == nil {
		err = a.cmd.Wait()
	}
	if err != nil {
		a.g.t.Fatalf("the actor says %q, %v", line, err)
	}
}

// ended is closed when the test has closed standard input.
func ended() <-chan struct{} {
	c := make(chan struct{})
	go func() { io.Copy(io.Discard, os.Stdin); close(c) }()
	return c
}

// ask calls the service once as a user, and returns the error.
func (g *ground) ask(uid int, socket, path string) string {
	g.t.Helper()
	counts := make(map[string]int)
	g.start(as(uid), "ask", socket, "1", path).tell(&counts)
	for text := range counts {
		return text
	}
	return ""
}

// actAsk asks SOCKET for each of PATHS in turn, N times, by eight callers at once, and
// tells how often it was answered what; "" is that the file was taken.
func actAsk(args []string) (any, error) {
	var n int
	if _, err := fmt.Sscan(args[1], &n); err != nil {
		return nil, err
	}
	c := client.Client{Path: args[0]}
	paths := make(chan string)
	counts := make(map[string]int)
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for path := range paths {
				_, err := Take(context.Background(), &c, path)
				text := ""
				if err != nil {
					text = strings.TrimPrefix(err.Error(), "remote error: ")
				}
				mu.Lock()
				counts[text]++
				mu.Unlock()
			}
		})
	}
	for range n {
		for _, path := range args[2:] {
			paths <- path
		}
	}
	close(paths)
	all.Wait()
	return counts, nil
}
