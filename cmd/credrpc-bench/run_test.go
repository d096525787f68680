package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A scenario is a run that the run command writes, as far as tests look at it.
type scenario struct {
	Calls       uint64
	Failed      uint64
	Refused     uint64
	Callers     int
	WarmUp      float64 `json:"warm_up_seconds"`
	Latency     order
	ServiceTime order `json:"service_time"`
	Runtime     *struct {
		Allocations uint64
		Created     uint64 `json:"goroutines_created"`
		Goroutines  int    `json:"goroutines_after"`
		GOMAXPROCS  int
	} `json:"server_runtime"`
	Bytes       float64 `json:"bytes_per_second"`
	RequestSize int     `json:"payload_bytes"`
	Interrupted bool
	Bottleneck  string
	Histogram   string
	Offered     *struct {
		Scheduled uint64
		Unstarted uint64
		Pacing    string `json:"pacing_histogram"`
	}
	Phases *struct {
		Connect, Wait struct {
			Mean float64 `json:"mean_us"`
		}
	}
	Users   []struct{ UID uint32 }
	Hostile []struct {
		Misdeed                                  string
		Attempts, Answered, Refused, Ended, Left uint64
	}
	Process *struct {
		User        float64 `json:"user_seconds"`
		System      float64 `json:"system_seconds"`
		Descriptors int     `json:"descriptors_after"`
		Switches    uint64  `json:"voluntary_context_switches"`
		Memory      struct {
			RSS uint64 `json:"rss_bytes"`
		} `json:"memory_after"`
	} `json:"server_process"`
}

// An order has order statistics in microseconds.
type order struct {
	P90  float64 `json:"p90_us"`
	P999 float64 `json:"p99.9_us"`
}

// readScenario reads the only run of a result.
func readScenario(t *testing.T, file string) scenario {
	t.Helper()
	var r struct{ Runs []scenario }
	readReport(t, file, &r)
	if len(r.Runs) != 1 {
		t.Fatalf("%d runs", len(r.Runs))
	}
	return r.Runs[0]
}

// TestRun has an open loop with everything that is measured.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	file, hgrm := filepath.Join(dir, "r.json"), filepath.Join(dir, "r.hgrm")
	out, err := run(t, "run", "--rate", "500", "--arrivals", "poisson", "--seconds", "0.4", "--warm-up", "100ms", "--phases", "--json", file, "--hgrm", hgrm)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"eventloop: open loop, poisson 500:400ms, 16 callers, 32 bytes", "offered", "pacing error", "caller wait", "service time",
		"connect", "errors       0 of", "server       CPU", "page faults", "descriptors", "client       CPU", "bottleneck   "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
	s := readScenario(t, file)
	o, p := s.Offered, s.Process
	if o == nil || p == nil || s.Phases == nil {
		t.Fatalf("%+v", s)
	}
	if s.Calls == 0 || o.Scheduled != s.Calls+o.Unstarted || s.Callers != 16 || s.Bytes <= 0 || s.Bottleneck == "" || o.Pacing == "" {
		t.Errorf("%+v", s)
	}
	if p.User+p.System <= 0 || p.Descriptors < 3 || p.Switches == 0 || p.Memory.RSS == 0 || s.Phases.Connect.Mean <= 0 {
		t.Errorf("%+v", p)
	}
	for _, name := range []string{hgrm, filepath.Join(dir, "r-service.hgrm")} {
		b, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(b), "Total count") || !strings.Contains(string(b), "1/(1-Percentile)") {
			t.Errorf("%s: %v\n%s", name, err, b)
		}
	}
}

// TestRunSizes has answers of a size of their own from all servers but the floor,
// and payloads over the default limit.
func TestRunSizes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.json")
	for _, server := range []string{"reference", "eventloop", "eventloop-on-loop"} {
		out, err := run(t, "run", "--server", server, "--callers", "2", "--seconds", "0.1", "--warm-up", "0s", "--sizes", "13-100/0-5000:8,2M,13/1200K", "--json", file)
		if err != nil {
			t.Errorf("%s: %v\n%s", server, err, out)
			continue
		}
		if s := readScenario(t, file); s.Calls == 0 || s.RequestSize != 2<<20 {
			t.Errorf("%s: %+v", server, s)
		}
	}
	out, err := run(t, "run", "--server", "floor", "--batch", "3", "--callers", "2", "--seconds", "0.05", "--warm-up", "0s", "--payload", "0-1000")
	if err != nil || !strings.Contains(out, "2 callers with 3 calls in flight each, bytes 0-1000") {
		t.Errorf("floor: %v\n%s", err, out)
	}
}

// TestRunOthers has users and hostile callers beside.
func TestRunOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatal("acting as other users needs root")
		}
		t.Skip("acting as other users needs root")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "r.json")
	if out, err := run(t, "run", "--uids", "1"); err == nil { // the directory of tests is root's
		t.Errorf("nobody can enter TMPDIR\n%s", out)
	}
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, "run", "--uids", "1234,0", "--pieces", "2", "--pause", "100us", "--seconds", "0.3", "--warm-up", "0s",
		"--hostile", "half=1,garbage=2,early=1,denied=2,slow=1", "--json", file)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := readScenario(t, file)
	if len(s.Users) != 2 || s.Users[0].UID != 1234 || s.Users[1].UID != 0 || len(s.Hostile) != 5 {
		t.Fatalf("%+v", s)
	}
	for _, h := range s.Hostile {
		if h.Attempts == 0 || h.Attempts != h.Answered+h.Refused+h.Ended+h.Left || h.Answered > 0 {
			t.Errorf("%+v", h)
		}
	}
	// The last attempt of each may be cut off.
	for i, callers := range map[int]uint64{1: 2, 3: 2} {
		if h := s.Hostile[i]; h.Refused == 0 || h.Refused+callers < h.Attempts {
			t.Errorf("%+v", h)
		}
	}
	for _, want := range []string{`denied: "`, `garbage: "`, "backlog full"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
}

// TestRunNotRoot says so at once.
func TestRunNotRoot(t *testing.T) {
	for _, args := range [][]string{{"--uids", "5"}, {"--hostile", "denied=1"}} {
		cmd, _ := command(t, append([]string{"run"}, args...)...)
		if os.Geteuid() == 0 {
			cmd.Path = "/proc/self/exe" // the test program may be in a directory of root's
			cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
		}
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitUsage || !strings.Contains(string(out), "need root") {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
}

func TestRunUsage(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"--rate 5 --batch 3", "every call has its own arrival"},
		{"--rate=-1", "not above 0"},
		{"--rate 5 --steps 5:1s", "--steps have their own rates"},
		{"--steps 5", "RATE:DURATION"},
		{"--arrivals poisson", "needs --rate or --steps"},
		{"--sizes 5/5", "it takes 13"},
		{"--answer 5 --sizes 5", "--sizes has both"},
		{"--payload 17M", "16777216"},
		{"--hostile rude=1", "there are slow, half, garbage, early, denied, spliced, linger, deaf, and all"},
		{"--pid 5", "--socket"},
		{"--socket x --loops 2", "that is started"},
		{"--seconds 0", "above 0"},
		{"--callers 1 --uids 1-2", "each needs one"},
		{"--server other", "must be one of"},
		{"--program x", "for ttrpc"},
		{"--socket x --pid 5 --pprof y", "--perf records any process"},
		{"--socket x --perf y", "need --pid"},
		{"--socket x --syscalls", "need --pid"},
	} {
		cmd, _ := command(t, append([]string{"run"}, strings.Fields(tt.args)...)...)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitUsage || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: %v\n%s", tt.args, err, out)
		}
	}
	for _, tt := range []struct{ args, want string }{
		{"--server floor --answer 50", "floor only echoes"},
		{"--server floor --trace x", "perf records it"},
		{"--server reference --rules x", "no access rules"},
		{"--server gnet --answer 50", "only echoes"},
		{"--server s6 --pprof x", "perf records it"},
		{"--server s6 --loops 2", "no event loops"},
		{"--server grpc --program /x --rate 100", "only make a closed loop"},
		{"--server ttrpc --program /x --batch 2", "only make a closed loop"},
		{"--server netrpc --program /x --payload 5-9", "only make a closed loop"},
		{"--server netrpc --program /does/not/exist", "no such file"},
		{"--socket /does/not/exist", "does not echo"},
	} {
		cmd, _ := command(t, append([]string{"run"}, strings.Fields(tt.args)...)...)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: %v\n%s", tt.args, err, out)
		}
	}
}

// TestRunInterrupt prints what there is.
func TestRunInterrupt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.json")
	cmd, dir := command(t, "run", "--seconds", "3600", "--warm-up", "0s", "--rate", "200", "--json", file)
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	waitFor(t, cmd, "measuring")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(stdout.String(), "Interrupted: ") {
		t.Errorf("%v\n%s", err, stdout.String())
	}
	if s := readScenario(t, file); !s.Interrupted || s.Calls == 0 || s.Process == nil {
		t.Errorf("%+v", s)
	}
	checkGone(t, dir)
}

// serveHere answers calls of 32 bytes in this process and calls each for every
// connection.
func serveHere(t *testing.T, each func(n int, conn *net.UnixConn)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 1; ; n++ {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			each(n, conn)
			go func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(time.Minute))
				request := make([]byte, 100)
				if n, err := conn.Read(request); err == nil {
					conn.Write(append([]byte{0, 0, 0, 0}, request[:n]...))
				}
			}()
		}
	}()
	return path
}

// TestSlowedClient stops the load generator for a good part of the run. It is the
// bottleneck then, and no other.
func TestSlowedClient(t *testing.T) {
	const stop = 900 * time.Millisecond
	path := serveHere(t, func(n int, conn *net.UnixConn) {
		if n != 50 { // the first is the command's own
			return
		}
		raw, err := conn.SyscallConn()
		if err != nil {
			t.Error(err)
			return
		}
		raw.Control(func(fd uintptr) {
			caller, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
			if err != nil {
				t.Error(err)
				return
			}
			syscall.Kill(int(caller.Pid), syscall.SIGSTOP)
			time.AfterFunc(stop, func() { syscall.Kill(int(caller.Pid), syscall.SIGCONT) })
		})
	})
	file := filepath.Join(t.TempDir(), "r.json")
	out, err := run(t, "run", "--socket", path, "--pid", strconv.Itoa(os.Getpid()), "--callers", "128", "--rate", "100", "--seconds", "2.5", "--warm-up", "0s", "--json", file)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if s := readScenario(t, file); s.Bottleneck != "generator" || s.Offered.Scheduled != 250 || !strings.Contains(out, "bottleneck   generator: client-bound, ") {
		t.Errorf("%s", out)
	}
}

// TestRunErrors has a server that refuses one of ten calls. They are counted by
// kind, and the command fails.
func TestRunErrors(t *testing.T) {
	path := serveHere(t, func(n int, conn *net.UnixConn) {
		if n%10 == 0 {
			io.WriteString(conn, "\x00\x00\x00\x04busy")
			conn.CloseWrite()
		}
	})
	out, err := run(t, "run", "--socket", path, "--callers", "2", "--seconds", "0.1", "--warm-up", "0s")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out, `× error frame: "busy"`) || !strings.Contains(out, "figures and the bottleneck are unknown") {
		t.Errorf("%v\n%s", err, out)
	}
}
