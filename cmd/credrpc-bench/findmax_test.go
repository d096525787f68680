package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// wantExit runs the command and checks its exit status and what it prints, on both
// outputs together.
func wantExit(t *testing.T, status int, want string, args ...string) string {
	t.Helper()
	cmd, _ := command(t, args...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if got := cmd.ProcessState.ExitCode(); got != status || err != nil && !errors.As(err, &exit) || !strings.Contains(string(out), want) {
		t.Errorf("%v: %v, want status %d and %q\n%s", args, err, status, want, out)
	}
	return string(out)
}

// TestFindMax has an objective that every run holds, on two servers.
func TestFindMax(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.json")
	out, err := run(t, "find-max", "--slo", "p50<50s,errors<90%", "--server", "eventloop,reference", "--from", "250", "--to", "500",
		"--seconds", "0.1", "--warm-up", "0s", "--tries", "3", "--resolution", "100", "--callers", "4", "--json", file)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"offered/s", "eventloop: 500 calls/s, the highest rate that was asked for, hold p50<50s,errors<90%. At 500 calls/s all of 3 runs held.",
		"reference beside eventloop: "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
	var r struct {
		Name     string
		Axis     struct{ Name string }
		Servers  []struct{ Name string }
		Findings []string
		Runs     []struct {
			Server string
			At     float64
			Round  int
		}
	}
	readReport(t, file, &r)
	if r.Name != "find-max" || r.Axis.Name != "offered rate" || len(r.Servers) != 2 || len(r.Findings) != 3 || len(r.Runs) < 10 {
		t.Fatalf("%+v", r)
	}
	seen := map[string]bool{}
	for i, run := range r.Runs {
		if run.At != 250 && run.At != 500 || run.Round > 4 {
			t.Errorf("%+v", run)
		}
		seen[run.Server] = true
		if i == 1 && len(seen) != 2 {
			t.Error("the servers do not take turns")
		}
	}
}

// TestFindMaxMisses has an objective that no run holds, whatever the generator does.
func TestFindMaxMisses(t *testing.T) {
	wantExit(t, 1, "eventloop: misses service.max<1us even at 250 calls/s, the lowest rate.", "find-max", "--slo", "service.max<1us", "--from", "250",
		"--seconds", "0.1", "--warm-up", "0s", "--tries", "3", "--callers", "4")
}

func TestFindMaxUsage(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", "there must be an objective: --slo"},
		{"--slo p99<500", "column 5: "},
		{"--slo p99<1ms --tries 4", "must be odd"},
		{"--slo p99<1ms --from 100", "p99 needs 1000 calls a run"},
		{"--slo p99<1ms --to 100", "must be above 0 and at most the highest"},
		{"--slo p99<1ms --resolution 0", "0.1 to 100 percent"},
		{"--slo p99<1ms --callers 0", "0 callers"},
		{"--slo p99<1ms --socket x --rules y", "that is started"},
		{"--slo p99<1ms --pid 5", "--socket"},
		{"--slo p99<1ms --sizes 5 --payload 6", "--payload is not for it"},
		{"--slo p99<1ms --server other", "must be one of"},
		{"--slo p99<1ms --server eventloop,eventloop", "twice"},
	} {
		wantExit(t, exitUsage, tt.want, append([]string{"find-max"}, strings.Fields(tt.args)...)...)
	}
	wantExit(t, 1, "does not echo", "find-max", "--slo", "p99<1ms", "--socket", "/does/not/exist")
}

// TestFindMaxInterrupt prints what there is.
func TestFindMaxInterrupt(t *testing.T) {
	cmd, dir := command(t, "find-max", "--slo", "p50<1s", "--seconds", "3600", "--warm-up", "0s", "--callers", "2")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	waitFor(t, cmd, "run 1: 1000 calls/s on eventloop")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(stdout.String(), "Interrupted: ") || !strings.Contains(stdout.String(), "eventloop: not finished; nothing is known yet.") {
		t.Errorf("%v\n%s", err, stdout.String())
	}
	checkGone(t, dir)
}
