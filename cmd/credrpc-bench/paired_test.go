package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"credrpc/bench/suite"
)

// A pairedFile is what is looked at in the JSON of ladder, peers and clients.
type pairedFile struct {
	Machine struct{ Kernel string }
	Servers []struct {
		Name   string
		Checks string `json:"checks_credentials"`
	}
	Runs []struct {
		Server string
		Round  int
		Calls  int
		Errors int     `json:"failed"`
		User   float64 `json:"server_user_seconds"`
		System float64 `json:"server_system_seconds"`
	}
	Pairs []struct {
		Server, Against string
		Load            string
		Rounds          int
		Ratio           *struct{ Median, Low, High float64 } `json:"throughput_ratio"`
		More            *struct{ Median, Low, High float64 } `json:"server_us_per_call_more"`
		Callers         *struct{ Median float64 }            `json:"generator_us_per_call"`
		CallersCPU      *struct{ Median float64 }            `json:"generator_cpu_ratio"`
	}
}

// readPaired reads the file and checks what holds for all of them: every server
// has every round, and was busy in it.
func readPaired(t *testing.T, path string, rounds, loads int) pairedFile {
	t.Helper()
	var f pairedFile
	readReport(t, path, &f)
	if f.Machine.Kernel == "" || len(f.Servers) == 0 || len(f.Runs) != len(f.Servers)*rounds*loads || len(f.Pairs) != len(f.Servers)*loads {
		t.Errorf("%d servers, %d runs, %d pairs", len(f.Servers), len(f.Runs), len(f.Pairs))
	}
	seen := 0.0
	for _, r := range f.Runs {
		if r.Calls == 0 || r.Errors != 0 {
			t.Errorf("%+v", r)
		}
		seen += r.User + r.System // 0 of a run that is over before this machine lets anybody look
	}
	if seen <= 0 {
		t.Error("no server has used processor time")
	}
	for _, p := range f.Pairs {
		if p.Rounds != rounds || (p.Against == "") != (p.Ratio == nil) || p.Against == "" && p.More != nil {
			t.Errorf("%+v", p)
		}
	}
	return f
}

func TestLadder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ladder.json")
	out, err := run(t, "ladder", "--rounds", "2", "--seconds", "0.05", "--loads", "t2", "--rules", "10", "--on-loop", "--json", file)
	if err != nil || !strings.Contains(out, "rules in the file: 10\n") {
		t.Errorf("%v\n%s", err, out)
	}
	f := readPaired(t, file, 2, 1)
	checks := map[string]string{}
	for _, s := range f.Servers {
		checks[s.Name] = s.Checks
	}
	for _, step := range suite.LadderSteps() {
		_, had := checks[step]
		if !had && os.Getenv("CREDRPC_CI") != "1" && strings.Contains(out, step+" is left out") {
			continue
		}
		if !had || !strings.Contains(out, "\n"+step+" ") {
			t.Errorf("no step %q:\n%s", step, out)
		}
	}
	if checks["server"] != "with each call" || checks["floor-none"] != "not at all" && checks["floor-none"] != "" {
		t.Errorf("%v", checks)
	}
}

// TestLadderSteps takes some steps, of which one lacks what it is compared with.
func TestLadderSteps(t *testing.T) {
	out, err := run(t, "ladder", "--rounds", "1", "--seconds", "0.03", "--loads", "t1,b2x1", "--rules", "1", "--steps", "server-again,server-cache,server-cdb")
	if err != nil || strings.Contains(out, "\nserver ") || strings.Count(out, "\nserver-cdb ") != 3 { // two tables, one explanation
		t.Errorf("%v\n%s", err, out)
	}
}

// TestWatched looks on at servers, and floods some if callers can act as others.
func TestWatched(t *testing.T) {
	file := filepath.Join(t.TempDir(), "watched.json")
	cmd, dir := command(t, "watched", "--rounds", "1", "--seconds", "0.05", "--loads", "t2", "--flooders", "2", "--json", file)
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil { // others call, too
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	checkGone(t, dir)
	want := []string{"plain", "plain-again", "durations", "metrics"}
	if os.Getuid() == 0 {
		want = append(want, "flooded", "flooded-again", "flooded-audit")
	}
	var names []string
	for _, s := range readPaired(t, file, 1, 1).Servers {
		names = append(names, s.Name)
	}
	if !slices.Equal(names, want) {
		t.Errorf("%q\n%s", names, out)
	}
}

func TestPeers(t *testing.T) {
	program := buildPeers(t)
	file := filepath.Join(t.TempDir(), "peers.json")
	out, err := run(t, "peers", "--rounds", "2", "--seconds", "0.05", "--loads", "t1,t3", "--connections", "1", "--program", program, "--json", file)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f := readPaired(t, file, 2, 2)
	want := map[string]string{"eventloop": "with each call", "eventloop-client": "with each call",
		"ttrpc": "with each connection", "grpc": "with each connection", "netrpc": "with each connection"}
	for _, s := range f.Servers {
		if s.Checks != want[s.Name] {
			t.Errorf("%s checks %q", s.Name, s.Checks)
		}
		delete(want, s.Name)
		if strings.Count(out, "\n"+s.Name+" ") != 2 {
			t.Errorf("%s is not in both tables:\n%s", s.Name, out)
		}
	}
	if len(want) != 0 {
		t.Errorf("missing: %v", want)
	}
}

// TestClients has every client on every server.
func TestClients(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clients.json")
	out, err := run(t, "clients", "--rounds", "2", "--seconds", "0.03", "--loads", "t1,t3", "--json", file,
		"--fail-if", "net-eventloop.errors > 0", "--fail-if", "client-eventloop.callers.cpu > 1s")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f := readPaired(t, file, 2, 2)
	var names []string
	for _, s := range f.Servers {
		names = append(names, s.Name)
		if strings.Count(out, "\n"+s.Name+" ") != 2 {
			t.Errorf("%s is not in both tables:\n%s", s.Name, out)
		}
	}
	for _, p := range f.Pairs {
		if c := strings.HasPrefix(p.Server, "c-"); p.Callers == nil || p.Callers.Median <= 0 || c != (p.CallersCPU == nil) {
			t.Errorf("%+v", p)
		}
	}
	for _, name := range []string{"c-floor-1", "client-floor-1", "net-floor-1", "c-eventloop", "client-eventloop", "net-eventloop"} {
		left := strings.Contains(out, "left out") && os.Getenv("CREDRPC_CI") != "1" && name != "client-eventloop" && name != "net-eventloop"
		if !slices.Contains(names, name) && !left {
			t.Errorf("no %s in %q", name, names)
		}
	}
}

// TestClientsWithoutCompiler leaves out what is in C. The others remain.
func TestClientsWithoutCompiler(t *testing.T) {
	cmd, dir := command(t, "clients", "--rounds", "1", "--seconds", "0.03", "--loads", "t2")
	cmd.Env = append(cmd.Env, "PATH="+dir)
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "c is left out") || strings.Contains(string(out), "\nc-") || !strings.Contains(string(out), "\nnet-eventloop ") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestPeersElsewhere is not in a clone, and then has a program that is none.
func TestPeersElsewhere(t *testing.T) {
	cmd, dir := command(t, "peers", "--rounds", "1")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "inside a clone") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := run(t, "peers", "--rounds", "1", "--seconds", "0.03", "--program", "/bin/false", "--servers", "ttrpc"); err == nil {
		t.Errorf("%s", out)
	}
}
