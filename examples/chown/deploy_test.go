package chown

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"credrpc/accessdb"
)

// output runs a program and fails if it fails.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// TestExposure has the service unit judged: at most 1.5 of 10.
func TestExposure(t *testing.T) {
	analyze := program(t, "systemd-analyze", "systemd")
	out := output(t, analyze, "security", "--no-pager", "--offline=true", "--threshold=15", "deploy/credrpc-chown.service")
	verdict := regexp.MustCompile(`Overall exposure level.*`).FindString(out)
	if verdict == "" {
		t.Errorf("no verdict: %s", out)
	}
	t.Log(verdict)
}

// TestUnits has the units read: all that is said about them is that the program is not
// installed, and what is newer than this systemd.
func TestUnits(t *testing.T) {
	analyze := program(t, "systemd-analyze", "systemd")
	out, _ := exec.Command(analyze, "verify", "--man=no", "deploy/credrpc-chown.service", "deploy/credrpc-chown.socket").CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "credrpc-chownd is not executable") && !strings.Contains(line, "Unknown key 'AcceptFileDescriptors'") && strings.Contains(line, "credrpc") {
			t.Error(line)
		}
	}
}

func TestAppArmorProfile(t *testing.T) {
	parser, err := exec.LookPath("apparmor_parser")
	if err != nil {
		parser = program(t, "/usr/sbin/apparmor_parser", "apparmor")
	}
	output(t, parser, "-Q", "-K", "--skip-kernel-load", "deploy/credrpc-chownd.apparmor")
}

// TestRulesExample has the example say what it looks like.
func TestRulesExample(t *testing.T) {
	for caller, want := range map[[2]uint32]accessdb.Decision{
		{1000, 100}:  accessdb.Allow,
		{65534, 100}: accessdb.Deny,
		{0, 0}:       accessdb.NotFound,
	} {
		result, err := accessdb.CheckDirectory("deploy/rules", accessdb.Options{}, caller[0], caller[1])
		if err != nil || result.Decision != want {
			t.Errorf("%v: %v, %v, want %v", caller, result.Decision, err, want)
		}
	}
}

// TestUnitAllowsWhatIsCalled compares the system calls of the daemon with those that the
// unit allows, where those that it refuses fail, and with them the start.
func TestUnitAllowsWhatIsCalled(t *testing.T) {
	analyze, strace := program(t, "systemd-analyze", "systemd"), program(t, "strace", "strace")
	unit, err := os.ReadFile("deploy/credrpc-chown.service")
	if err != nil {
		t.Fatal(err)
	}
	var allowed []string
	for _, filter := range regexp.MustCompile(`(?m)^SystemCallFilter=(~?)(.*)$`).FindAllStringSubmatch(string(unit), -1) {
		calls := expand(t, analyze, strings.Fields(filter[2]))
		if filter[1] == "" {
			allowed = append(allowed, calls...)
		} else {
			allowed = slices.DeleteFunc(allowed, func(call string) bool { return slices.Contains(calls, call) })
		}
	}
	g := newGround(t)
	socket, trace, rules := g.runDir(0), g.dir+"/trace", g.dir+"/rules.cdb"
	command := append(g.chownd(), "--listen", socket, "--rules", rules) // a file takes more calls than a directory
	g.do(accessdb.Compile(g.rules(), rules, 0o600))
	d := g.startDaemon(func(*exec.Cmd) {}, append([]string{strace, "-f", "-qq", "-o", trace, "-D"}, command...)...)
	d.await(`"msg":"serving"`)
	file := g.file(g.tree(alice)+"/f", 0)
	if status, says := g.takeown(alice, socket, file); status != 0 {
		t.Errorf("exit status %d, %s", status, says)
	}
	d.end()
	text, err := os.ReadFile(trace)
	g.do(err)
	// What it does because it makes the socket itself, by name and permission.
	own := []string{"fchmod", "fchmodat", "unlinkat", "flock"}
	seen := make(map[string]bool)
	for _, call := range regexp.MustCompile(`(?m)^\d+ +([a-z0-9_]+)\(`).FindAllStringSubmatch(string(text), -1) {
		if name := call[1]; !seen[name] && !slices.Contains(allowed, name) && !slices.Contains(own, name) {
			t.Errorf("the unit refuses %s", name)
		}
		seen[call[1]] = true
	}
	for _, name := range []string{"openat2", "fchownat", "memfd_create", "seccomp", "capset", "landlock_restrict_self"} {
		if !seen[name] {
			t.Errorf("%s was not called", name)
		}
	}
}

// expand replaces groups by their system calls.
func expand(t *testing.T, analyze string, names []string) (calls []string) {
	t.Helper()
	for _, name := range names {
		if !strings.HasPrefix(name, "@") {
			calls = append(calls, name)
			continue
		}
		var members []string
		for line := range strings.Lines(output(t, analyze, "--no-pager", "syscall-filter", name)) {
			if line = strings.TrimSpace(line); line != name && line != "" && !strings.HasPrefix(line, "#") {
				members = append(members, line)
			}
		}
		calls = append(calls, expand(t, analyze, members)...)
	}
	return calls
}
