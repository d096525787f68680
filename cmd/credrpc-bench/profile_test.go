package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// buildPeers builds credrpc-peers, or skips the test.
func buildPeers(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "p")
	build := exec.Command("go", "build", "-C", "../../bench/peers", "-o", program, "./cmd/credrpc-peers")
	if out, err := build.CombinedOutput(); err != nil {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Skipf("bench/peers cannot be built here, which takes the network once: %v\n%s", err, out)
	}
	return program
}

// TestRunServers has a load on each server that other tests of run do not have, and
// what is said about it.
func TestRunServers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.json")
	try := func(server, checks string, asked bool, flags ...string) {
		t.Helper()
		out, err := run(t, append([]string{"run", "--server", server, "--callers", "2", "--seconds", "0.1", "--warm-up", "50ms", "--json", file}, flags...)...)
		if err != nil || !strings.Contains(out, "credentials  taken with each "+checks+"\n") || strings.Contains(out, "Go runtime   a call ") != asked {
			t.Errorf("%s: %v\n%s", server, err, out)
			return
		}
		s := readScenario(t, file)
		none := s.Calls == 0 && (s.Offered == nil || s.Offered.Unstarted == 0) // a busy machine may begin none
		if none || s.Process == nil || s.Process.User+s.Process.System <= 0 || s.WarmUp != 0.05 || (s.Runtime != nil) != asked {
			t.Errorf("%s: %+v", server, s)
		}
		if asked && (s.Runtime.Goroutines < 1 || s.Runtime.GOMAXPROCS < 1) {
			t.Errorf("%s: %+v", server, s.Runtime)
		}
	}
	try("gnet", "connection", true, "--rate", "500", "--pieces", "2", "--payload", "0-1000")
	try("reference", "call", true)
	if s := readScenario(t, file).Runtime; s == nil || s.Created == 0 || s.Allocations == 0 {
		t.Errorf("a goroutine a call, and the runtime says %+v", s)
	}
	t.Run("s6", func(t *testing.T) {
		if _, err := exec.LookPath("s6-ipcserver"); err != nil {
			if os.Getenv("CREDRPC_CI") == "1" {
				t.Fatal("the Debian package s6 is not installed")
			}
			t.Skip("the Debian package s6 is not installed")
		}
		try("s6", "call", false, "--seconds", "0.3")
		try("s6", "call", false, "--rate", "50", "--payload", "100")
	})
	t.Run("peers", func(t *testing.T) {
		program := buildPeers(t)
		for _, server := range []string{"ttrpc", "grpc", "netrpc"} {
			try(server, "connection", true, "--program", program, "--payload", "100")
		}
		interruptPeers(t, program)
	})
}

// interruptPeers prints what there is, of callers of another program too.
func interruptPeers(t *testing.T, program string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "r.json")
	cmd, dir := command(t, "run", "--server", "netrpc", "--program", program, "--seconds", "3600", "--warm-up", "0s", "--json", file)
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
	if s := readScenario(t, file); !s.Interrupted || s.Calls == 0 || s.Failed != 0 || s.Process == nil || s.Runtime == nil {
		t.Errorf("%+v", s)
	}
	checkGone(t, dir)
}

// pprofTop returns what go tool pprof says is at the top.
func pprofTop(t *testing.T, file string) string {
	t.Helper()
	out, err := exec.Command("go", "tool", "pprof", "-top", "-nodecount=1000", file).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return string(out)
}

// TestRunProfiles has all files of a run, which the programs for them read.
func TestRunProfiles(t *testing.T) {
	dir := t.TempDir()
	name := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.WriteFile(name("cpu"), []byte("old"), 0o644), os.WriteFile(name("target"), nil, 0o644), os.Symlink("target", name("trace"))); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, "run", "--server", "eventloop-on-loop", "--callers", "4", "--seconds", "0.7", "--warm-up", "50ms",
		"--pprof", name("cpu"), "--trace", name("trace"), "--heap", name("heap"))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for file, want := range map[string]string{"cpu": "credrpc/server.", "heap": "inuse_space"} {
		if top := pprofTop(t, name(file)); !strings.Contains(top, want) {
			t.Errorf("%s lacks %q:\n%s", file, want, top)
		}
	}
	events, err := exec.Command("go", "tool", "trace", "-d=parsed", name("target")).CombinedOutput()
	if err != nil || !bytes.Contains(events, []byte("StateTransition")) {
		t.Errorf("trace: %v\n%.300s", err, events)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Errorf("%v, %v", entries, err)
	}
	if info, err := os.Lstat(name("trace")); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info.Mode(), err)
	}
}

// TestRunProfilesElsewhere has files that cannot be, or that are none.
func TestRunProfilesElsewhere(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	for flag, path := range map[string]string{"--pprof": "/does/not/exist", "--trace": dir, "--heap": dir + "/x/y"} {
		if out, err := run(t, "run", "--seconds", "30", flag, path); err == nil {
			t.Errorf("%s %s: %s", flag, path, out)
		}
	}
	if err := exec.Command("mkfifo", pipe).Run(); err != nil {
		t.Fatal(err)
	}
	reader := exec.Command("cat", pipe)
	var got bytes.Buffer
	reader.Stdout = &got
	if err := reader.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(time.Minute, func() { reader.Process.Kill() }).Stop()
	out, err := run(t, "run", "--callers", "1", "--seconds", "0.1", "--warm-up", "0s", "--heap", pipe)
	if err != nil {
		reader.Process.Kill()
		t.Errorf("%v\n%s", err, out)
	}
	if err := reader.Wait(); err != nil || !bytes.HasPrefix(got.Bytes(), []byte("\x1f\x8b")) {
		t.Errorf("%v, %d bytes came through the pipe", err, got.Len())
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("the pipe is %v, %v", info.Mode(), err)
	}
}

// TestRunProfilesInterrupt ends runs early: in the measured part, whose profile is
// complete, and in the warm-up, after which there is none.
func TestRunProfilesInterrupt(t *testing.T) {
	for _, warmUp := range []string{"0s", "1h"} {
		dir := t.TempDir()
		file := filepath.Join(dir, "cpu")
		cmd, temporary := command(t, "run", "--seconds", "3600", "--warm-up", warmUp, "--callers", "2", "--pprof", file, "--trace", filepath.Join(dir, "trace"))
		waitFor(t, cmd, map[string]string{"0s": "measuring", "1h": "warming up"}[warmUp])
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Error("an interrupted run succeeds")
		}
		checkGone(t, temporary)
		entries, err := os.ReadDir(dir)
		if warmUp == "1h" {
			if len(entries) != 0 || err != nil {
				t.Errorf("in the warm-up: %v, %v", entries, err)
			}
			continue
		}
		if len(entries) != 2 || err != nil {
			t.Errorf("%v, %v", entries, err)
		}
		pprofTop(t, file)
	}
}

// TestRunPerf records a server in C, and one that runs already.
func TestRunPerf(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir) // perf keeps symbols there
	if out, err := exec.Command("perf", "record", "-q", "-e", "cpu-clock", "-o", filepath.Join(dir, "try"), "true").CombinedOutput(); err != nil {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatalf("perf is not installed or may not record: %v\n%s", err, out)
		}
		t.Skipf("perf is not installed or may not record: %v\n%s", err, out)
	}
	file := filepath.Join(dir, "floor")
	if out, err := run(t, "run", "--server", "floor", "--callers", "4", "--seconds", "0.2", "--warm-up", "0s", "--perf", file); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := exec.Command("perf", "report", "-i", file, "--stdio", "-g", "none", "-s", "comm").Output(); err != nil || !strings.Contains(string(out), "floor") {
		t.Errorf("%v\n%s", err, out)
	}
	path, file := serveHere(t, func(int, *net.UnixConn) {}), filepath.Join(dir, "running")
	if out, err := run(t, "run", "--socket", path, "--pid", strconv.Itoa(os.Getpid()), "--seconds", "0.1", "--warm-up", "0s", "--perf", file); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if b, err := os.ReadFile(file); err != nil || !bytes.HasPrefix(b, []byte("PERFILE2")) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// TestRunNoPerf has none, or one that may not record.
func TestRunNoPerf(t *testing.T) {
	bin := t.TempDir()
	file := filepath.Join(bin, "out")
	for want, script := range map[string]string{"not installed": "", "the reason": "#!/bin/sh\necho the reason >&2; exit 1\n"} {
		if script != "" {
			if err := os.WriteFile(filepath.Join(bin, "perf"), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		} else {
			os.Remove(filepath.Join(bin, "perf"))
		}
		cmd, dir := command(t, "run", "--seconds", "30", "--perf", file)
		cmd.Env = append(cmd.Env, "PATH="+bin)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), want) {
			t.Errorf("%v\n%s", err, out)
		}
		checkGone(t, dir)
		if _, err := os.Stat(file); err == nil {
			t.Error("a file without a recording")
		}
	}
}

// TestRunSystemCalls counts those of a server that is started, and of one that runs.
func TestRunSystemCalls(t *testing.T) {
	out, err := run(t, "run", "--callers", "2", "--seconds", "0.1", "--warm-up", "0s", "--server", "eventloop", "--rate", "200", "--syscalls")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := exec.Command("strace", "-o", os.DevNull, "true").Run(); err != nil {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatal("strace is not installed or may not trace: ", err)
		}
		t.Skip("strace is not installed or may not trace: ", err)
	}
	// A server that finds nobody in the backlog has asked once more.
	if !regexp.MustCompile(`accept4 [12]\.`).MatchString(out) || !strings.Contains(out, "recvmsg 1.") || !strings.Contains(out, "system calls ") {
		t.Errorf("%s", out)
	}
	cmd, _ := command(t, "server", "reference", filepath.Join(t.TempDir(), "s"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	path := cmd.Args[len(cmd.Args)-1]
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			break
		}
	}
	out, err = run(t, "run", "--socket", path, "--pid", strconv.Itoa(cmd.Process.Pid), "--callers", "2", "--seconds", "0.2", "--warm-up", "0s", "--syscalls")
	if err != nil || !strings.Contains(out, "accept4 1.") || !strings.Contains(out, "write 3.0") {
		t.Errorf("%v\n%s", err, out)
	}
	// The server goes on, and ends as ever.
	if out, err := run(t, "load", "--socket", path, "--seconds", "0.02"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestRunNoStrace says so and goes on.
func TestRunNoStrace(t *testing.T) {
	cmd, dir := command(t, "run", "--callers", "1", "--seconds", "0.05", "--warm-up", "0s", "--syscalls")
	cmd.Env = append(cmd.Env, "PATH="+dir)
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "System calls were not counted: strace is not installed.") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestStalledServer has a server that answers nothing for a good part of the run.
// That is not the load generator's fault: it is in the latencies of the arrivals of
// that time, and in the service time of those calls that were under way.
func TestStalledServer(t *testing.T) {
	const stall = 900 * time.Millisecond
	var until atomic.Int64 // nanoseconds since began; connections before wait in the backlog
	began := time.Now()
	path := serveHere(t, func(n int, _ *net.UnixConn) {
		if n == 50 {
			until.Store(int64(time.Since(began) + stall))
		}
		time.Sleep(time.Duration(until.Load()) - time.Since(began))
	})
	file := filepath.Join(t.TempDir(), "r.json")
	out, err := run(t, "run", "--socket", path, "--pid", strconv.Itoa(os.Getpid()), "--callers", "8", "--rate", "100", "--seconds", "2.5", "--warm-up", "0s", "--json", file)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := readScenario(t, file)
	if s.Bottleneck == "generator" || strings.Contains(out, "client-bound") || s.Offered.Scheduled != 250 {
		t.Errorf("%s", out)
	}
	// 90 arrivals of 250, of which 8 have a caller. Half of them wait for half of it.
	half := float64(stall.Microseconds()) / 2
	if s.Latency.P90 < half*0.99 || s.Latency.P999 < 2*half*0.99 || s.ServiceTime.P90 > half {
		t.Errorf("latency %+v, service time %+v", s.Latency, s.ServiceTime)
	}
}
