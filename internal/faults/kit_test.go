package faults

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	generator "credrpc/bench/load"
	"credrpc/internal/leak"
)

// patience bounds every wait of a test that is about to fail.
const patience = 30 * time.Second

// buildDir has the program; set by program, removed by TestMain.
var buildDir string

// program returns the path of the program, built without cgo: that of CREDRPC_PROGRAM,
// where there is no Go to build it with, as in a virtual machine (deploy/vm).
var program = sync.OnceValues(func() (path string, err error) {
	if built := os.Getenv("CREDRPC_PROGRAM"); built != "" {
		return built, nil
	}
	if buildDir, err = os.MkdirTemp("", "faults"); err != nil {
		return "", err
	}
	// A result in the cache of "go test" holds for directories that are as they were when
	// the test looked into them.
	err = filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && len(entry.Name()) > 2 && strings.HasPrefix(entry.Name(), ".") {
			return filepath.SkipDir
		}
		return err
	})
	if err != nil {
		return "", err
	}
	path = filepath.Join(buildDir, "credrpc")
	build := exec.Command("go", "build", "-trimpath", "-o", path, "credrpc/cmd/credrpc")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case rolePart:
		if err := generator.ServePart(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case roleCrowd:
		os.Exit(beCrowd(os.Args[1:]))
	}
	status := leak.Run(m)
	os.RemoveAll(buildDir)
	os.Exit(status)
}

// whole reports whether the long forms of tests are asked for.
func whole() bool { return os.Getenv("CREDRPC_FAULTS") == "all" }

// need skips a test that lacks something. Where everything must run, it fails.
func need(t *testing.T, have bool, what string) {
	t.Helper()
	switch {
	case have:
	case os.Getenv("CREDRPC_CI") == "1":
		t.Fatal("it needs " + what)
	default:
		t.Skip("it needs " + what)
	}
}

// needProgram is need for a program, in PATH.
func needProgram(t *testing.T, name string) {
	t.Helper()
	_, err := exec.LookPath(name)
	need(t, err == nil, name)
}

// roleVariable has the test program be something else.
const (
	roleVariable = "CREDRPC_FAULTS_ROLE"
	rolePart     = "part"  // of a load
	roleCrowd    = "crowd" // of callers; see beCrowd
)

// Users that call. None of them exists.
const (
	honestUID  = 20001
	hostileUID = 20002
)

// as returns the test program in a role, as a user. The file is named as the child
// names its own: the user may not look into the directory where it is.
func as(role string, uid uint32, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return cmd
}

// honest has a user call 500 times a second, at random, for a while, and hostile callers
// besides. Every call must be answered right.
func honest(t *testing.T, path string, lasts time.Duration, hostile generator.Hostile) *generator.Result {
	t.Helper()
	r, err := generator.Distribute(t.Context(), generator.Config{
		Path: path, Load: generator.Load{Batch: 1, Callers: 4}, Payload: 32, UIDs: generator.UIDs{honestUID}, Hostile: hostile,
		Arrivals: &generator.Arrivals{Poisson: true, Steps: generator.Steps{{Rate: 500, Duration: lasts}}},
	}, generator.Distribution{Command: func() *exec.Cmd { return as(rolePart, uint32(os.Geteuid())) }})
	if err != nil {
		t.Fatal(err)
	}
	if r.Calls == 0 || r.Errors() > 0 {
		t.Errorf("%d honest calls answered, %d not answered right: %s", r.Calls, r.Errors(), r.FirstError)
	}
	return r
}

// openDir is tempDir for a socket that other users reach.
func openDir(t *testing.T) string {
	t.Helper()
	need(t, os.Geteuid() == 0, "root, to act as other users")
	dir := tempDir(t)
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// command returns the program as a child process.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(path, args...)
}

// tempDir returns a directory whose path leaves room for a socket's name.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// A process is "credrpc serve". It is killed with the test.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	log   lockedBuffer
	ended chan struct{} // closed when it has ended
}

// start starts a server on path.
func start(t *testing.T, path string, args ...string) *process {
	t.Helper()
	return run(t, command(t, append([]string{"serve", "--listen", path}, args...)...))
}

// run starts a server by cmd.
func run(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, ended: make(chan struct{})}
	p.cmd.Stderr = &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	return p
}

// serving waits until the server says that it serves. It returns false if it ended
// instead.
func (p *process) serving() bool {
	p.t.Helper()
	serves := func() bool { return strings.Contains(p.log.String(), " msg=serving ") }
	eventually(p.t, "the server serves or ends", func() bool { return serves() || p.dead() })
	return serves()
}

// kill ends the server at once.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// dead reports whether the server has ended.
func (p *process) dead() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// descriptors counts the server's descriptors. It is 0 if it has ended.
func (p *process) descriptors() int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	return len(entries)
}

// processorTime returns what the server has used so far.
func (p *process) processorTime() time.Duration {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatalf("%v; it said: %s", err, &p.log)
	}
	// The name in parentheses may hold anything; utime and stime are the 14th and
	// 15th field of proc_pid_stat(5), in ticks of 10 ms.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	ticks := 0
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			p.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// used returns which part of a processor the server uses while it is watched.
func (p *process) used(watched time.Duration) float64 {
	p.t.Helper()
	began, before := time.Now(), p.processorTime()
	time.Sleep(watched)
	used := p.processorTime() - before
	return used.Seconds() / time.Since(began).Seconds()
}

// eventually waits until holds returns true.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
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
