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

// TestUnitConfig prints units for a file of settings, and for a service that is watched.
func TestUnitConfig(t *testing.T) {
	const example = `listen = "/run/date/date.sock"
handler = "exec"
program = ["/opt/date/bin/date", "-u"]
rules = "/etc/date/rules.cdb"
control = "/run/date-control/sock"
control-rules = "/etc/date/operators"
metrics = "unix:/run/date/metrics.sock"
audit = "denied"
audit-to = "/var/log/date/audit.log"
sandbox = true
sandbox-read = ["/srv/in"]
`
	dir, err := os.MkdirTemp("/dev/shm", "credrpc") // not /tmp, which services do not see
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "settings.toml")
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(file, example)
	prints := func(want []string, args ...string) {
		t.Helper()
		status, out, stderr := result("", append([]string{"unit"}, args...)...)
		out = strings.ReplaceAll(out, file, "/etc/date.toml")
		for _, line := range want {
			if status != exitOK || !strings.Contains(out, "\n"+line+"\n") {
				t.Errorf("%d, %q, there is no line %q in\n%s", status, stderr, line, out)
			}
		}
	}
	prints([]string{
		"ListenStream=/run/date/date.sock", "ExecStart=/usr/bin/credrpc serve --listen=systemd: --config=/etc/date.toml --max-calls=7",
		"RuntimeDirectory=date-control", "LogsDirectory=date", "ReadWritePaths=/run/date", "PrivateNetwork=yes",
		"ExecPaths=/usr/bin/credrpc /usr -/bin -/sbin -/lib -/lib32 -/lib64 /opt/date/bin/date",
		"SystemCallFilter=capset seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self",
		`  "/etc/date.toml" r,`, `  "/etc/date/operators" r,`, `  "/run/date-control/sock.lock" rwk,`, `  "/var/log/date/audit.log" rw,`, `  "/srv/in/**" r,`, `  "/opt/date/bin/date" mrix,`,
	}, "--config", file, "--max-calls=7")
	prints([]string{"SocketMode=0666", "IPAddressAllow=localhost", "RestrictAddressFamilies=AF_UNIX AF_INET6", "SocketBindAllow=tcp:9436"},
		"--config", file, "--mode=0666", "--metrics=[::1]:9436")
	prints([]string{"  /run/systemd/journal/socket w,"}, "--config", file, "--audit-to=journal")

	for text, want := range map[string]string{
		`mode = "0666"`:                         file + ":1: mode: serve refuses this in a file",
		`sandbox-read = ["/srv"]`:               "give it too",
		`max-calls = 0`:                         file + ":1: max-calls: want at least 1",
		`rules = "rules"`:                       "want an absolute path",
		`output = "/x"`:                         "is no setting",
		`takeover = true`:                       "leave it out",
		`control-mode = "0660"`:                 "make one with control",
		`handler = "exec"`:                      "want a program",
		`control = "/run/control"`:              "want a directory of its own, such as /run/w/control",
		`metrics = "unix:/tmp/x/m"`:             "which the service does not see",
		"audit = \"all\"\naudit-to = \"x/log\"": "want an absolute path",
	} {
		write(file, text)
		if status, out, stderr := result("", "unit", "--listen=/run/w", "--config", file); status != exitUsage || out != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d, %q, %q", text, status, out, stderr)
		}
	}
	unseen := filepath.Join(tempDir(t), "settings.toml")
	write(unseen, example)
	if status, _, stderr := result("", "unit", "--config", unseen); status != exitUsage || !strings.Contains(stderr, "which the service does not see") {
		t.Errorf("%d, %q", status, stderr)
	}
	t.Setenv("CREDRPC_SERVE_MAX_CALLS", "7")
	if status, _, stderr := result("", "unit", "--listen=/run/w"); status != exitUsage || !strings.Contains(stderr, "CREDRPC_SERVE_MAX_CALLS: max-calls: the service does not have this variable") {
		t.Errorf("%d, %q", status, stderr)
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
		"--listen /run/w --control control":                       `--control: "control": want an absolute path`,
		"--listen /run/w --control /run/w":                        "both would make",
		"--listen /run/w --metrics unix:/run/metrics":             "want a directory of its own",
		"--listen /run/w --metrics 127.0.0.1:0":                   "want a port",
		"--listen /run/w --metrics 0.0.0.0:9436":                  "--metrics-any-address",
		"--listen /run/w --audit-to /var/log/w/log":               "ask for them with --audit",
		"--listen /run/w --audit all --audit-to /var/log/w.log":   "want a directory of its own, such as /var/log/w/w.log",
		"--listen /run/w --config /etc/credrpc/missing.toml":      "no such file",
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
		"whoami":           {"--handler=whoami"},
		"whoami, sandbox":  {"--handler=whoami", "--sandbox"},
		"watched":          {"--control=DIR/c", "--metrics=unix:DIR/m", "--audit=all", "--audit-to=DIR/a"},
		"watched, sandbox": {"--sandbox", "--control=DIR/c", "--metrics=ADDRESS", "--audit=all", "--audit-to=DIR/a"},
		"exec":             {"--handler=exec", "--", "/bin/sh", "-c", "date; ls /; cat"},
		"exec, sandbox":    {"--handler=exec", "--sandbox", "--", "/bin/sh", "-c", "date; ls /; cat"},
	} {
		t.Run(name, func(t *testing.T) {
			status, unit, stderr := result("", append([]string{"unit", "--listen=/run/s", "--rules=/etc/rules.cdb"}, replace(flags, "DIR", "/run/s.d", "ADDRESS", "127.0.0.1:9436")...)...)
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

// replace replaces placeholders in flags.
func replace(flags []string, oldnew ...string) (list []string) {
	for _, flag := range flags {
		list = append(list, strings.NewReplacer(oldnew...).Replace(flag))
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
	flags = replace(flags, "DIR", dir, "ADDRESS", "127.0.0.1:0")
	n := openNotes(t, path+".n")
	serve := activated(sandboxCommand(t, 0, append([]string{"serve", "--listen=systemd:", "--rules=" + rules}, flags...)...), "s", []*os.File{unitSocket(t, path, true)}, "NOTIFY_SOCKET="+path+".n", "WATCHDOG_USEC=300000")
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
	if operators := filepath.Join(dir, "c"); slices.Contains(flags, "--control="+operators) {
		for _, command := range []string{"stats", "pprof cpu 50ms"} {
			if status, _, stderr := result("", "call", operators, command); status != exitOK {
				t.Errorf("%s: %d, %q", command, status, stderr)
			}
		}
	}
	if slices.Contains(flags, "--metrics=unix:"+dir+"/m") {
		scrape(t, "unix", dir+"/m")
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
