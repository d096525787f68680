package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestUnit prints units for flags and looks at the lines that follow from them.
func TestUnit(t *testing.T) {
	status, out, stderr := result("", strings.Fields("unit --listen /run/w.sock --also @w --mode 0660 --group 50 --handler whoami --rules /etc/w/rules.cdb --max-calls 100 --exit-when-idle 10m --sandbox-read /srv/in --sandbox-capability CAP_CHOWN")...)
	if status != exitOK || stderr != "" {
		t.Fatalf("%d, %q", status, stderr)
	}
	for _, want := range []string{
		"# ---- /etc/systemd/system/w.socket", "# ---- /etc/systemd/system/w.service", "# ---- /etc/apparmor.d/credrpc-w",
		"ListenStream=/run/w.sock", "ListenStream=@w", "SocketMode=0660", "SocketGroup=50", "PassCredentials=yes",
		"ExecStart=/usr/bin/credrpc serve --listen=systemd: --handler=whoami --rules=/etc/w/rules.cdb --max-calls=100 --exit-when-idle=10m0s",
		"CapabilityBoundingSet=CAP_CHOWN", "SystemCallFilter=@chown", "ExecPaths=/usr/bin/credrpc", "AppArmorProfile=-credrpc-w", "Requires=w.socket",
		`  "/srv/in/**" r,`, `  "/etc/w/rules.cdb" r,`, "  capability chown,",
	} {
		if !strings.Contains(out, "\n"+want+"\n") && !strings.HasPrefix(out, want+"\n") {
			t.Errorf("there is no line %q", want)
		}
	}
	if strings.Contains(out, "mrix") || strings.Contains(out, "sandbox") {
		t.Error("it may run programs, or speaks of a sandbox")
	}

	status, out, _ = result("", "unit", "--listen=/run/d.sock", "--name=date", "--sandbox", "--sandbox-write=/srv/a b", "--handler=exec", "--without-rules", "--on-loop=false", "--", "/opt/date", "+%Y", "$HOME", "a b", `"`)
	for _, want := range []string{
		`ExecStart=/usr/bin/credrpc serve --listen=systemd: --sandbox "--sandbox-write=/srv/a b" --handler=exec --without-rules --on-loop=false -- /opt/date +%%Y $$HOME "a b" "\""`,
		"SystemCallFilter=capset seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self",
		`ReadWritePaths="/srv/a b"`, "ExecPaths=/usr/bin/credrpc /usr -/bin -/sbin -/lib -/lib32 -/lib64 /opt/date", `  "/opt/date" mrix,`,
	} {
		if status != exitOK || !strings.Contains(out, "\n"+want+"\n") {
			t.Errorf("%d, there is no line %q in\n%s", status, want, out)
		}
	}
}

// TestUnitMakes has flags that make files: the service may, and there only.
func TestUnitMakes(t *testing.T) {
	status, out, stderr := result("", strings.Fields("unit --listen /run/w/s --control /run/w/control --control-rules /etc/w/operators --metrics unix:/run/w/m/metrics --audit all --audit-to /var/log/w/audit")...)
	for _, want := range []string{
		"RuntimeDirectory=w w/m", "RuntimeDirectoryPreserve=yes", "LogsDirectory=w",
		`  "/run/w/**" rwk,`, `  "/run/w/m/**" rwk,`, `  "/var/log/w/**" rwk,`, `  "/etc/w/operators/**" r,`, "  unix (create, bind, listen) type=stream,",
	} {
		if status != exitOK || !strings.Contains(out, "\n"+want+"\n") {
			t.Errorf("%d, %q, there is no line %q", status, stderr, want)
		}
	}
	status, out, stderr = result("", strings.Fields("unit --listen /run/w/s --audit denied --audit-to journal --control /srv/w/control")...)
	for _, want := range []string{"ReadWritePaths=/srv/w", "  /run/systemd/journal/socket w,"} {
		if status != exitOK || !strings.Contains(out, "\n"+want+"\n") {
			t.Errorf("%d, %q, there is no line %q", status, stderr, want)
		}
	}
}

// TestUnitSettings has settings in a file and in a variable. The service reads neither: what
// the units allow is what was checked.
func TestUnitSettings(t *testing.T) {
	path := settingsFile(t, `mode = "0666"`, `handler = "whoami"`, `max-calls = 5`)
	t.Setenv("CREDRPC_SERVE_RATE_PER_UID", "7")
	status, out, stderr := result("", "unit", "--listen=/run/w.sock", "--config", path)
	for _, want := range []string{"SocketMode=0666", "--handler=whoami", "--max-calls=5", "--rate-per-uid=7"} {
		if status != exitOK || !strings.Contains(out, want) {
			t.Errorf("%d, %q, there is no %q", status, stderr, want)
		}
	}
	t.Setenv("CREDRPC_SERVE_OUTPUT", "/nonexistent")
	if status, _, stderr := result("", "unit", "--listen=/run/w.sock"); status != exitUsage || !strings.Contains(stderr, "CREDRPC_SERVE_OUTPUT: is no setting") {
		t.Errorf("what is no setting of serve is one here: %d, %q", status, stderr)
	}
	if strings.Contains(out, "--config") {
		t.Error("the service would read a file that contradicts its socket unit")
	}
}

// TestUnitErrors checks that what serve would refuse, and what units cannot hold, is said now.
func TestUnitErrors(t *testing.T) {
	for args, want := range map[string]string{
		"--listen w.sock":                                         "want an absolute path",
		"--listen /run/w --also w":                                "want an absolute path",
		"--listen /run/w --mode rw":                               "--mode",
		"--listen /run/w --takeover":                              "leave it out",
		"--listen /run/w --rules rules":                           `--rules: "rules": want an absolute path`,
		"--listen /run/w --rules /home/me/rules":                  "which the service does not see; move it",
		"--listen /run/w --handler exec":                          "want a program",
		"--listen /run/w --handler exec -- /bin/date":             "want rules",
		"--listen /run/w --handler exec --without-rules -- date":  `"date": want an absolute path`,
		"--listen /run/w --identity":                              "--rules",
		"--listen /run/w --name a/b":                              "want letters",
		"--listen /run/w --sandbox-execute /opt --handler whoami": "--sandbox-execute",
		"--listen /run/w --max-calls 0":                           "--max-calls",
		"--listen @w --mode 0666":                                 "abstract",
		"--listen /run/w --audit-rate 5":                          "--audit denied",
		"--listen /run/w --control-mode 0666":                     "--control-mode",
		"--listen /run/w --metrics 127.0.0.1:9436":                "has no network",
		"--listen /run/w --metrics unix:m":                        `--metrics: "m": want an absolute path`,
		"--listen /run/w --audit all --audit-to a":                `--audit-to: "a": want an absolute path`,
		"--listen /run/w --control /run/c":                        "of the service's own",
		"--listen /run/w --control /tmp/w/c":                      "which the service does not see; move it",
		"--listen /run/w/s --control /run/w/s":                    "both would make",
		"--listen /run/w/s --also /run/w/c --control /run/w/c":    "give each socket a service of its own",
		"--listen /run/w --exit-when-idle=-1s":                    "--exit-when-idle",
	} {
		if status, out, stderr := result("", append([]string{"unit"}, strings.Fields(args)...)...); status != exitUsage || out != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d, %q, %q", args, status, out, stderr)
		}
	}
}

// TestUnitOutput writes files, and overwrites none.
func TestUnitOutput(t *testing.T) {
	dir := t.TempDir()
	for _, want := range []int{exitOK, exitFailed} {
		status, out, stderr := result("", "unit", "--listen=/run/w.sock", "--output", dir)
		if status != want || out != "" || want == exitOK && strings.Count(stderr, " belongs into /etc/") != 3 {
			t.Errorf("%d, %q, %q", status, out, stderr)
		}
	}
	for _, name := range []string{"w.socket", "w.service", "credrpc-w"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

// callSets returns the sets of system calls that systemd has names for.
func callSets(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("systemd-analyze", "syscall-filter", "--no-pager").Output()
	if err != nil {
		t.Fatal(err)
	}
	sets, set := make(map[string][]string), ""
	for line := range strings.Lines(string(out)) {
		switch name := strings.TrimSpace(line); {
		case strings.HasPrefix(line, "@"):
			set = name
		case name != "" && !strings.HasPrefix(name, "#"):
			sets[set] = append(sets[set], name)
		}
	}
	return sets
}

// allowed returns what the service unit in text lets pass.
func allowed(sets map[string][]string, text string) map[string]bool {
	var expand func(name string) []string
	expand = func(name string) (calls []string) {
		if !strings.HasPrefix(name, "@") {
			return []string{name}
		}
		for _, member := range sets[name] {
			calls = append(calls, expand(member)...)
		}
		return calls
	}
	calls := make(map[string]bool)
	for _, name := range expand("@default") {
		calls[name] = true // systemd adds them
	}
	for line := range strings.Lines(text) {
		list, ok := strings.CutPrefix(strings.TrimSpace(line), "SystemCallFilter=")
		list, without := strings.CutPrefix(list, "~")
		for _, word := range strings.Fields(list) {
			for _, name := range expand(word) {
				if ok {
					calls[name] = !without
				}
			}
		}
	}
	return calls
}

// TestUnitSystemCalls compares the system calls of a life of the service, counted by
// strace, with those that the unit for the same flags lets pass.
func TestUnitSystemCalls(t *testing.T) {
	needSandbox(t) // as root, with the program without cgo
	for _, program := range []string{"strace", "systemd-analyze"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CREDRPC_CI") == "1" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	sets := callSets(t)
	if len(sets["@system-service"]) == 0 {
		t.Fatal("systemd-analyze names no system calls")
	}
	for name, flags := range map[string][]string{
		"whoami":          {"--handler=whoami"},
		"whoami, sandbox": {"--handler=whoami", "--sandbox"},
		"watched":         {"--handler=whoami", "--control=DIR/control", "--metrics=unix:DIR/metrics", "--audit=all", "--audit-to=DIR/audit"},
		"exec":            {"--handler=exec", "--", "/bin/sh", "-c", "date; ls /; cat"},
		"exec, sandbox":   {"--handler=exec", "--sandbox", "--", "/bin/sh", "-c", "date; ls /; cat"},
	} {
		t.Run(name, func(t *testing.T) {
			status, unit, stderr := result("", append([]string{"unit", "--listen=/run/s", "--rules=/etc/rules.cdb"}, within("/run/w", flags)...)...)
			if status != exitOK {
				t.Fatal(stderr)
			}
			calls := allowed(sets, unit)
			used := callsOf(t, flags)
			for _, call := range slices.Sorted(maps.Keys(used)) {
				if !calls[call] {
					t.Errorf("%s is called and would be refused: %s", call, used[call])
				}
			}
			for _, call := range []string{"mount", "ptrace", "reboot", "init_module", "setuid", "bpf", "keyctl"} {
				if calls[call] {
					t.Errorf("%s would be let pass", call)
				}
			}
		})
	}
}

// within returns flags with the name of a directory in place of DIR.
func within(dir string, flags []string) (list []string) {
	for _, flag := range flags {
		list = append(list, strings.ReplaceAll(flag, "DIR", dir))
	}
	return list
}

// traced matches a line of strace: process, call, arguments.
var traced = regexp.MustCompile(`^\d+ +([a-z0-9_]+)\(.*`)

// callsOf returns the system calls of a life of serve with flags, with an example of each.
func callsOf(t *testing.T, flags []string) map[string]string {
	t.Helper()
	dir := tempDir(t)
	path, trace, rules := filepath.Join(dir, "s"), filepath.Join(dir, "trace"), filepath.Join(dir, "rules.cdb")
	compileRules(t, rules, "uid/default/allow")
	n := openNotes(t, path+".n")
	serve := activated(sandboxCommand(t, 0, append([]string{"serve", "--listen=systemd:", "--rules=" + rules}, within(dir, flags)...)...), "s", []*os.File{unitSocket(t, path, true)}, "NOTIFY_SOCKET="+path+".n", "WATCHDOG_USEC=300000")
	serve.Args = append([]string{"strace", "-f", "-qq", "-o", trace, serve.Path}, serve.Args[1:]...)
	var err error
	if serve.Path, err = exec.LookPath("strace"); err != nil {
		t.Fatal(err)
	}
	tk := startTaker(t, serve)
	n.await("STATUS=")
	n.await("READY=1")
	for range 3 {
		expectCall(t, path, exitOK, "")
	}
	server := tracedChild(t, tk.cmd.Process.Pid)
	syscall.Kill(server, syscall.SIGHUP)
	n.await("RELOADING=1")
	n.await("STATUS=")
	n.await("READY=1")
	syscall.Kill(server, syscall.SIGTERM)
	if err := tk.cmd.Wait(); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	used := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if found := traced.FindStringSubmatch(line); found != nil {
			used[found[1]] = strings.TrimSpace(line)
		}
	}
	if used["recvmsg"] == "" || used["memfd_create"] == "" {
		t.Errorf("strace has seen no call, or no rules: %d lines", strings.Count(string(text), "\n"))
	}
	return used
}

// tracedChild returns the child of strace.
func tracedChild(t *testing.T, strace int) (pid int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", strace, strace))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}
