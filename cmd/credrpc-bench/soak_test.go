package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"credrpc/server"

	"golang.org/x/sys/unix"
)

// leakVariable makes the test program a server that leaks, if it is set: the pages
// that every call costs, and how many calls cost a descriptor, 0 for none.
const leakVariable = "CREDRPC_BENCH_TEST_LEAK"

// loseThings serves at the path that is the first argument.
func loseThings() {
	var pages, every, calls int
	if _, err := fmt.Sscan(os.Getenv(leakVariable), &pages, &every); err != nil {
		panic(err)
	}
	answer := func(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
		calls++ // handlers are on the only loop
		if pages > 0 {
			leaked, err := unix.Mmap(-1, 0, pages*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
			if err != nil {
				return nil, err
			}
			for i := 0; i < len(leaked); i += os.Getpagesize() {
				leaked[i] = 1
			}
		}
		if every > 0 && calls%every == 0 {
			if _, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
				return nil, err
			}
		}
		return append(dst, call.Payload...), nil
	}
	srv := &server.Server{Handler: server.HandlerFunc(answer), HandlerOnLoop: true}
	fmt.Fprintln(os.Stderr, srv.ListenAndServe(os.Args[1]))
	os.Exit(1)
}

// startLeaking starts a server that leaks.
func startLeaking(t *testing.T, pages, every int) (socket string, process *os.Process) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	cmd := exec.CommandContext(t.Context(), os.Args[0], socket)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d", leakVariable, pages, every))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			return socket, cmd.Process
		}
		if time.Now().After(deadline) {
			t.Fatal("the server does not listen")
		}
	}
}

// soakFlags make 14 samples of a tenth of a second, 13 of which count: 50 calls each.
func soakFlags(socket string, process *os.Process) []string {
	return []string{"soak", "--socket", socket, "--pid", strconv.Itoa(process.Pid), "--minutes", "0.0234", "--every", "100ms", "--warm-up", "8",
		"--rate", "500", "--callers", "4", "--sizes", "32"}
}

// TestSoakLeak finds a leak of four pages a call and of a descriptor every ten calls,
// and how large they are.
func TestSoakLeak(t *testing.T) {
	socket, process := startLeaking(t, 4, 10)
	file := filepath.Join(t.TempDir(), "r.json")
	out := wantExit(t, 1, "the server grows: RSS", append(soakFlags(socket, process), "--json", file)...)
	for _, leak := range []struct {
		pattern string
		from    float64
		to      float64
	}{
		{`RSS: grows by .* an hour \(.*\), ([0-9.]+) KiB a call`, 14, 20},
		{`descriptors: grows by .* an hour \(.*\), ([0-9.]+) a call`, 0.08, 0.12},
	} {
		m := regexp.MustCompile(leak.pattern).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("%s is missing:\n%s", leak.pattern, out)
		}
		if slope, err := strconv.ParseFloat(m[1], 64); err != nil || slope < leak.from || slope > leak.to {
			t.Errorf("%s is not from %v to %v", m[0], leak.from, leak.to)
		}
	}
	var r struct {
		Name     string
		Axis     struct{ Name, Unit string }
		Findings []string
		Runs     []struct {
			At      float64
			Process *struct{ Descriptors int } `json:"server_process"`
		}
	}
	readReport(t, file, &r)
	if r.Name != "soak" || r.Axis.Name != "time" || len(r.Findings) < 3 || len(r.Runs) != 14 {
		t.Fatalf("%+v", r)
	}
	for i, run := range r.Runs {
		if run.Process == nil || i > 0 && run.At <= r.Runs[i-1].At {
			t.Errorf("sample %d: %+v", i, run)
		}
	}
}

// TestSoakLevel has the same server without leaks.
func TestSoakLevel(t *testing.T) {
	socket, process := startLeaking(t, 0, 0)
	out := wantExit(t, 0, "descriptors: level; in so short a time", soakFlags(socket, process)...)
	if strings.Contains(out, "grows by") {
		t.Errorf("%s", out)
	}
}

// TestSoakEnds has a server that ends, and a soak that ends early.
func TestSoakEnds(t *testing.T) {
	socket, process := startLeaking(t, 0, 0)
	for _, tt := range []struct {
		wait, want string
		end        func(soak *os.Process) error
	}{
		{"descriptors, ", "Interrupted: the verdict is on the samples that were taken.", func(soak *os.Process) error { return soak.Signal(os.Interrupt) }},
		{"sample 1 of 36000", "", func(*os.Process) error { return process.Kill() }},
	} {
		cmd, dir := command(t, append(soakFlags(socket, process), "--minutes", "60")...)
		var stdout bytes.Buffer
		cmd.Stdout = &stdout
		waitFor(t, cmd, tt.wait)
		if err := tt.end(cmd.Process); err != nil {
			t.Fatal(err)
		}
		err := cmd.Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(stdout.String(), tt.want) {
			t.Errorf("%v\n%s", err, stdout.String())
		}
		checkGone(t, dir)
	}
}

// TestSoakHostile has everything befall a server that can: nobody is let in, and every
// answer is for who called.
func TestSoakHostile(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatal("acting as other users needs root")
		}
		t.Skip("acting as other users needs root")
	}
	if err := os.Chmod(filepath.Dir(t.TempDir()), 0o711); err != nil {
		t.Fatal(err)
	}
	out := wantExit(t, 0, "Crashes: the server did not end.", "soak", "--minutes", "0.05", "--every", "1500ms", "--rate", "200", "--callers", "4",
		"--uids", "20000,20001", "--hostile", "all=1", "--faults", "all", "--seed", "3")
	for _, want := range []string{`Answers: [0-9]+ right, compared byte for byte; 0 wrong, 0 refused, 0 failed\.`, `Identities: 0 answers were for somebody else\.`,
		`Let in: 0 of [1-9][0-9,]* attempts`, `Faults: .* times`, `\ngoroutines +[0-9]`, `spliced: [1-9][0-9]* attempts, [1-9][0-9]* of them refused`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
}

// TestSoakServer starts a server, with everything that a load can have.
func TestSoakServer(t *testing.T) {
	out := wantExit(t, 0, "too short to say; a verdict needs 12 samples", "soak", "--minutes", "0.01", "--every", "200ms", "--hostile", "half=1,garbage=1", "--callers", "2")
	for _, want := range []string{"3 samples in", "hostile callers, garbage: ", "throughput"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
}

func TestSoakUsage(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"--minutes 0", "--minutes must be above 0"},
		{"--socket x", "--socket needs --pid"},
		{"--warm-up 100", "less than 100 percent"},
		{"--rate=-1", "--rate must be above 0"},
		{"--sizes x", "x"},
		{"--sizes 20", "need requests and answers of 21 bytes, and not 20"},
		{"--faults quake", "there are reload,replace,damage,stop,descriptors and all"},
		{"--faults all --server reference", "--faults are for package server"},
		{"--hostile rude=1", "there are slow, half, garbage, early, denied, spliced, linger, deaf, and all"},
		{"--server floor", "must be one of"},
	} {
		wantExit(t, exitUsage, tt.want, append([]string{"soak"}, strings.Fields(tt.args)...)...)
	}
}
