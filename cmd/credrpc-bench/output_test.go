package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"credrpc/bench/report"
)

// status runs the command and returns what it printed and its exit status.
func status(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd, dir := command(t, args...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	checkGone(t, dir)
	return out.String(), complaints.String(), cmd.ProcessState.ExitCode()
}

// TestOutput writes a result in every form, and has conditions of which one is true.
func TestOutput(t *testing.T) {
	dir := t.TempDir()
	json, text := filepath.Join(dir, "r.json"), filepath.Join(dir, "r.txt")
	args := append(tiny, "--servers", "reference,eventloop", "--json", json, "--go-bench", text)
	out, complaints, code := status(t, append(args, "--fail-if", "eventloop.errors > 0", "--fail-if", "eventloop.p99 > 60s")...)
	if code != 0 || !strings.Contains(out, "--fail-if: 0 of 4 checks failed.\n") {
		t.Errorf("status %d\n%s%s", code, out, complaints)
	}
	file, err := report.ReadFile(json)
	if err != nil || file.Command != "quick" || len(file.Reports) != 1 || file.Reports[0].Name != "quick" {
		t.Errorf("%+v, %v", file, err)
	}
	lines, err := os.ReadFile(text)
	if err != nil || strings.Count(string(lines), "\nBenchmarkQuick/server=eventloop/load=t2-") != 2 {
		t.Errorf("%v\n%s", err, lines)
	}
	out, complaints, code = status(t, append(args, "--fail-if", "eventloop.p99 < 60s on t2", "--fail-if", "eventloop.p99 / reference.p99 > 0")...)
	if code != 1 || strings.Count(out, "\nFAILED eventloop.p99 < 60s on t2, quick, t2: left ") != 1 || strings.Count(out, "> 0, quick, ") != 2 ||
		!strings.Contains(out, "median of 2 rounds") || !strings.Contains(out, "--fail-if: 3 of 3 checks failed.\n") || !strings.Contains(complaints, "a condition of --fail-if is true") {
		t.Errorf("status %d\n%s%s", code, out, complaints)
	}
	out, complaints, code = status(t, append(args, "--fail-if", "eventloop.rss > 1MiB")...)
	if code != 1 || !strings.Contains(complaints, "it is not measured there") {
		t.Errorf("status %d\n%s%s", code, out, complaints)
	}
}

// TestFailIfUsage has conditions that are wrong before anything is measured: no file is
// written.
func TestFailIfUsage(t *testing.T) {
	for _, tt := range []struct{ command, condition, want string }{
		{"quick", "eventloop.thruput < 3", "--fail-if: column 11: there is no figure \"thruput\"; there are throughput,"},
		{"quick", "eventloop.p99 > 3", "a time needs a unit"},
		{"quick", "gnet.p99 > 3us", "--fail-if: column 1: there is no server \"gnet\"; there are "},
		{"quick", "eventloop.p99 > 3us on t5", "there is no load t5; there are b32x1, b256x1, t1, t16, t64"},
		{"quick", "new.eventloop.p99 > 3us", "for the comparison of two files"},
		{"strace", "gnet.p99 > 3us", "there is no server \"gnet\"; there are "},
		{"run", "reference.p99 > 3us", "there is no server \"reference\"; there are eventloop"},
		{"ladder", "reference.p99 > 3us", "there is no server \"reference\"; there are "},
	} {
		file := filepath.Join(t.TempDir(), "r.json")
		args := []string{tt.command, "--json", file, "--fail-if", tt.condition}
		if tt.command == "ladder" {
			args = append(args, "--steps", "server", "--rules", "1")
		}
		out, complaints, code := status(t, args...)
		if code != exitUsage || !strings.Contains(complaints, tt.want) || out != "" {
			t.Errorf("%s %s: status %d\n%s%s", tt.command, tt.condition, code, out, complaints)
		}
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s %s wrote a file", tt.command, tt.condition)
		}
	}
}

// TestCompare compares two results of the same servers.
func TestCompare(t *testing.T) {
	dir := t.TempDir()
	before, after, changes := filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json"), filepath.Join(dir, "c.json")
	for file, servers := range map[string]string{before: "reference,eventloop", after: "eventloop"} {
		if out, err := run(t, append(tiny, "--servers", servers, "--json", file)...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	out, complaints, code := status(t, "compare", before, after, "--json", changes, "--fail-if", "new.eventloop.p99 > 60s + old.eventloop.p99")
	if code != 0 {
		t.Errorf("status %d\n%s%s", code, out, complaints)
	}
	for _, want := range []string{"old  " + before + ": quick, ", "\nquick, t2\n", "\n  p99.9, µs ", "0 of 10 figures differ", "quick has too few rounds", "quick, b4x1: reference is only in " + before, "--fail-if: 0 of 2 checks failed."} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if text, err := os.ReadFile(changes); err != nil || !bytes.Contains(text, []byte(`"verdict": "~"`)) {
		t.Errorf("%v\n%s", err, text)
	}
	for _, tt := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{before, after, "--fail-if", "new.eventloop.p99 > 0.0001 * old.eventloop.p99"}, "a condition of --fail-if is true", 1},
		{[]string{before, after, "--fail-if", "eventloop.p99 > 1us"}, "Write old.eventloop.p99 or new.eventloop.p99", exitUsage},
		{[]string{before, after, "--fail-if", "new.reference.p99 > 1us"}, "there is no server \"reference\"", exitUsage},
		{[]string{before, after, "--alpha", "1"}, "between 0 and 1", exitUsage},
		{[]string{before}, "expected \"<new>\"", exitUsage},
		{[]string{before, dir + "/none"}, "no such file", 1},
		{[]string{before, "compare.go"}, "not a result file", 1},
		{[]string{before, "../../bench/results/payload.json"}, "the files have nothing in common", 1},
	} {
		if out, complaints, code := status(t, append([]string{"compare"}, tt.args...)...); code != tt.code || !strings.Contains(complaints, tt.want) {
			t.Errorf("%v: status %d\n%s%s", tt.args, code, out, complaints)
		}
	}
}
