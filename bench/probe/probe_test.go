package probe

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"credrpc/internal/leak"

	"golang.org/x/sys/unix"
)

// serverVariable makes the test program a server that works when a line comes on
// its standard input, and says so when it has.
const serverVariable = "CREDRPC_PROBE_TEST_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(serverVariable) == "1" {
		go func() {
			if err := Serve(3); err != nil {
				os.Stderr.WriteString(err.Error())
				os.Exit(1)
			}
			os.Exit(0)
		}()
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			work(lines.Text())
			os.Stdout.WriteString("done\n")
		}
		os.Exit(2) // the channel ends first
	}
	os.Exit(leak.Run(m))
}

const (
	allocated = 10_000 // objects
	goBegun   = 1000   // goroutines
)

var (
	kept []*[64]byte
	busy float64
)

// work does what the tests look for.
func work(what string) {
	switch what {
	case "allocate":
		for range allocated {
			kept = append(kept[:0], new([64]byte))
		}
	case "collect":
		runtime.GC()
		runtime.GC()
	case "go":
		var all sync.WaitGroup
		for range goBegun {
			all.Go(func() { runtime.Gosched() })
		}
		all.Wait()
	case "spin":
		for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
			spinning()
		}
	}
}

//go:noinline
func spinning() {
	for i := range 100_000 {
		busy += math.Sqrt(float64(i))
	}
}

// A server is one that works.
type server struct {
	*Client
	cmd  *exec.Cmd
	in   io.Writer
	done *bufio.Reader
}

// start starts a server, which ends with the test and without an error.
func start(t *testing.T) *server {
	t.Helper()
	client, theirs, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverVariable+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.ExtraFiles = []*os.File{theirs}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		defer time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() }).Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server, whose channel ended: %v", err)
		}
	})
	return &server{client, cmd, in, bufio.NewReader(out)}
}

// do has the server work.
func (s *server) do(t *testing.T, what string) {
	t.Helper()
	io.WriteString(s.in, what+"\n")
	if line, err := s.done.ReadString('\n'); err != nil {
		t.Fatalf("%s: %q, %v", what, line, err)
	}
}

// TestCounts looks at what was done between begin and end, and at nothing else.
func TestCounts(t *testing.T) {
	s := start(t)
	for _, round := range []struct {
		work                                     string
		allocations, bytes, collections, created uint64 // at least
	}{
		{"allocate", allocated, allocated * 64, 0, 0},
		{"nothing", 0, 0, 0, 0},
		{"collect", 0, 0, 2, 0},
		{"go", 0, 0, 0, goBegun},
		{"nothing", 0, 0, 0, 0},
	} {
		s.do(t, "allocate") // outside
		if err := s.Begin(Files{}); err != nil {
			t.Fatal(err)
		}
		s.do(t, round.work)
		r, err := s.End()
		if err != nil {
			t.Fatal(err)
		}
		// What comes on top is the reading's own, and the channel's.
		if over := r.Allocations - round.allocations; round.created == 0 && over > allocated/10 {
			t.Errorf("%s: %d allocations, want %d", round.work, r.Allocations, round.allocations)
		}
		if r.AllocatedBytes < round.bytes || r.Collections < round.collections || r.Collections > round.collections+1 ||
			r.GoroutinesCreated < round.created || r.GoroutinesCreated > round.created+100 {
			t.Errorf("%s: %+v", round.work, r)
		}
		if round.collections > 0 && (r.GCSeconds <= 0 || r.GCPauses <= 0) {
			t.Errorf("%s: %+v", round.work, r)
		}
		if round.created > 0 && (r.SchedulerWaits == 0 || r.SchedulerP99 < r.SchedulerP50 || r.SchedulerP99 <= 0) {
			t.Errorf("%s: %+v", round.work, r)
		}
		if r.GoroutinesAfter < 2 || r.GoroutinesBefore < 2 || r.GOMAXPROCS < 1 {
			t.Errorf("%s: %+v", round.work, r)
		}
	}
}

// TestFiles has profiles of what was done between begin and end. A processor profile
// names the function that was busy.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	f := Files{CPUProfile: filepath.Join(dir, "cpu"), Trace: filepath.Join(dir, "trace"), Heap: filepath.Join(dir, "heap")}
	s := start(t)
	for range 2 { // they can be made anew
		if err := s.Begin(f); err != nil {
			t.Fatal(err)
		}
		if err := s.Begin(Files{}); !errors.Is(err, ErrServer) || !strings.Contains(err.Error(), "already") {
			t.Errorf("begun twice: %v", err)
		}
		s.do(t, "spin")
		if _, err := s.End(); err != nil {
			t.Fatal(err)
		}
	}
	if text := unzipped(t, f.CPUProfile); !strings.Contains(text, "probe.spinning") {
		t.Errorf("the processor profile, %d bytes, lacks the function that was busy", len(text))
	}
	if text := unzipped(t, f.Heap); !strings.Contains(text, "inuse_space") {
		t.Errorf("the heap profile, %d bytes, is none", len(text))
	}
	trace, err := os.ReadFile(f.Trace)
	if err != nil || !strings.HasPrefix(string(trace), "go 1.") {
		t.Errorf("trace of %d bytes, %v", len(trace), err)
	}
	for _, path := range []string{f.CPUProfile, f.Trace, f.Heap} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// unzipped returns what a profile holds.
func unzipped(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	text, err := io.ReadAll(r) // checks the sum
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return string(text)
}

// TestRefused has commands that cannot be obeyed. The server goes on.
func TestRefused(t *testing.T) {
	s := start(t)
	if _, err := s.End(); !errors.Is(err, ErrServer) {
		t.Errorf("ended before it began: %v", err)
	}
	if _, err := s.ask(request{}); !errors.Is(err, ErrServer) {
		t.Errorf("no command: %v", err)
	}
	cpu := filepath.Join(t.TempDir(), "cpu")
	for _, f := range []Files{{CPUProfile: "/does/not/exist"}, {Trace: "/does/not/exist"}, {Trace: cpu, CPUProfile: "/does/not/exist"}} {
		if err := s.Begin(f); !errors.Is(err, ErrServer) || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%+v: %v", f, err)
		}
	}
	// What had begun when something failed has ended.
	if err := s.Begin(Files{CPUProfile: cpu, Trace: cpu + "t", Heap: "/does/not/exist"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.End(); !errors.Is(err, ErrServer) {
		t.Errorf("a heap profile that cannot be made: %v", err)
	}
	if err := s.Begin(Files{CPUProfile: cpu}); err != nil {
		t.Error(err)
	}
	if _, err := s.End(); err != nil {
		t.Error(err)
	}
}

// TestGone has a server that ends while it is measured.
func TestGone(t *testing.T) {
	client, theirs, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	go func() {
		bufio.NewReader(theirs).ReadString('\n')
		theirs.Close()
	}()
	if err := client.Begin(Files{}); !errors.Is(err, ErrServer) {
		t.Errorf("%v", err)
	}
	if _, err := client.End(); !errors.Is(err, ErrServer) {
		t.Errorf("%v", err)
	}
}

// TestServeBroken has a descriptor that is none, and a line that is no command.
func TestServeBroken(t *testing.T) {
	if err := Serve(1 << 20); err == nil {
		t.Error("a descriptor that is not open")
	}
	client, theirs, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	fd, err := unix.Dup(int(theirs.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	client.conn.WriteString("begin\n")
	if err := Serve(fd); err == nil || !strings.Contains(err.Error(), "command") {
		t.Errorf("%v", err)
	}
}

// TestInherited checks that the server's own children do not get the channel.
func TestInherited(t *testing.T) {
	_, theirs, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	out, err := exec.Command("readlink", "/proc/self/fd/"+strconv.Itoa(int(theirs.Fd()))).CombinedOutput()
	if err == nil {
		t.Errorf("a child has it: %s", out)
	}
}

func TestQuantile(t *testing.T) {
	ends := []float64{math.Inf(-1), 0, 1, 2, 4, math.Inf(1)}
	for _, tt := range []struct {
		counts []uint64
		q      float64
		want   float64
	}{
		{[]uint64{0, 0, 0, 0, 0}, 0.5, 0},
		{[]uint64{0, 10, 0, 0, 0}, 0.99, 1},
		{[]uint64{0, 98, 1, 1, 0}, 0.99, 2},
		{[]uint64{0, 97, 1, 2, 0}, 0.99, 4},
		{[]uint64{0, 1, 0, 0, 1}, 0.5, 1},
		{[]uint64{0, 1, 0, 0, 1}, 0.99, 4}, // which has no upper end
		{[]uint64{5, 0, 0, 0, 0}, 0.5, 0},
	} {
		if got := quantile(tt.counts, ends, tt.q); got != tt.want {
			t.Errorf("%v of %v: %v, want %v", tt.q, tt.counts, got, tt.want)
		}
	}
}
