package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"credrpc/bench/report"
	"credrpc/bench/suite"
)

// suiteFile reads a result file.
func suiteFile(t *testing.T, path string) []*report.Report {
	t.Helper()
	f, err := report.ReadFile(path)
	if err != nil || f.Command != "suite" {
		t.Fatalf("%+v, %v", f, err)
	}
	return f.Reports
}

// TestSuite has every scenario run alone, with the fewest and shortest runs.
func TestSuite(t *testing.T) {
	loops := []float64{1}
	if runtime.NumCPU() > 1 {
		loops = append(loops, float64(runtime.NumCPU()))
	}
	points := map[string][]float64{ // of each server
		"quick": {0}, "ladder": {0}, "peers": {0},
		"callers": {1, 4, 1024},
		"payload": {0, 32, 1 << 20},
		"rules":   {0, 1, 1000},
		"loops":   loops,
		"uids":    {1, 10, 1000},
		"rates":   nil, // which are what the server can do
		"flood":   {0, 16, 64},
		"idle":    {0, 1000},
		// How many callers are needed for one sleeping call of a hundred varies.
		"sleepers": nil,
	}
	for _, name := range suite.Scenarios() {
		t.Run(name, func(t *testing.T) {
			want, ok := points[name]
			if !ok {
				t.Fatal("it is not tested")
			}
			if testing.Short() && name != "quick" {
				t.Skip("the scenarios are made alike; -short tests one")
			}
			dir := t.TempDir()
			if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil { // others call, too
				t.Fatal(err)
			}
			file := filepath.Join(dir, "suite.json")
			out, err := run(t, "suite", "--short", "--only", name, "--json", file)
			// A machine may be too slow for a deadline; then the command says so.
			if missed := strings.Contains(out, "missed their deadline"); (err != nil) != missed || !strings.HasPrefix(out, name+" ") {
				t.Fatalf("%v\n%s", err, out)
			}
			all := suiteFile(t, file)
			if len(all) != 1 || all[0].Name != name || all[0].Title == "" {
				t.Fatalf("%d reports: %+v", len(all), all)
			}
			if strings.Contains(out, name+" is left out") {
				if os.Getenv("CREDRPC_CI") == "1" {
					t.Fatal(out)
				}
				t.Skip(out)
			}
			checkPoints(t, all[0], want)
		})
	}
}

// checkPoints looks at the runs of a scenario: every server was at every point, and
// its callers were answered.
func checkPoints(t *testing.T, r *report.Report, want []float64) {
	t.Helper()
	if len(r.Servers) == 0 || len(r.Findings) == 0 || r.Rounds != 1 || (r.Axis == nil) != (len(want) == 1) {
		t.Errorf("%d servers, findings %q, %d rounds, axis %+v", len(r.Servers), r.Findings, r.Rounds, r.Axis)
	}
	points, calls := map[string][]float64{}, map[string]uint64{}
	for _, run := range r.Runs {
		calls[run.Server] += run.Calls
		if !slices.Contains(points[run.Server], run.At) {
			points[run.Server] = append(points[run.Server], run.At)
		}
		if run.Errors() > 0 {
			t.Errorf("%s at %v: %d errors, one is %s", run.Server, run.At, run.Errors(), run.FirstError)
		}
	}
	for _, s := range r.Servers {
		slices.Sort(points[s.Name])
		if calls[s.Name] == 0 || want != nil && !slices.Equal(points[s.Name], want) || want == nil && len(points[s.Name]) < 2 {
			t.Errorf("%s had %d calls at %v, want %v", s.Name, calls[s.Name], points[s.Name], want)
		}
	}
}

func TestSuiteList(t *testing.T) {
	out, err := run(t, "suite", "--list", "--minutes", "20", "--only", "idle,loops")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); err != nil || len(lines) != 2 || !strings.HasPrefix(lines[1], "idle ") || !strings.Contains(lines[0], " s  One") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestSuiteLeftOut lacks a Go toolchain.
func TestSuiteLeftOut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "suite.json")
	cmd, _ := command(t, "suite", "--short", "--only", "peers,loops", "--json", file)
	cmd.Env = append(cmd.Env, "PATH="+t.TempDir())
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "peers is left out") || !strings.Contains(string(out), "\nloops ") {
		t.Errorf("%v\n%s", err, out)
	}
	if all := suiteFile(t, file); len(all) != 2 || len(all[0].Runs) != 0 || len(all[0].Notices) != 1 || len(all[1].Runs) == 0 {
		t.Errorf("%+v", all)
	}
}

// TestSuiteNotRoot leaves out what acts as other users.
func TestSuiteNotRoot(t *testing.T) {
	cmd, _ := command(t, "suite", "--short", "--only", "uids,flood")
	if os.Geteuid() == 0 {
		cmd.Path = "/proc/self/exe" // the test program may be in a directory of root's
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "uids is left out: ") || !strings.Contains(string(out), "flood is left out: ") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestSuiteInterrupt stops a long suite, which prints and writes what it has.
func TestSuiteInterrupt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "suite.json")
	cmd, dir := command(t, "suite", "--minutes", "600", "--only", "loops,sleepers", "--json", file)
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	waitFor(t, cmd, "round ")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(stdout.String(), "Interrupted") {
		t.Errorf("%v\n%s", err, stdout.String())
	}
	checkGone(t, dir)
	if all := suiteFile(t, file); len(all) != 1 || all[0].Name != "loops" || !all[0].Interrupted {
		b, _ := json.Marshal(all)
		t.Errorf("%.500s", b)
	}
}
