package server

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An actor is a child process that runs this test binary in a role: another
// user, another namespace, a server that is killed. It ends when its standard
// input does.
type actor struct {
	t     testing.TB
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
	log   *lockedBuffer
}

// actorVariable holds the role and its arguments, separated by spaces.
const actorVariable = "CREDRPC_TEST_ACTOR"

// roles are what an actor can be. Each prints lines and returns.
var roles = map[string]func(args []string) error{
	"call":    actCall,
	"calls":   actCalls,
	"connect": actConnect,
	"repeat":  actRepeat,
	"unread":  actUnread,
	"ask":     actAsk,
	"inherit": actInherit,
	"succeed": actSucceed,
	"write":   actWrite,
	"serve":   actServe,
	"silent":  actSilent,
}

// TestActor is where a child process begins. In the test run itself it has
// nothing to do.
func TestActor(t *testing.T) {
	args := strings.Fields(os.Getenv(actorVariable))
	if len(args) == 0 {
		return
	}
	if err := roles[args[0]](args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0) // neither "PASS" nor a search for leaks
}

// An actorOption changes how an actor is started.
type actorOption func(*exec.Cmd)

func withAttr(attr *syscall.SysProcAttr) actorOption {
	return func(cmd *exec.Cmd) { cmd.SysProcAttr = attr }
}

func withFile(file *os.File) actorOption { // descriptor 3
	return func(cmd *exec.Cmd) { cmd.ExtraFiles = append(cmd.ExtraFiles, file) }
}

func withEnv(variables ...string) actorOption {
	return func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, variables...) }
}

// startActor starts a child in the role args[0]. It is ended with the test.
func startActor(t testing.TB, args []string, options ...actorOption) *actor {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestActor$")
	// The race detector waits a second at the end if it is not told otherwise.
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", actorVariable+"="+strings.Join(args, " "))
	a := &actor{t: t, cmd: cmd, log: new(lockedBuffer)}
	cmd.Stderr = a.log
	for _, option := range options {
		option(cmd)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	a.stdin, a.lines = stdin, bufio.NewScanner(stdout)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %q: %v", args, err)
	}
	t.Cleanup(a.kill)
	return a
}

// line returns the next line that the actor prints.
func (a *actor) line() string {
	a.t.Helper()
	timer := time.AfterFunc(2*patience, func() { a.cmd.Process.Kill() })
	defer timer.Stop()
	if !a.lines.Scan() {
		a.t.Fatalf("an actor ended without a line; it said: %s", a.log)
	}
	return a.lines.Text()
}

// kill ends the actor at once, if it has not ended.
func (a *actor) kill() {
	a.cmd.Process.Kill()
	a.cmd.Wait()
}

// finish lets the actor end by itself.
func (a *actor) finish() {
	a.t.Helper()
	a.stdin.Close()
	timer := time.AfterFunc(2*patience, func() { a.cmd.Process.Kill() })
	defer timer.Stop()
	if err := a.cmd.Wait(); err != nil {
		a.t.Errorf("actor ended with %v; it said: %s", err, a.log)
	}
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

// publicPath is socketPath in a directory that every user can enter.
func publicPath(t testing.TB) string {
	t.Helper()
	path := socketPath(t)
	if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// whoami answers who called, as identities.
var whoami = HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
	b, err := json.Marshal(map[string]Credentials{"sender": call.Sender, "peer": call.Peer})
	return append(dst, b...), err
})

// identities is what whoami says.
type identities struct {
	Sender, Peer struct {
		PID      int
		UID, GID uint32
	}
}

// become takes three user ids and three group ids, real, effective and saved, as
// "r/e/s", or one for all three.
func become(uids, gids string) error {
	g, err := threeIDs(gids)
	if err != nil {
		return err
	}
	u, err := threeIDs(uids)
	if err != nil {
		return err
	}
	return errors.Join(unix.Setgroups(nil), unix.Setresgid(g[0], g[1], g[2]), unix.Setresuid(u[0], u[1], u[2]))
}

func threeIDs(text string) (ids [3]int, err error) {
	fields := strings.Split(text, "/")
	for i := range ids {
		if ids[i], err = strconv.Atoi(fields[min(i, len(fields)-1)]); err != nil {
			return ids, err
		}
	}
	return ids, nil
}

// actCall calls PATH as UIDS GIDS and prints the answer or the error.
func actCall(args []string) error {
	if len(args) == 3 {
		if err := become(args[1], args[2]); err != nil {
			return err
		}
	}
	c, err := net.Dial("unix", args[0])
	if err != nil {
		return err
	}
	c.SetDeadline(time.Now().Add(patience))
	c.Write(request([]byte("who am I")))
	answer, err := response(c)
	if err != nil {
		fmt.Printf("error: %v\n", err)
		return nil
	}
	fmt.Printf("%s\n", answer)
	return nil
}

// actCalls sends N requests to PATH as UID, says so, and waits to be killed.
func actCalls(args []string) error {
	if err := become(args[1], args[1]); err != nil {
		return err
	}
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	var conns []net.Conn // keeps them from being collected
	for range n {
		c, err := net.Dial("unix", args[0])
		if err != nil {
			return err
		}
		if _, err := c.Write(request([]byte("gone"))); err != nil {
			return err
		}
		conns = append(conns, c)
	}
	fmt.Println("sent")
	io.Copy(io.Discard, os.Stdin)
	return conns[0].Close()
}

// actConnect tries to connect to PATH as UID and GID over and over, and looks at
// the file. It prints "ready", and at the end how often it could connect and
// what modes, owners and groups it has seen.
func actConnect(args []string) error {
	if err := become(args[1], args[2]); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(done)
	}()
	fmt.Println("ready")
	connected, seen := 0, make(map[string]bool)
	for {
		select {
		case <-done:
			report, err := json.Marshal(struct {
				Connected int
				Seen      map[string]bool
			}{connected, seen})
			fmt.Printf("%s\n", report)
			return err
		default:
		}
		var stat unix.Stat_t
		if unix.Lstat(args[0], &stat) == nil {
			seen[fmt.Sprintf("%o %d %d", stat.Mode, stat.Uid, stat.Gid)] = true
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		if unix.Connect(fd, &unix.SockaddrUnix{Name: args[0]}) == nil {
			connected++
		}
		unix.Close(fd)
	}
}

// actWrite writes HEX bytes to descriptor 3 as UID.
func actWrite(args []string) error {
	if err := become(args[0], args[0]); err != nil {
		return err
	}
	b, err := hex.DecodeString(args[1])
	if err != nil {
		return err
	}
	_, err = os.NewFile(3, "connection").Write(b)
	return err
}

// actServe serves whoami at PATH, with at most LIMIT descriptors if that is
// given, and prints "ready" and at the end its statistics.
func actServe(args []string) error {
	srv := &Server{
		Handler:        whoami,
		Mode:           0o666,
		RequestTimeout: 2 * patience,
		Logger:         slog.New(slog.NewTextHandler(os.Stderr, nil)),

		AllowUntrustedDirectory: true, // there are namespaces that do not know root
	}
	if len(args) > 1 {
		limit, err := strconv.ParseUint(args[1], 10, 64)
		if err != nil {
			return err
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return err
		}
	}
	served := make(chan error, 1)
	go func() { served <- srv.ListenAndServe(args[0]) }()
	if err := awaitSocket(args[0], served); err != nil {
		return err
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return err
	}
	b, err := json.Marshal(srv.Stats())
	fmt.Printf("%s\n", b)
	return err
}

// awaitSocket waits until somebody listens at path.
func awaitSocket(path string, served <-chan error) error {
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(time.Millisecond) {
		select {
		case err := <-served:
			return err
		default:
		}
		if c, err := net.Dial("unix", path); err == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("nobody listens at %s", path)
}

// actSilent connects N times to PATH, prints "connected", reads what each
// connection is told, and prints how often it was told what.
func actSilent(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	fds := make([]int, n)
	for i := range fds {
		// Blocking: connect(2) waits while the backlog is full.
		fds[i], err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		if err := unix.Connect(fds[i], &unix.SockaddrUnix{Name: args[0]}); err != nil {
			return err
		}
	}
	fmt.Println("connected")
	told := make(map[string]int)
	for _, fd := range fds {
		text := "nothing"
		if _, err := response(readFD(fd)); err != nil {
			text = err.Error()
		}
		told[text]++
	}
	b, err := json.Marshal(told)
	fmt.Printf("%s\n", b)
	return err
}

// A readFD reads from a blocking descriptor.
type readFD int

func (fd readFD) Read(p []byte) (int, error) {
	n, err := unix.Read(int(fd), p)
	switch {
	case err != nil:
		return 0, err
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}
