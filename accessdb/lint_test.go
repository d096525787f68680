package accessdb

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// lint returns the findings that are about what is below base, each in the form
// "kind subject", with base cut off.
func lint(t testing.TB, path, base string) []string {
	t.Helper()
	findings, err := Lint(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range findings {
		if f.Message == "" || !strings.HasPrefix(f.String(), string(f.Kind)+": ") {
			t.Errorf("finding without a message: %+v", f)
		}
		subject, below := strings.CutPrefix(f.Subject, base)
		if f.Kind != FindingWritable || below {
			got = append(got, string(f.Kind)+" "+subject)
		}
	}
	return got
}

func TestLintOfADirectory(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "rules")
	writeDirectory(t, dir, map[string]string{
		"uid/1/allow": "", "uid/1/env/FINE": "x", "uid/1/exec": "true",
		"uid/2/allow": "", "uid/2/env/LD_PRELOAD": "", // taken away
		"uid/9/deny": "", "uid/9/env/PATH": "x", // never applied
		"uid/self/allow": "", "gid/self/allow": "", "uid/default/deny": "",
	})
	if got, want := lint(t, dir, base), []string{"unreachable uid/9"}; !slices.Equal(got, want) {
		t.Errorf("only a denied environment is wrong, and found: %q", got)
	}
	writeDirectory(t, dir, map[string]string{
		"uid/01/allow": "", "gid/default/deny": "", "uid/empty/": "", "ip4/1/deny": "",
		"uid/3/allow": "", "uid/3/deny": "",
		"uid/4/deny": "", "uid/4/exec": "x",
		"uid/5/allow": "", "uid/5/exec": strings.Repeat("x", 4097),
		"uid/6/allow": "", "uid/6/exec": "x", "uid/6/env/PATH": "", "uid/6/env/LD_PRELOAD": "x", "uid/6/env/a b": "x",
		"uid/7/allow": "", "uid/7/env": "",
		"uid/8/allow": "", "uid/8/env/IFS": "x", "uid/8/env/IPCREMOTEEUID": "0", "uid/8/env/OK": "x",
	})
	for path, mode := range map[string]fs.FileMode{"uid/1/allow": 0o666, "uid/2": 0o775} {
		if err := os.Chmod(filepath.Join(dir, path), mode); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"writable /rules/uid/1/allow", "writable /rules/uid/2",
		"unreachable gid/default", "unreachable ip4/1", "unreachable uid/01",
		"env uid/6", "env uid/6", "env uid/6", "value uid/7", "env uid/8", "env uid/8",
		"unreachable uid/empty", "value uid/empty",
		"unreachable uid/3", "unreachable uid/4", "value uid/5", "unreachable uid/9",
	}
	if got := lint(t, dir, base); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestLintOfAFile(t *testing.T) {
	base := t.TempDir()
	path := filepath.Join(base, "rules.cdb")
	writeRecords(t, path,
		"uid/1", plainAllow, "uid/1", "D", "uid/2", "d", "uid/3", "A", "uid/x", "D",
		"uid/4", "A\x00\x0bLD_AUDIT=x\x00\x00\x01x")
	if err := os.Chmod(path, 0o620); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(base, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	want := []string{"writable /rules.cdb", "unreachable uid/1", "value uid/2", "value uid/3", "unreachable uid/x", "env uid/4"}
	for _, p := range []string{path, link} {
		if got := lint(t, p, base); !slices.Equal(got, want) {
			t.Errorf("%s: got  %q\nwant %q", p, got, want)
		}
	}
}

func TestLintLooksAtTheDirectoriesAbove(t *testing.T) {
	base := t.TempDir()
	for name, mode := range map[string]fs.FileMode{"open": 0o777, "group": 0o770, "sticky": 0o777 | fs.ModeSticky} {
		dir := filepath.Join(base, name, "safe")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(base, name), mode); err != nil {
			t.Fatal(err)
		}
		writeRules(t, filepath.Join(dir, "rules.cdb"), Rule{Key: "uid/1", Decision: Allow})
		got := lint(t, filepath.Join(dir, "rules.cdb"), base)
		want := []string{"writable /" + name}
		if name == "sticky" {
			want = nil
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestLintFollowsLinks has a link on the way to the rules, another that the first
// leads to, and links in the rules, each through a directory open to all.
func TestLintFollowsLinks(t *testing.T) {
	base := t.TempDir()
	writeDirectory(t, base, map[string]string{
		"rules/uid/1/allow": "", "rules/uid/default/deny": "",
		"open1/": "", "open2/": "", "open3/rule/allow": "", "open3/rule/env/A": "x", "open4/file": "ls",
	})
	for link, target := range map[string]string{
		"link":                 "open1/link", // relative, and so is the next
		"open1/link":           "../open2/link",
		"open2/link":           base + "/rules",
		"rules/uid/2":          base + "/open3/rule",
		"rules/uid/1/exec":     "../../../open4/file",
		"rules/uid/3":          "nowhere",
		"open3/rule/env/loop":  "..",
		"rules/uid/default/up": base,
	} {
		if err := os.Symlink(target, filepath.Join(base, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"open1", "open2", "open3", "open4", "open3/rule/env/A"} {
		if err := os.Chmod(filepath.Join(base, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"writable /open1", "writable /open2", "writable /open4", "writable /open3", "writable /open3/rule/env/A"}
	if got := lintPermissions(t, base+"/link", base); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}

	if err := os.Symlink("round", base+"/round"); err != nil {
		t.Fatal(err)
	}
	l := linter{writable: make(map[string]bool)}
	if _, err := l.way(base + "/round"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a link to itself: %v", err)
	}
}

// lintPermissions returns the findings about permissions, of rules that need not be
// readable as rules.
func lintPermissions(t testing.TB, path, base string) []string {
	t.Helper()
	l := linter{writable: make(map[string]bool)}
	if err := l.permissions(path); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range l.findings {
		if subject, below := strings.CutPrefix(f.Subject, base); below {
			got = append(got, string(f.Kind)+" "+subject)
		}
	}
	return got
}

// TestLintOfAStickyRulesDirectory shows that the sticky bit helps on the way to
// rules and not where they are: anybody may add one.
func TestLintOfAStickyRulesDirectory(t *testing.T) {
	base := t.TempDir()
	writeDirectory(t, base, map[string]string{"above/rules/uid/1/allow": ""})
	for _, name := range []string{"above", "above/rules", "above/rules/uid"} {
		if err := os.Chmod(filepath.Join(base, name), 0o777|fs.ModeSticky); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"writable /above/rules", "writable /above/rules/uid"}
	if got := lint(t, base+"/above/rules", base); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestLintTellsOwners(t *testing.T) {
	needRoot(t)
	base := t.TempDir()
	writeDirectory(t, base, map[string]string{"mine/rules/uid/1/allow": "", "theirs/": ""})
	if err := os.Symlink("../mine/rules", base+"/theirs/link"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mine/rules/uid/1/allow", "theirs/link"} {
		if err := os.Lchown(filepath.Join(base, name), 1000, 0); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"writable /theirs/link", "writable /mine/rules/uid/1/allow"}
	if got := lint(t, base+"/theirs/link", base); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestLintOfWhatCannotBeOpened(t *testing.T) {
	if _, err := Lint(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
