package accessdb

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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
		"uid/2/allow": "", "uid/2/env/PATH": "x", // no exec, no finding
		"uid/self/allow": "", "gid/self/allow": "", "uid/default/deny": "",
	})
	if got := lint(t, dir, base); len(got) != 0 {
		t.Errorf("nothing is wrong, and found: %q", got)
	}
	writeDirectory(t, dir, map[string]string{
		"uid/01/allow": "", "gid/default/deny": "", "uid/empty/": "", "ip4/1/deny": "",
		"uid/3/allow": "", "uid/3/deny": "",
		"uid/4/deny": "", "uid/4/exec": "x",
		"uid/5/allow": "", "uid/5/exec": strings.Repeat("x", 4097),
		"uid/6/allow": "", "uid/6/exec": "x", "uid/6/env/PATH": "", "uid/6/env/LD_PRELOAD": "x", "uid/6/env/a b": "x",
		"uid/7/allow": "", "uid/7/env": "",
	})
	for path, mode := range map[string]fs.FileMode{"uid/1/allow": 0o666, "uid/2": 0o775} {
		if err := os.Chmod(filepath.Join(dir, path), mode); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"writable /rules/uid/1/allow", "writable /rules/uid/2",
		"unreachable gid/default", "unreachable ip4/1", "unreachable uid/01",
		"env uid/6", "env uid/6", "env uid/6", "value uid/7",
		"unreachable uid/empty", "value uid/empty",
		"unreachable uid/3", "unreachable uid/4", "value uid/5",
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
	want := []string{"unreachable uid/1", "value uid/2", "value uid/3", "unreachable uid/x", "env uid/4"}
	for p, name := range map[string][]string{path: {"/rules.cdb"}, link: {"/link", "/rules.cdb"}} {
		expected := slices.Clone(want)
		for _, n := range slices.Backward(name) {
			expected = slices.Insert(expected, 0, "writable "+n)
		}
		if got := lint(t, p, base); !slices.Equal(got, expected) {
			t.Errorf("%s: got  %q\nwant %q", p, got, expected)
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

func TestLintOfWhatCannotBeOpened(t *testing.T) {
	if _, err := Lint(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
