package accessdb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDirectoryIsReadLive(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "rules")
	writeDirectory(t, dir, map[string]string{"uid/1/allow": ""})
	db := openQuiet(t, dir, Options{})
	if !allows(t, db, 1) || allows(t, db, 2) {
		t.Fatal("the directory is not in force")
	}
	writeDirectory(t, dir, map[string]string{"uid/2/allow": ""})
	if err := os.Remove(filepath.Join(dir, "uid/1/allow")); err != nil {
		t.Fatal(err)
	}
	if allows(t, db, 1) || !allows(t, db, 2) {
		t.Error("a changed directory is not in force at once")
	}
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if result, err := db.Check(2, otherGID); !errors.Is(err, fs.ErrNotExist) || result.Decision == Allow {
		t.Errorf("without the directory: %v, %v", result.Decision, err)
	}
	if err := db.Reload(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Reload without the directory: %v", err)
	}
	writeDirectory(t, dir, map[string]string{"uid/3/allow": ""})
	if !allows(t, db, 3) || allows(t, db, 2) {
		t.Error("a new directory is not in force at once")
	}
	if err := db.Reload(); err != nil {
		t.Error(err)
	}
	for _, err := range openQuiet(t, dir, Options{}).Rules() {
		if err != nil {
			t.Error(err)
		}
	}
}

type brokenDirectory struct {
	name  string
	files map[string]string
	path  string // what the error names
}

// brokenRules are directories in which deciding on uid 1000 fails, here and in s6.
// What s6 does with a pipe is to wait for ever.
func brokenRules() []brokenDirectory {
	return []brokenDirectory{
		{"a file in the place of a rule", map[string]string{"uid/1000": ""}, "uid/1000/allow"},
		{"a file in the place of env", map[string]string{"uid/1000/allow": "", "uid/1000/env": ""}, "uid/1000/env"},
		{"a directory in the place of a variable", map[string]string{"uid/1000/allow": "", "uid/1000/env/A/": ""}, "uid/1000/env/A"},
		{"a directory in the place of exec", map[string]string{"uid/1000/allow": "", "uid/1000/exec/": ""}, "uid/1000/exec"},
	}
}

func TestBrokenDirectoriesAreErrors(t *testing.T) {
	for _, row := range brokenRules() {
		dir := t.TempDir()
		writeDirectory(t, dir, row.files)
		writeDirectory(t, dir, map[string]string{"uid/default/allow": ""})
		db := openQuiet(t, dir, Options{})
		result, err := db.Check(1000, otherGID)
		if err == nil || result != (Result{Decision: Deny, Key: Key{KeyUID, 1000}}) {
			t.Errorf("%s: %+v, %v", row.name, result, err)
		}
		if err != nil && !strings.Contains(err.Error(), filepath.Join(dir, row.path)) {
			t.Errorf("%s: the error names no path: %v", row.name, err)
		}
		if db.Stats().CheckErrors != 1 {
			t.Errorf("%s: %+v", row.name, db.Stats())
		}
		failed := false
		for _, err := range db.Rules() {
			failed = failed || err != nil
		}
		if !failed {
			t.Errorf("%s: listed without an error", row.name)
		}
	}
}

func TestPipesAndLoopsAreErrorsAndNotWaitedFor(t *testing.T) {
	for _, name := range []string{"env/A", "exec"} {
		for kind, make := range map[string]func(path string) error{
			"a pipe": func(path string) error { return unix.Mkfifo(path, 0o600) },
			"a loop": func(path string) error { return os.Symlink(path, path) },
		} {
			dir := t.TempDir()
			writeDirectory(t, dir, map[string]string{"uid/1000/allow": "", "uid/1000/env/": ""})
			if err := make(filepath.Join(dir, "uid/1000", name)); err != nil {
				t.Fatal(err)
			}
			if result, err := openQuiet(t, dir, Options{}).Check(1000, otherGID); err == nil || result.Decision != Deny {
				t.Errorf("%s as %s: %v, %v", kind, name, result.Decision, err)
			}
		}
	}
}

func TestDirectoryReadsOnlySoMuchOfAFile(t *testing.T) {
	dir := t.TempDir()
	writeDirectory(t, dir, map[string]string{
		"uid/1/allow": "", "uid/1/env/A": strings.Repeat("v", 5000), "uid/1/exec": strings.Repeat("e", 5000),
	})
	result, err := openQuiet(t, dir, Options{}).Check(1, otherGID)
	if err != nil || len(result.Exec) != 4096 || result.Env != env(t, "A="+strings.Repeat("v", 4095)) {
		t.Errorf("%d bytes of exec, %d of env, %v", len(result.Exec), len(result.Env.encoded), err)
	}
}

func TestValuesOfVariables(t *testing.T) {
	for content, want := range map[string]string{
		"\n": "", " \t\r\n": "", "a": "a", "a \n": "a", "a\nb": "a", " a": " a", "a\rb\r": "a\rb",
		"a\x00b": "a\nb", "a\x00": "a\n", "a\x00 ": "a\n", "\x00": "\n", "a \x00\n": "a \n",
	} {
		if got := string(variableValue([]byte(content))); got != want {
			t.Errorf("%q: %q, want %q", content, got, want)
		}
	}
}

// The child of TestUnreadableFilesAsS6 is this test binary with this variable, and
// without privileges.
const unprivilegedChild = "ACCESSDB_UNPRIVILEGED_CHILD"

// unreadable are rules some part of which may not be read, by who asks.
func unreadable() []struct{ name, path string } {
	return []struct{ name, path string }{
		{"uid directory", "uid"}, {"rule", "uid/1000"}, {"allow", "uid/1000/allow"}, {"deny of another rule", "uid/1001/deny"},
		{"env", "uid/1000/env"}, {"variable", "uid/1000/env/A"}, {"exec", "uid/1000/exec"},
	}
}

// TestUnreadableFilesAsS6 compares what becomes of rules that may not be read, as a
// user to whom permissions apply. Unless it is to do as s6, a DB refuses everybody
// for whom such a rule matters.
func TestUnreadableFilesAsS6(t *testing.T) {
	if base := os.Getenv(unprivilegedChild); base != "" {
		for _, row := range unreadable() {
			dir := filepath.Join(base, row.name)
			for _, uid := range []uint32{1000, 1001} {
				result, err := openQuiet(t, dir, Options{Compatible: true}).Check(uid, 7)
				fmt.Printf("answer %s, uid %d: %s\n", row.name, uid, strings.ReplaceAll(answerAs(result, err, uid, 7), "\x00", " "))
				result, err = openQuiet(t, dir, Options{}).Check(uid, 7)
				if matters := strings.HasPrefix(fmt.Sprintf("uid/%d/", uid), row.path) || strings.HasPrefix(row.path, fmt.Sprintf("uid/%d/", uid)); matters != errors.Is(err, unix.EACCES) || (err != nil && result.Decision == Allow) {
					fmt.Printf("answer %s, uid %d, strict: %v, %v\n", row.name, uid, result.Decision, err)
				}
			}
		}
		return
	}
	access := program(t, "s6-ipcserver-access", "s6")
	needRoot(t)
	base := t.TempDir()
	for dir := base; dir != "/"; dir = filepath.Dir(dir) { // let the other user in
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o5 != 0o5 {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	binary := filepath.Join(base, "accessdb.test")
	content, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, content, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, row := range unreadable() {
		dir := filepath.Join(base, row.name)
		writeDirectory(t, dir, map[string]string{
			"uid/1000/allow": "", "uid/1000/env/A": "1", "uid/1000/exec": "env -0 EXECUTED=1",
			"uid/1001/deny": "", "uid/default/allow": "", "uid/default/env/A": "default",
		})
		if err := os.Chmod(filepath.Join(dir, row.path), 0); err != nil {
			t.Fatal(err)
		}
	}
	other := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	child := exec.Command(binary, "-test.run=^TestUnreadableFilesAsS6$")
	child.Env = append(os.Environ(), unprivilegedChild+"="+base)
	child.Dir, child.SysProcAttr = base, other
	ours, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, ours)
	}
	var theirs strings.Builder
	for _, row := range unreadable() {
		for _, uid := range []uint32{1000, 1001} {
			command := exec.Command(access, "-v0", "-l", "local", "-i", filepath.Join(base, row.name), "env", "-0")
			command.Env, command.SysProcAttr, command.Dir = baseEnv(uid, 7), other, base
			out, _ := command.Output()
			answer := normalize(fmt.Sprintf("%sexit %d", out, command.ProcessState.ExitCode()))
			fmt.Fprintf(&theirs, "answer %s, uid %d: %s\n", row.name, uid, strings.ReplaceAll(answer, "\x00", " "))
		}
	}
	var got strings.Builder
	for line := range strings.Lines(string(ours)) {
		if strings.HasPrefix(line, "answer ") { // not what package testing prints
			got.WriteString(line)
		}
	}
	if got.String() != theirs.String() {
		t.Errorf("ours:\n%s\ns6:\n%s", got.String(), theirs.String())
	}
}
