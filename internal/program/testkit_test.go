package program

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"credrpc/accessdb"
	"credrpc/client"
	"credrpc/internal/leak"
	"credrpc/server"
)

// patience bounds every wait of a test that is about to fail.
const patience = 20 * time.Second

// TestMain is where other processes of the tests begin too, see role. It fails if a
// test leaves a goroutine or a child behind.
func TestMain(m *testing.M) {
	if args := strings.Fields(os.Getenv(roleVariable)); len(args) > 0 {
		if err := roles[args[0]](args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	status := leak.Run(m)
	if tool.path != "" {
		os.RemoveAll(filepath.Dir(tool.path))
	}
	if left := children(); status == 0 && len(left) > 0 {
		fmt.Fprintln(os.Stderr, "children are left:", left)
		status = 1
	}
	os.Exit(status)
}

// tool is the program of testdata/tool.c, once it is compiled.
var tool struct {
	once sync.Once
	path string
	err  error
}

// toolPath returns the path of the program of testdata/tool.c, which every user can
// run.
func toolPath(t testing.TB) string {
	t.Helper()
	compiler := need(t, "gcc", "gcc")
	tool.once.Do(func() {
		var dir string
		if dir, tool.err = os.MkdirTemp("", "credrpc"); tool.err != nil {
			return
		}
		tool.path = filepath.Join(dir, "tool")
		output, err := exec.Command(compiler, "-O2", "-Wall", "-static", "-o", tool.path, "testdata/tool.c").CombinedOutput()
		if err != nil {
			tool.err = fmt.Errorf("%w: %s", err, output)
			return
		}
		tool.err = os.Chmod(dir, 0o755)
	})
	if tool.err != nil {
		t.Fatal(tool.err)
	}
	return tool.path
}

// need returns the path of a program of a Debian package, or skips the test. In CI
// everything must run.
func need(t testing.TB, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CREDRPC_CI") == "1" {
		t.Fatalf("%s of the Debian package %s is not installed", name, debianPackage)
	}
	t.Skipf("%s of the Debian package %s is not installed", name, debianPackage)
	return ""
}

// needRoot skips a test for ordinary users. In CI everything must run.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CREDRPC_CI") == "1" {
		t.Fatal("needs root, and CI must not skip it")
	}
	t.Skip("needs root: it acts as other users")
}

// A checker decides as its function does.
type checker func(uid, gid uint32) (accessdb.Result, error)

func (f checker) Check(uid, gid uint32) (accessdb.Result, error) { return f(uid, gid) }

// allowing are rules that answer result for everybody.
func allowing(result accessdb.Result) checker {
	return func(uint32, uint32) (accessdb.Result, error) { return result, nil }
}

// allowed is what a rule without env and exec says.
var allowed = accessdb.Result{Decision: accessdb.Allow, Key: accessdb.Key{Kind: accessdb.KeyUID, ID: 1234}}

// handler makes a handler of c, with the path of the tool in place of an empty one.
func handler(t testing.TB, c Config) *Handler {
	t.Helper()
	if c.Program == nil {
		c.Program = []string{toolPath(t)}
	}
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// serve serves a handler of c, as srv says, until the test ends. It fails the test
// if anything is in flight then. Without Access everybody is allowed.
func serve(t testing.TB, srv *server.Server, c Config) (path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "credrpc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "s")
	c.LocalPath = path
	srv.Handler = handler(t, c)
	if srv.Access == nil {
		srv.Access = allowing(allowed)
	}
	ready, served := make(chan struct{}), make(chan error, 1)
	srv.Ready = func() { close(ready) }
	go func() { served <- srv.ListenAndServe(path) }()
	select {
	case <-ready:
	case err := <-served:
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, srv, served) })
	return path
}

func stop(t testing.TB, srv *server.Server, served <-chan error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-served; !errors.Is(err, server.ErrServerClosed) {
		t.Errorf("Serve returned %v", err)
	}
	s := srv.Stats()
	ended := s.Answered + s.Failed + s.Dropped + s.Empty
	for _, refused := range s.Refused {
		ended += refused
	}
	if s.InFlight != 0 || s.Accepted != ended {
		t.Errorf("the counters do not add up: %+v", s)
	}
}

// call makes one call.
func call(t testing.TB, path string, request string) (string, error) {
	t.Helper()
	return callUntil(t.Context(), path, request)
}

// callUntil makes one call that is given up when ctx ends.
func callUntil(ctx context.Context, path, request string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	caller := client.Client{Path: path, MaxResponse: 4 << 20}
	answer, err := caller.Call(ctx, []byte(request))
	return string(answer), err
}

// remoteText returns what the server answered instead of a payload, "" if err is
// nothing of that kind.
func remoteText(err error) string {
	var remote *client.RemoteError
	if errors.As(err, &remote) {
		return remote.Text
	}
	return ""
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// A process is what /proc says of one.
type process struct {
	pid, parent, group, session, terminal int
	state                                 string
}

// readProcess returns false if there is no such process.
func readProcess(pid int) (p process, ok bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, false
	}
	// pid (name) state ppid pgrp session tty_nr, see proc_pid_stat(5).
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	number := func(i int) int { n, _ := strconv.Atoi(fields[i]); return n }
	return process{pid: pid, state: fields[0], parent: number(1), group: number(2), session: number(3), terminal: number(4)}, true
}

// alive reports whether a process runs. A zombie does not: whose children those
// are that outlive their parents, and when that waits for them, is not ours.
func alive(pid int) bool {
	p, ok := readProcess(pid)
	return ok && p.state != "Z" && p.state != "X"
}

// processes returns all processes.
func processes() (all []process) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			if p, ok := readProcess(pid); ok {
				all = append(all, p)
			}
		}
	}
	return all
}

// children returns this process's children, zombies too.
func children() (found []process) {
	for _, p := range processes() {
		if p.parent == os.Getpid() {
			found = append(found, p)
		}
	}
	return found
}

// running returns the processes that run the tool.
func running() (pids []int) {
	for _, p := range processes() {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.pid)); err == nil && exe == tool.path && alive(p.pid) {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// nothingLeft waits until no process runs the tool, and checks that this process
// has no child.
func nothingLeft(t testing.TB) {
	t.Helper()
	eventually(t, "no program runs", func() bool { return len(running()) == 0 })
	eventually(t, "no child is left", func() bool { return len(children()) == 0 })
}

// openDescriptors counts this process's descriptors.
func openDescriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// A lockedBuffer is an [io.Writer] that may be read meanwhile.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// logTo returns a logger that writes to b.
func logTo(b *lockedBuffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }
