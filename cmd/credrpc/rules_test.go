package main

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode"
	"unicode/utf8"
)

// writeRulesDirectory makes a rules directory of paths and contents.
func writeRulesDirectory(t *testing.T, files map[string]string) (path string) {
	t.Helper()
	path = filepath.Join(tempDir(t), "rules")
	for name, content := range files {
		file := filepath.Join(path, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// writeRulesFile makes a rules file of records, in pairs of key and value, whatever
// they are.
func writeRulesFile(t *testing.T, pairs ...string) (path string) {
	t.Helper()
	path = filepath.Join(tempDir(t), "rules.cdb")
	cdb := exec.Command(installed(t, "cdb", "tinycdb"), "-c", path)
	cdb.Stdin = strings.NewReader(recordsText(pairs...))
	if out, err := cdb.CombinedOutput(); err != nil {
		t.Fatalf("cdb -c: %v: %s", err, out)
	}
	return path
}

// inBothForms runs a test on a rules directory and on the file compiled of it.
func inBothForms(t *testing.T, files map[string]string, test func(t *testing.T, rules string)) {
	t.Helper()
	directory := writeRulesDirectory(t, files)
	file := directory + ".cdb"
	if status, out, stderr := result("", "rules", "compile", directory, file); status != exitOK || out != "" || stderr != "" {
		t.Fatalf("compile: %d, %q, %q", status, out, stderr)
	}
	t.Run("form=directory", func(t *testing.T) { test(t, directory) })
	t.Run("form=file", func(t *testing.T) { test(t, file) })
}

// installed returns a program of a Debian package, or skips the test.
func installed(t *testing.T, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name+" of the Debian package "+debianPackage+" is not installed")
	}
	return path
}

// missing skips a test that lacks something, where that may be.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CREDRPC_CI") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// TestRulesUsage checks status 2, and that what is wrong is named.
func TestRulesUsage(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"rules", "compile"},
		{"rules dance", "dance"},
		{"rules compile", "<source> <file>"},
		{"rules compile D", "<file>"},
		{"rules compile D F -m rw", `--mode "rw": want an octal number of at most 0777`},
		{"rules compile D F --mode 4755", "--mode"},
		{"rules compile D ", "<file>: is empty"},
		{"rules compile  F", "<source>: is empty"},
		{"rules decompile F ", "<directory>: is empty"},
		{"rules decompile  D", "<file>: is empty"},
		{"rules check --rules R", "--uid"},
		{"rules check --uid 0", "--rules"},
		{"rules check --rules= --uid 0", "--rules: is empty"},
		{"rules check --rules R --uid=", "--uid: is empty"},
		{"rules check --rules R --uid nobody-knows", `--uid "nobody-knows": neither a known name nor an id`},
		{"rules check --rules R --uid 4294967295 --gid 0", "--uid"},
		{"rules check --rules R --uid 4294967296 --gid 0", "--uid"},
		{"rules check --rules R --uid 0 --gid nobody-knows", "--gid"},
		{"rules check --rules R --uid 4294967294", `--gid: is needed, since user "4294967294" is not known`},
		{"rules check --rules R --uid 0 --self-uid -1", "self-uid"},
		{"rules check --rules R --uid 0 --self-gid nobody-knows", "--self-gid"},
		{"rules list", "--rules"},
		{"rules list --rules=", "--rules: is empty"},
		{"rules lint", "--rules"},
		{"rules lint --rules=", "--rules: is empty"},
	} {
		if status, out, stderr := result("", strings.Split(tt.args, " ")...); status != exitUsage || out != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: %d, %q, %q", tt.args, status, out, stderr)
		}
	}
}

// TestRulesHelp checks that every command tells its exit statuses or that of the
// group, and fits a terminal.
func TestRulesHelp(t *testing.T) {
	for _, command := range []string{"", "compile", "decompile", "check", "list", "lint"} {
		args := append([]string{"rules"}, strings.Fields(command)...)
		status, out, stderr := result("", append(args, "--help")...)
		if status != exitOK || stderr != "" || !strings.HasPrefix(out, "Usage: credrpc "+strings.Join(args, " ")) {
			t.Errorf("%q: %d, %q, %q", args, status, out, stderr)
		}
		for line := range strings.Lines(out) {
			if utf8.RuneCountInString(line) > 81 {
				t.Errorf("%q: a line of more than 80 characters: %q", args, line)
			}
		}
	}
}

// TestRulesFail checks status 111, that standard output stays empty, and that the
// error says what is wrong where.
func TestRulesFail(t *testing.T) {
	dir := tempDir(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("text"), []byte(strings.Repeat("no rules ", 300)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path("busy"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("busy/file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	rules := writeRulesDirectory(t, map[string]string{"uid/1/allow": ""})
	large := writeRulesDirectory(t, map[string]string{
		"uid/1/allow": "", "uid/1/env/A": strings.Repeat("a", 3000), "uid/1/env/B": strings.Repeat("b", 3000),
	})
	malformed := writeRulesFile(t, "uid/1", "A")
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"compile", path("none"), path("out")}, []string{path("none"), "no such file"}},
		{[]string{"compile", path("text"), path("out")}, []string{path("text"), "not a directory"}},
		{[]string{"compile", path("busy"), path("out")}, []string{path("busy/file"), "not a directory"}},
		{[]string{"compile", rules, path("none/out")}, []string{path("none"), "no such file"}},
		{[]string{"compile", rules, path("busy")}, []string{path("busy"), "file exists"}},
		{[]string{"compile", large, path("out")}, []string{large + "/uid/1", "too large"}},
		{[]string{"compile", "--records", path("none"), path("out")}, []string{path("none"), "no such file"}},
		{[]string{"compile", "--records", path("text"), path("out")}, []string{"record 1, byte 0", "'n'"}},
		{[]string{"compile", "--records", "-", path("out")}, []string{"record 1, byte 0", "no empty line"}},
		{[]string{"decompile", path("none"), path("out")}, []string{path("none"), "no such file"}},
		{[]string{"decompile", path("text"), path("out")}, []string{path("text"), "malformed"}},
		{[]string{"decompile", rules, path("out")}, []string{rules, "is a directory"}},
		{[]string{"decompile", rules + ".cdb", path("busy")}, []string{rules + ".cdb"}},
		{[]string{"decompile", malformed, path("out")}, []string{malformed, "uid/1"}},
		{[]string{"list", "--rules", path("none")}, []string{path("none"), "no such file"}},
		{[]string{"list", "--json", "--rules", path("text")}, []string{path("text"), "malformed"}},
		{[]string{"list", "--rules", path("busy")}, nil},
		{[]string{"lint", "--rules", path("none")}, []string{path("none"), "no such file"}},
		{[]string{"lint", "--json", "--rules", path("text")}, []string{path("text"), "malformed"}},
	} {
		status, out, stderr := result("", append([]string{"rules"}, tt.args...)...)
		if status != exitSystem || !strings.HasPrefix(stderr, "credrpc: ") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: %d, %q, %q", tt.args, status, out, stderr)
		}
		if tt.want != nil && out != "" {
			t.Errorf("%q prints %q", tt.args, out)
		}
		for _, want := range tt.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("%q: no %q in %q", tt.args, want, stderr)
			}
		}
		if _, err := os.Lstat(path("out")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q leaves %s: %v", tt.args, path("out"), err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// refusingWriter is a full disk.
type refusingWriter struct{}

var errFull = errors.New("disk full")

func (refusingWriter) Write([]byte) (int, error) { return 0, errFull }

// TestRulesOutputFails checks that what cannot be printed is no success.
func TestRulesOutputFails(t *testing.T) {
	rules := writeRulesDirectory(t, map[string]string{"uid/0/allow": "", "uid/empty/x": ""})
	for _, command := range []string{"check --uid 0 --gid 0", "check --json --uid 0 --gid 0", "list", "list --json", "lint", "lint --json"} {
		var stderr strings.Builder
		args := append(append([]string{"rules"}, strings.Fields(command)...), "--rules", rules)
		status := run(args, streams{strings.NewReader(""), refusingWriter{}, &stderr})
		if status != exitSystem || stderr.String() != "credrpc: disk full\n" {
			t.Errorf("%s: %d, %q", command, status, stderr.String())
		}
	}
}

// hostileNames are what somebody could call a file to command a terminal, to forge a
// line, or to be no text at all.
var hostileNames = []string{
	"\x1b[31mred", "\x1b]0;title\x07", "a\nenv: \"uid\": all is well", "tab\there", "bell\a", "\x7fdelete",
	"\u009bcsi", "\u202eright to left", "not \xff UTF-8", "größer", "with blank", `quo"te`, "<b>&amp;",
}

// TestRulesCannotCommandATerminal gives every command rules whose names and values
// are hostile, in both forms.
func TestRulesCannotCommandATerminal(t *testing.T) {
	files := map[string]string{}
	for _, name := range hostileNames {
		files["uid/"+name+"/allow"] = ""
		files["uid/"+name+"/env/"+name] = name
		files["uid/"+name+"/exec"] = name
		files["uid/1000/allow"] = ""
		files["uid/1000/env/"+name] = name
	}
	files["uid/1000/exec"] = strings.Join(hostileNames, " ")
	inBothForms(t, files, func(t *testing.T, rules string) {
		for _, args := range [][]string{
			{"check", "--uid=1000", "--gid=1", "--rules", rules},
			{"check", "--uid=1000", "--gid=1", "--json", "--rules", rules},
			{"list", "--rules", rules}, {"list", "--json", "--rules", rules},
			{"lint", "--rules", rules}, {"lint", "--json", "--rules", rules},
		} {
			status, out, stderr := result("", append([]string{"rules"}, args...)...)
			if (status != exitOK) != (args[0] == "lint") || out == "" || stderr != "" {
				t.Errorf("%q: %d, %q, %q", args, status, out, stderr)
			}
			checkPrintable(t, args, out)
		}
	})

	// And errors, whose texts have names in them.
	for _, name := range hostileNames {
		rules := writeRulesDirectory(t, map[string]string{"uid/" + name + "/allow": "", "uid/" + name + "/env/B/C": ""})
		for _, args := range [][]string{
			{"compile", rules, rules + ".cdb"}, {"list", "--rules", rules},
			{"check", "--uid=1", "--gid=1", "--rules", filepath.Join(rules, name)},
		} {
			status, out, stderr := result("", append([]string{"rules"}, args...)...)
			if status != exitSystem || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%q: %d, %q, %q", args, status, out, stderr)
			}
			checkPrintable(t, args, out+stderr)
		}
	}
}

func checkPrintable(t *testing.T, args []string, out string) {
	t.Helper()
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if i := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 || !utf8.ValidString(line) {
			t.Errorf("%q prints %q", args, line)
		}
	}
}

// TestRuleTextInJSON checks that text comes back from JSON as it was.
func TestRuleTextInJSON(t *testing.T) {
	for _, text := range append(hostileNames, "", "😀 \U000e0001", "\u2028") {
		b, err := json.Marshal(ruleText(text))
		if err != nil {
			t.Fatal(err)
		}
		checkPrintable(t, []string{text}, string(b))
		if !utf8.ValidString(text) {
			var got struct{ Base64 []byte }
			if err := json.Unmarshal(b, &got); err != nil || string(got.Base64) != text {
				t.Errorf("%q in JSON is %s: %q, %v", text, b, got.Base64, err)
			}
			continue
		}
		var got string
		if err := json.Unmarshal(b, &got); err != nil || got != text {
			t.Errorf("%q in JSON is %s: %q, %v", text, b, got, err)
		}
	}
}

// asNobody returns the program as a child process with uid and gid 65534, and a
// directory that it can reach.
func asNobody(t *testing.T) (dir string, start func(args ...string) *exec.Cmd) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "needs root, to become another user")
	}
	dir = tempDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	copied, err := os.OpenFile(filepath.Join(dir, "credrpc"), os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(copied, self); err != nil {
		t.Fatal(err)
	}
	if err := copied.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, func(args ...string) *exec.Cmd {
		cmd := program(t, args...)
		cmd.Path, cmd.Dir = copied.Name(), dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		return cmd
	}
}

// TestRulesAsAnotherUser checks whom "self" means, and what becomes of rules and
// directories that the user may not read or write.
func TestRulesAsAnotherUser(t *testing.T) {
	dir, start := asNobody(t)
	for name, mode := range map[string]fs.FileMode{
		"rules/uid/self/allow": 0o644, "rules/uid/default/deny": 0o644, "secret/uid/default/allow": 0o644, "unread/uid/default/allow": 0,
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "secret"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args      string
		status    int
		out, errs string
	}{
		{"check --rules rules --uid 65534 --gid 65534", exitOK, "allow by uid/self\n", ""},
		{"check --rules rules --uid 0 --gid 0", exitFailed, "deny by uid/default\n", ""},
		{"check --rules rules --uid 0 --gid 0 --self-uid 0", exitOK, "allow by uid/self\n", ""},
		{"check --rules secret --uid 0 --gid 0", exitSystem, "deny: the rules could not be read\n", "secret/uid/0/allow: permission denied"},
		{"check --rules secret --uid 0 --gid 0 --compatible", exitFailed, "deny: no rule decides\n", ""},
		{"check --rules unread --uid 1 --gid 1", exitSystem, "deny: the rules could not be read\n", "unread/uid/default/allow: permission denied"},
		{"check --rules unread --uid 1 --gid 1 --compatible", exitFailed, "deny: no rule decides\n", ""},
		{"list --rules secret", exitSystem, "", "secret"},
		{"compile rules out", exitSystem, "", "permission denied"},
		{"decompile rules.cdb out", exitSystem, "", "no such file"},
		{"lint --rules rules", exitOK, "", "nothing found"},
	} {
		var stdout, stderr strings.Builder
		cmd := start(append([]string{"rules"}, strings.Fields(tt.args)...)...)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if status := cmd.ProcessState.ExitCode(); status != tt.status || !strings.HasPrefix(stdout.String(), tt.out) || !strings.Contains(stderr.String(), tt.errs) {
			t.Errorf("%s: %d, %q, %q", tt.args, status, stdout.String(), stderr.String())
		}
	}
}
