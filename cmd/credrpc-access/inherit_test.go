package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// beginning is how a process begins, in the words of testdata/launch.c.
type beginning struct {
	blocked, ignored uint64 // bit n-1: signal n
	closed           string
	limit            int
}

// report runs testdata/report.c and returns what it has found. It is started at once,
// or by way of the program with arguments that lead to it, by the name that PATH has.
func (b beginning) report(t *testing.T, dir string, files []*os.File, through ...string) []string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	argv := []string{compile(t, "launch"), fmt.Sprintf("%x", b.blocked), fmt.Sprintf("%x", b.ignored), b.closed + "-", strconv.Itoa(b.limit)}
	reporter, fd := compile(t, "report"), strconv.Itoa(len(files))
	if through == nil {
		through = []string{reporter, fd}
	}
	argv = append(argv, through...)
	env := environmentOf("IPC", "1000", "1000", "REPORT_TO="+fd)
	env[0] = "PATH=/usr/lib/execline/bin:/nowhere:" + built + ":/usr/bin:/bin"
	p, err := os.StartProcess(argv[0], argv, &os.ProcAttr{Dir: dir, Env: env, Files: append(files[:len(files):len(files)], w)})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	state, waitErr := p.Wait()
	if err != nil || waitErr != nil || !state.Success() {
		t.Fatalf("%q: %v, %v, %v", argv, state, err, waitErr)
	}
	facts := strings.Split(strings.TrimSpace(string(out)), "\n")
	if want := fmt.Sprintf("process %d", p.Pid); facts[0] != want {
		t.Errorf("%q: %s, want %s", argv, facts[0], want)
	}
	pipe := fmt.Sprintf("descriptor %d:", len(files)) // a new one each time
	kept := facts[:0]
	for _, fact := range facts[1:] {
		if !strings.HasPrefix(fact, pipe) {
			kept = append(kept, fact)
		}
	}
	return kept
}

// The signals that Go's runtime unblocks, and those that it leaves ignored, as the
// documentation of package inherited has them.
var (
	runtimeUnblocks = signals(unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGILL, unix.SIGTRAP, unix.SIGABRT, unix.SIGBUS, unix.SIGFPE,
		unix.SIGSEGV, unix.SIGTERM, unix.SIGSTKFLT, unix.SIGCHLD, unix.SIGURG, unix.SIGPROF, unix.SIGSYS, 32, 33, 34)
	runtimeIgnores = signals(unix.SIGHUP, unix.SIGINT, unix.SIGCONT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, 32, 34)
)

func signals(numbers ...unix.Signal) (set uint64) {
	for _, n := range numbers {
		set |= 1 << (n - 1)
	}
	return set
}

// withoutCgoFinds returns the facts as they are after a program that was built without cgo.
func withoutCgoFinds(facts []string) []string {
	var out []string
	for _, fact := range facts {
		var set uint64
		if _, err := fmt.Sscanf(fact, "blocked %x", &set); err == nil {
			fact = fmt.Sprintf("blocked %016x", set&^runtimeUnblocks)
		}
		if _, err := fmt.Sscanf(fact, "ignored %x", &set); err == nil {
			fact = fmt.Sprintf("ignored %016x", set&runtimeIgnores)
		}
		out = append(out, fact)
	}
	return out
}

// TestProgramFindsWhatWasThere starts a process in several ways and compares what a
// program finds when it is started at once with what it finds by way of ours: the
// process, signals, limits, and descriptors, which stay the same files in the same
// mode, and are no more than they were.
func TestProgramFindsWhatWasThere(t *testing.T) {
	installed(t, "execlineb", "execline")
	dir := openDir(t)
	writeRuleSets(t, dir, map[string]map[string]string{
		"plain": {"uid/default/allow": ""},
		"env":   {"uid/1000/allow": "", "uid/1000/env/A": "1", "uid/1000/env/B": ""},
		"exec":  {"gid/1000/allow": "", "gid/1000/exec": "importas fd REPORT_TO report $fd"},
	})
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	nonblocking, blocking := os.NewFile(uintptr(pair[0]), "nonblocking"), os.NewFile(uintptr(pair[1]), "blocking")
	defer nonblocking.Close()
	defer blocking.Close()
	if err := unix.SetNonblock(pair[1], false); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join(dir, "plain.cdb"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Seek(17, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	const everything = math.MaxUint64
	beginnings := []beginning{
		{0, 0, "", 1024},
		{everything, everything, "", 100},
		{everything, 0, "", 256},
		{0, everything, "", 1000},
		{0x123456789abcdef0, 0xfedcba9876543210, "", 4096},
		{signals(unix.SIGTERM, unix.SIGUSR1), signals(unix.SIGPIPE, unix.SIGCHLD), "", 64},
	}
	closed := []beginning{{0, 0, "0", 1024}, {0, 0, "1", 1024}, {0, 0, "2", 1024}, {0, signals(unix.SIGPIPE), "012", 1024}}
	for _, v := range variants {
		t.Run("build="+v.name, func(t *testing.T) {
			program := v.build(t)
			for i, b := range append(beginnings, closed...) {
				if b.closed != "" && !v.cgo {
					continue
				}
				connection := []*os.File{blocking, nonblocking}[i%2]
				files := [][]*os.File{{connection, connection, os.Stderr}, {connection, connection, os.Stderr, nil, file, nonblocking, nil, blocking}}[i/2%2]
				want := b.report(t, dir, files)
				if !v.cgo {
					want = withoutCgoFinds(want)
				}
				report := fmt.Sprintf(" report %d", len(files))
				for _, args := range []string{"-E" + report, "-i plain -l x" + report, "-x plain.cdb -E" + report, "-i env -E" + report, "-x env.cdb -el x" + report, "-x exec.cdb -E false"} {
					got := b.report(t, dir, files, append([]string{program, "-v0"}, strings.Fields(args)...)...)
					if missing, more := compareFacts(want, got); missing != nil || more != nil {
						t.Errorf("%+v, %d descriptors, %s:\nmissing %q\nmore    %q", b, len(files), args, missing, more)
					}
				}
			}
		})
	}
}

// compareFacts returns what is in only one of two lists.
func compareFacts(want, got []string) (missing, more []string) {
	for _, fact := range want {
		if !slices.Contains(got, fact) {
			missing = append(missing, fact)
		}
	}
	for _, fact := range got {
		if !slices.Contains(want, fact) {
			more = append(more, fact)
		}
	}
	return missing, more
}

// TestSignalsAreTheProgramsAlready stops the program where it has something to say to
// a full pipe, and sends it a signal that Go's runtime would have caught and dropped.
func TestSignalsAreTheProgramsAlready(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	fd := int(w.Fd())
	err = unix.SetNonblock(fd, true)
	for chunk := make([]byte, 4096); err == nil; {
		_, err = unix.Write(fd, chunk)
	}
	if err != unix.EAGAIN || unix.SetNonblock(fd, false) != nil {
		t.Fatal(err)
	}
	for _, v := range []variant{static, dynamic} {
		program := v.build(t)
		for _, signal := range []unix.Signal{unix.SIGUSR1, unix.SIGALRM, unix.SIGPIPE, unix.SIGTERM} {
			p, err := os.StartProcess(program, []string{program, "-v1", "-E", "true"}, &os.ProcAttr{Env: environmentOf("IPC", "1", "1"), Files: []*os.File{nil, nil, w}})
			if err != nil {
				t.Fatal(err)
			}
			faults := fmt.Sprintf("SigCgt:\t%016x\n", signals(unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE))
			for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
				status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid))
				if err != nil || time.Now().After(deadline) {
					t.Fatalf("%v: the handlers are still there: %v, %s", v.name, err, status)
				}
				if strings.Contains(string(status), faults) {
					break
				}
			}
			if err := p.Signal(signal); err != nil {
				t.Fatal(err)
			}
			state, err := p.Wait()
			if err != nil {
				t.Fatal(err)
			}
			if got := state.Sys().(syscall.WaitStatus); !got.Signaled() || got.Signal() != signal {
				t.Errorf("%s: %v after %v", v.name, state, signal)
			}
		}
	}
}
