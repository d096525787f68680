package sandbox

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"credrpc/internal/leak"
	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// patience bounds every wait of a test that is about to fail.
const patience = 20 * time.Second

// roleVariable makes the test binary an actor. A sandbox cannot be left, so each is
// applied in a process of its own.
const roleVariable = "CREDRPC_SANDBOX_ROLE"

// stranger is a user that this machine has given nothing.
const stranger = 54321

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(act(role))
	}
	status := leak.Run(m)
	os.RemoveAll(buildDir)
	os.Exit(status)
}

// buildDir has the actor, if it had to be built; set by actorProgram.
var buildDir string

// actorProgram returns a test binary without cgo: this one, or one that is built now.
var actorProgram = sync.OnceValues(func() (string, error) {
	if sys.PrctlAllThreads(unix.PR_GET_NO_NEW_PRIVS, 0, 0) != unix.ENOTSUP {
		return os.Args[0], nil
	}
	var err error
	if buildDir, err = os.MkdirTemp("", "sandbox"); err != nil {
		return "", err
	}
	path := filepath.Join(buildDir, "actor")
	build := exec.Command("go", "test", "-c", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building without cgo: %w: %s", err, out)
	}
	return path, os.Chmod(buildDir, 0o755)
})

// lacking skips the test, or fails it where everything must run.
func lacking(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CREDRPC_CI") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// needRoot is for tests that act as several users.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		lacking(t, "acting as other users needs root")
	}
}

// needKernel is for tests of what not every kernel has.
func needKernel(t *testing.T, landlock int) {
	t.Helper()
	p := new(plan)
	if err := p.planFiles(); err != nil {
		t.Fatal(err)
	}
	if p.abi < landlock {
		lacking(t, fmt.Sprintf("the kernel has Landlock ABI %d, the test needs %d", p.abi, landlock))
	}
	if _, err := os.Stat("/proc/sys/kernel/seccomp/actions_avail"); err != nil {
		lacking(t, "the kernel has no seccomp filters: "+err.Error())
	}
}

// An actor is a process that applies a sandbox to itself and does as it is told.
type actor struct {
	t     testing.TB
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
}

// A script is what an actor is told at the start.
type script struct {
	Options Options
	Probes  []string // what to try, by name
	Dir     string   // for files
	Extra   int      // threads before the sandbox, and as many after
	Bare    bool     // without a sandbox, to see that the probes mean something
	Trace   string   // file in which strace(1) lists calls that failed; none if empty
}

// A finding is what an actor tells.
type finding struct {
	Report Report
	Err    string            // of Apply
	Probes map[string]string // errno by probe, "" if it was done
	Output map[string]string // what programs wrote, by probe
}

// startActor starts an actor as uid, which tells its findings and then waits.
func startActor(t testing.TB, role string, uid uint32, s script, env ...string) *actor {
	t.Helper()
	path, err := actorProgram()
	if err != nil {
		t.Fatal(err)
	}
	command := []string{path}
	if s.Trace != "" {
		command = []string{"strace", "-f", "-qq", "-e", "status=failed", "-o", s.Trace, path}
	}
	a := &actor{t: t, cmd: exec.Command(command[0], command[1:]...)}
	a.cmd.Env = append(append(os.Environ(), roleVariable+"="+role), env...)
	a.cmd.Stderr = os.Stderr
	a.cmd.Dir = "/"
	if uid != uint32(os.Getuid()) {
		a.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	a.stdin, err = a.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	a.out = bufio.NewReader(stdout)
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := patience
	if _, ok := t.(*testing.B); ok {
		limit = 10 * patience
	}
	timer := time.AfterFunc(limit, func() { a.cmd.Process.Kill() })
	t.Cleanup(func() { timer.Stop(); a.end() })
	if err := json.NewEncoder(a.stdin).Encode(s); err != nil {
		t.Fatal(err)
	}
	return a
}

// end lets the actor end, and returns how it did.
func (a *actor) end() error {
	a.stdin.Close()
	return a.cmd.Wait()
}

// tell reads the actor's findings.
func (a *actor) tell() (f finding) {
	a.t.Helper()
	line, err := a.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &f)
	}
	if err != nil {
		a.t.Fatalf("the actor says %q, %v", line, err)
	}
	return f
}

// find runs an actor and returns its findings.
func find(t *testing.T, uid uint32, s script) finding {
	t.Helper()
	a := startActor(t, "probe", uid, s)
	f := a.tell()
	if err := a.end(); err != nil {
		t.Errorf("the actor ended with %v", err)
	}
	return f
}

// statuses returns the fields of /proc/PID/task/*/status.
func (a *actor) statuses() (threads []map[string]string) {
	a.t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", a.cmd.Process.Pid))
	if err != nil {
		a.t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			a.t.Fatal(err)
		}
		fields := make(map[string]string)
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(line, ":")
			fields[name] = strings.TrimSpace(value)
		}
		threads = append(threads, fields)
	}
	return threads
}

// testDir returns a directory that everybody may look into.
func testDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sandbox")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
