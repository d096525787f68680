package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// settingsFile writes a file that only this user can change.
func settingsFile(t *testing.T, lines ...string) (path string) {
	t.Helper()
	path = filepath.Join(tempDir(t), "credrpc.toml")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// shown returns what "config show --json" prints of one setting.
func shown(t *testing.T, name string, args ...string) string {
	t.Helper()
	status, out, stderr := result("", append([]string{"config", "show", "--json"}, args...)...)
	if status != exitOK || stderr != "" {
		t.Fatalf("%v: %d, %q", args, status, stderr)
	}
	for line := range strings.Lines(out) {
		var setting struct{ Name string }
		if err := json.Unmarshal([]byte(line), &setting); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		if setting.Name == name {
			return strings.TrimSpace(line)
		}
	}
	t.Fatalf("no %s in %q", name, out)
	return ""
}

func TestConfigPrecedence(t *testing.T) {
	path := settingsFile(t, `listen = "/run/x"`, `max-calls = 3`, `sandbox-read = ["/a", "/b"]`, `timeout = "5s"`, `program = ["date", "-u"]`, `rate-per-uid = 2`)
	file := fmt.Sprintf(`"from":"file","file":%q,"line":`, path)
	expect := func(name, want string, args ...string) {
		t.Helper()
		if got := shown(t, name, args...); got != `{"name":"`+name+`",`+want+`}` {
			t.Errorf("%v:\n got %s\nwant ...%s", args, got, want)
		}
	}
	expect("max-calls", `"value":4096,"from":"default"`)
	expect("max-programs", `"value":null,"from":"default"`)
	expect("max-calls", `"value":3,`+file+`2`, "--config", path)
	expect("sandbox-read", `"value":["/a","/b"],`+file+`3`, "--config", path)
	expect("timeout", `"value":"5s",`+file+`4`, "--config", path)
	expect("program", `"value":["date","-u"],`+file+`5`, "--config", path)
	expect("rate-per-uid", `"value":2,`+file+`6`, "--config", path)
	expect("program", `"value":["ls"],"from":"flag"`, "--config", path, "--", "ls")
	expect("sandbox-read", `"value":["/c"],"from":"flag"`, "--config", path, "--sandbox-read=/c")
	expect("takeover", `"value":true,"from":"flag"`, "--takeover")
	expect("max-payload", `"value":1048576,"from":"default"`)
	expect("max-payload", `"value":65536,"from":"flag"`, "--max-payload=64K")
	expect("audit-max-size", `"value":null,"from":"default"`)
	for _, size := range []string{"2097152", `"2M"`, `"2048KiB"`, `"2097152"`} {
		sizes := settingsFile(t, `max-payload = `+size, `audit-max-size = `+size)
		expect("max-payload", fmt.Sprintf(`"value":2097152,"from":"file","file":%q,"line":1`, sizes), "--config", sizes)
		expect("audit-max-size", fmt.Sprintf(`"value":2097152,"from":"file","file":%q,"line":2`, sizes), "--config", sizes)
	}

	t.Setenv("CREDRPC_SERVE_MAX_CALLS", "4")
	t.Setenv("CREDRPC_SERVE_SANDBOX_READ", "/d:/e")
	t.Setenv("CREDRPC_SERVE_TAKEOVER", "true")
	t.Setenv("CREDRPC_SERVE_MAX_PAYLOAD", "16MiB")
	expect("max-payload", `"value":16777216,"from":"environment","variable":"CREDRPC_SERVE_MAX_PAYLOAD"`)
	expect("max-calls", `"value":4,"from":"environment","variable":"CREDRPC_SERVE_MAX_CALLS"`, "--config", path)
	expect("max-calls", `"value":5,"from":"flag"`, "--config", path, "--max-calls=5")
	expect("sandbox-read", `"value":["/d","/e"],"from":"environment","variable":"CREDRPC_SERVE_SANDBOX_READ"`, "--config", path)
	expect("takeover", `"value":true,"from":"environment","variable":"CREDRPC_SERVE_TAKEOVER"`)
	expect("takeover", `"value":false,"from":"flag"`, "--takeover=false")

	t.Setenv("CREDRPC_SERVE_CONFIG", path)
	expect("config", `"value":`+fmt.Sprintf("%q", path)+`,"from":"environment","variable":"CREDRPC_SERVE_CONFIG"`)
	expect("listen", `"value":"/run/x",`+file+`1`)
	expect("listen", `"value":null,"from":"default"`, "--config", settingsFile(t))
	if status, out, _ := result("", "config", "show"); status != exitOK || !regexp.MustCompile(`(?m)^listen +"/run/x" +`+path+`:1$`).MatchString(out) {
		t.Errorf("%d, %s", status, out)
	}
}

// TestConfigMistakes checks that each is reported with its line, by "config check" and by
// serve alike.
func TestConfigMistakes(t *testing.T) {
	const listen = `listen = "/nonexistent/s"`
	for _, test := range []struct {
		name  string
		lines []string
		want  []string // FILE stands for the path
	}{
		{"no TOML", []string{listen, `mode = `}, []string{`FILE:2:`}},
		{"a number for a mode", []string{listen, `mode = 0660`}, []string{`FILE:2:8: no TOML`, `such as "0660"`}},
		{"a key twice", []string{listen, listen}, []string{`FILE:2:`}},
		{"unknown", []string{listen, ``, `listening = 3`}, []string{`FILE:3: listening: is no setting`}},
		{"underscores", []string{listen, `max_calls = 3`}, []string{`FILE:2: max_calls: is no setting; write max-calls`}},
		{"a table", []string{listen, `[serve]`, `mode = "0600"`}, []string{`FILE:2: serve: is no setting`}},
		{"a file in a file", []string{listen, `config = "x"`}, []string{`FILE:2: config: is no setting of a file`}},
		{"types", []string{`listen = 3`, `max-calls = "3"`, `identity = "yes"`, `timeout = 30`, `rate-per-uid = "x"`, `sandbox-read = "/x"`, `program = ["a", 1]`, `mode = 1979-05-27`}, []string{
			`FILE:1: listen: want text in quotes, not 3`,
			`FILE:2: max-calls: want a whole number, not "3"`,
			`FILE:3: identity: want true or false, not "yes"`,
			`FILE:4: timeout: want a duration such as "30s" or "1m30s", not 30`,
			`FILE:5: rate-per-uid: want a number, not "x"`,
			`FILE:6: sandbox-read: want a list such as ["A", "B"], not "/x"`,
			`FILE:7: program: want a list such as ["A", "B"], not ["a", 1]`,
			`FILE:8: mode: want text in quotes, not 1979-05-27`}},
		{"type ranges", []string{listen, `max-payload = -1`, `timeout = "x"`, `audit-max-size = "1MB"`}, []string{
			`FILE:2: max-payload: want a number of bytes such as 1048576, "64K" or "1MiB", not -1`, `FILE:3: timeout: want a duration`,
			`FILE:4: audit-max-size: want a number of bytes such as 1048576, "64K" or "1MiB", not "1MB"`}},
		{"a size that is too large", []string{listen, `max-payload = "1G"`}, []string{`FILE:2: max-payload: want 1 to 150994939`}},
		{"none of the words", []string{listen, `handler = "eccho"`}, []string{`FILE:2: handler must be one of "echo","whoami","exec"`}},
		{"a range", []string{listen, `max-payload = 0`}, []string{`FILE:2: max-payload: want 1 to 1`}},
		{"a mode", []string{listen, `mode = "1777"`}, []string{`FILE:2: mode "1777": want an octal number from 0001 to 0777`}},
		{"a user", []string{listen, ``, `owner = "no such user"`}, []string{`FILE:3: owner "no such user": neither a known name nor an id`}},
		{"a contradiction", []string{listen, `burst-per-uid = 3`}, []string{`FILE:2: burst-per-uid: says something about a rate; set it with rate-per-uid`}},
		{"two settings", []string{listen, `identity = true`, `compatible = true`}, []string{`FILE:2, FILE:3: identity, compatible: say something about rules`}},
		{"rules that are not there", []string{listen, `rules = "/nonexistent/rules"`}, []string{`FILE:2: rules: `, `/nonexistent/rules: no such file`}},
		{"a program without rules", []string{listen, `handler = "exec"`, `program = ["true"]`}, []string{`FILE:2: handler exec: want rules`}},
		{"of a sandbox", []string{listen, `sandbox-write = ["/x"]`}, []string{`FILE:2: sandbox-read, sandbox-write`, `say what sandbox keeps`}},
		{"a path of a sandbox that is not there", []string{listen, `sandbox = true`, `sandbox-read = ["/etc", "/nonexistent/x"]`}, []string{`FILE:3: sandbox-read "/nonexistent/x": no such file or directory`}},
		{"another that is relative", []string{listen, `sandbox = true`, `handler = "exec"`, `without-rules = true`, `program = ["true"]`, `sandbox-write = ["tmp"]`}, []string{`FILE:6: sandbox-write "tmp": want an absolute path`}},
		{"a file on the way", []string{listen, `sandbox = true`, `handler = "exec"`, `without-rules = true`, `program = ["true"]`, `sandbox-execute = ["/etc/passwd/x"]`}, []string{`FILE:6: sandbox-execute "/etc/passwd/x": not a directory`}},
		{"what is needed", nil, []string{`missing flags: --listen=PATH`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := settingsFile(t, test.lines...)
			for _, command := range [][]string{{"config", "check", path}, {"serve", "--config", path}} {
				status, out, stderr := result("", command...)
				if status == exitOK || out != "" {
					t.Errorf("%v: %d, %q", command, status, out)
				}
				if status == exitUsage && command[0] == "config" && strings.Contains(stderr, "credrpc serve --help") {
					t.Errorf("%v: the hint is about the command line:\n%s", command, stderr)
				}
				for _, want := range test.want {
					if want = strings.ReplaceAll(want, "FILE", path); !strings.Contains(stderr, "credrpc: "+want) && !strings.Contains(stderr, " "+want) {
						t.Errorf("%v: no %q in\n%s", command, want, stderr)
					}
				}
			}
		})
	}
}

func TestConfigCheck(t *testing.T) {
	path := settingsFile(t, `listen = "/nonexistent/s"`, `handler = "exec"`, `without-rules = true`, `program = ["true"]`)
	t.Setenv("CREDRPC_SERVE_MAX_CALLS", "0") // serve would refuse it; a file is checked alone
	if status, out, stderr := result("", "config", "check", path); status != exitOK || out != "" || stderr != "credrpc: "+path+": in order\n" {
		t.Errorf("%d, %q, %q", status, out, stderr)
	}
	if status, _, stderr := result("", "serve", "--config", path); status != exitUsage || stderr != "credrpc: CREDRPC_SERVE_MAX_CALLS: max-calls: want at least 1\n" {
		t.Errorf("%d, %q", status, stderr)
	}
	// What is seen on the command line is said as ever.
	if status, _, stderr := result("", "serve", "--config", path, "--max-calls=-1"); status != exitUsage || stderr != "credrpc: --max-calls: want at least 1\n" {
		t.Errorf("%d, %q", status, stderr)
	}
}

// TestConfigCheckMakesNothing checks that a server that runs would not notice.
func TestConfigCheckMakesNothing(t *testing.T) {
	dir := tempDir(t)
	path := settingsFile(t, fmt.Sprintf(`listen = "%s/s"`, dir), fmt.Sprintf(`metrics = "unix:%s/metrics"`, dir), `audit = "all"`, fmt.Sprintf(`audit-to = "%s/audit"`, dir), `takeover = true`)
	if status, _, stderr := result("", "config", "check", path); status != exitOK {
		t.Error(stderr)
	}
	if made, err := os.ReadDir(dir); err != nil || len(made) != 0 {
		t.Errorf("%v, %v", made, err)
	}
	t.Setenv("NOTIFY_SOCKET", "/nonexistent") // is serve's business
	path = settingsFile(t, `listen = "/nonexistent/s"`, `control = "/nonexistent/c"`, `control-rules = "/nonexistent/rules"`)
	if status, _, stderr := result("", "config", "check", path); status != exitFailed || !strings.Contains(stderr, path+":3: control-rules: ") {
		t.Errorf("%d, %q", status, stderr)
	}
	path = settingsFile(t, `listen = "/nonexistent/s"`, `metrics-mode = "0666"`)
	if status, _, stderr := result("", "config", "check", path); status != exitUsage || !strings.Contains(stderr, path+":2: metrics-mode: ") {
		t.Errorf("%d, %q", status, stderr)
	}
}

func TestConfigVariables(t *testing.T) {
	for name, want := range map[string]string{
		"CREDRPC_SERVE_MAX_CALLS": `credrpc: CREDRPC_SERVE_MAX_CALLS: want a whole number, not "x"`,
		"CREDRPC_SERVE_TIMEOUT":   `credrpc: CREDRPC_SERVE_TIMEOUT: want a duration such as "30s" or "1m30s", not "x"`,
		"CREDRPC_SERVE_SANDBOX":   `credrpc: CREDRPC_SERVE_SANDBOX: want true or false, not "x"`,
		"CREDRPC_SERVE_HANDLER":   `credrpc: CREDRPC_SERVE_HANDLER: handler must be one of`,
		"CREDRPC_SERVE_PROGRAM":   `credrpc: CREDRPC_SERVE_PROGRAM: is no setting`,
		"CREDRPC_SERVE_MAXCALLS":  `credrpc: CREDRPC_SERVE_MAXCALLS: is no setting`,
		"CREDRPC_MAX_CALLS":       `credrpc: CREDRPC_MAX_CALLS: is no setting; write CREDRPC_SERVE_MAX_CALLS`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "x")
			if status, _, stderr := result("", "serve", "--listen", "/nonexistent/s"); status != exitUsage || !strings.Contains(stderr, want) {
				t.Errorf("%d, %q", status, stderr)
			}
		})
	}
}

// TestConfigSetUserID starts a set-user-ID program as somebody else, whose variables count for
// nothing.
func TestConfigSetUserID(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("acting as other users needs root")
	}
	dir := tempDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "credrpc")
	image, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = errors.Join(os.WriteFile(path, image, 0o755), os.Chmod(path, 0o755|os.ModeSetuid))
	}
	if err != nil {
		t.Fatal(err)
	}
	for uid, want := range map[uint32]string{0: "CREDRPC_SERVE_MAX_CALLS", 54321: "default"} {
		cmd := program(t, "config", "show")
		cmd.Path, cmd.Dir = path, "/"
		cmd.Env = append(cmd.Env, "CREDRPC_SERVE_MAX_CALLS=7")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.CombinedOutput()
		if err != nil || !regexp.MustCompile(`(?m)^max-calls .* `+want+`$`).Match(out) {
			t.Errorf("started by %d: %v, max-calls is not from %s:\n%s", uid, err, want, out)
		}
	}
}

// TestConfigOthersCouldChange checks that such files are refused, and special ones.
func TestConfigOthersCouldChange(t *testing.T) {
	path := settingsFile(t, `listen = "/nonexistent/s"`)
	link := filepath.Join(tempDir(t), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	refused := func(path, want string) {
		t.Helper()
		if status, _, stderr := result("", "config", "check", path); status != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d, %q", path, status, stderr)
		}
	}
	for _, change := range []struct {
		path string
		mode os.FileMode
		want string
	}{
		{path, 0o606, `: "` + path + `" is writable by everybody (mode 0606); take that from them`},
		{path, 0o606 | os.ModeSticky, `: "` + path + `" is writable by everybody (mode 1606)`},
		{filepath.Dir(path), 0o777, `: "` + filepath.Dir(path) + `" is writable by everybody`},
		{filepath.Dir(link), 0o777, `: "` + filepath.Dir(link) + `" is writable by everybody`},
	} {
		info, err := os.Stat(change.path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(change.path, change.mode); err != nil {
			t.Fatal(err)
		}
		refused(link, change.want)
		if err := os.Chmod(change.path, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	if status, _, stderr := result("", "config", "check", link); status != exitOK {
		t.Errorf("%q", stderr)
	}
	refused("/dev/null", "is no regular file")
	refused("/nonexistent/file", "no such file or directory")
	refused("", "--config: is empty")
	if err := os.Truncate(path, 1<<20+1); err != nil {
		t.Fatal(err)
	}
	refused(path, "want at most 1048576 bytes")
	if os.Getuid() == 0 {
		if err := errors.Join(os.Chmod(path, 0o660), os.Chown(path, 0, 1)); err != nil {
			t.Fatal(err)
		}
		refused(path, "is writable by group 1")
		if err := os.Chown(path, 1, 0); err != nil {
			t.Fatal(err)
		}
		refused(path, "belongs to uid 1")
	}
}

// TestConfigExample checks that the file is what the program prints, that every setting
// is in it, and that each has the right type there.
func TestConfigExample(t *testing.T) {
	file, err := os.ReadFile("../../deploy/config/credrpc.toml")
	if err != nil {
		t.Fatal(err)
	}
	if status, out, stderr := result("", "config", "example"); status != exitOK || out != string(file) {
		t.Fatalf("deploy/config/credrpc.toml is not what the program prints; run go generate ./cmd/... (%d, %s)", status, stderr)
	}
	if status, _, stderr := result("", "config", "show", "--config", settingsFile(t, string(file))); status != exitOK {
		t.Error(stderr)
	}
	set := regexp.MustCompile(`(?m)^#([a-z-]+ = )`).ReplaceAllString(string(file), "$1")
	status, out, stderr := result("", "config", "show", "--json", "--config", settingsFile(t, set))
	if status != exitOK {
		t.Fatal(stderr)
	}
	if settings, fromFile := strings.Count(out, "\n"), strings.Count(out, `"from":"file"`); fromFile != settings-1 { // all but config
		t.Errorf("%d of %d settings: %s", fromFile, settings, out)
	}
}

// TestConfigServes checks that a server runs on what its file says.
func TestConfigServes(t *testing.T) {
	path, _, _ := serve(t, "--config", settingsFile(t, `handler = "whoami"`, `max-payload = 100`))
	if status, out, stderr := result("", "call", path); status != exitOK || !strings.HasPrefix(out, `{"sender"`) {
		t.Errorf("%d, %q, %q", status, out, stderr)
	}
	if status, _, stderr := result(strings.Repeat("x", 101), "call", path); status != exitFailed || stderr != "request too large\n" {
		t.Errorf("%d, %q", status, stderr)
	}
}
