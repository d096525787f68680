package trust

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestDirectory changes one directory or link at a time on the way to another.
func TestDirectory(t *testing.T) {
	asRoot := os.Getuid() == 0
	if !asRoot && os.Getenv("CREDRPC_CI") == "1" {
		t.Fatal("it needs root, to give files away")
	}
	base := t.TempDir()
	outer, inner, link := base+"/outer", base+"/outer/inner", base+"/link"
	if err := errors.Join(os.MkdirAll(inner, 0o755), os.Symlink("outer", link)); err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name, path string
		change     func() error
		want       string // how the error ends; "": none
		root       bool
	}{
		{"nothing", inner, func() error { return nil }, "", false},
		{"through a link", link + "/inner", func() error { return nil }, "", false},
		{"writable by everybody", inner, func() error { return os.Chmod(inner, 0o777) }, `/outer/inner" is writable by everybody (mode 0777)`, false},
		{"the one above", link + "/inner", func() error { return os.Chmod(outer, 0o757) }, `/outer" is writable by everybody (mode 0757)`, false},
		{"sticky", inner, func() error { return os.Chmod(outer, 0o777|fs.ModeSticky) }, "", false},
		{"the own group", inner, func() error { return os.Chmod(outer, 0o775) }, "", false},
		{"another group", inner, func() error { return errors.Join(os.Chown(inner, -1, 1234), os.Chmod(inner, 0o775)) }, `/outer/inner" is writable by group 1234 (mode 0775)`, true},
		{"another group that may not write", inner, func() error { return os.Chown(inner, -1, 1234) }, "", true},
		{"another user", inner, func() error { return os.Chown(outer, 1234, -1) }, `/outer" belongs to uid 1234`, true},
		{"another user, sticky", inner, func() error { return errors.Join(os.Chown(outer, 1234, -1), os.Chmod(outer, 0o1755)) }, `/outer" belongs to uid 1234`, true},
		{"another user's link", link + "/inner", func() error { return os.Lchown(link, 1234, -1) }, `/link" belongs to uid 1234`, true},
		{"up from where a link leads", base + "/far/../inner", func() error {
			return errors.Join(os.MkdirAll(outer+"/inner", 0o755), os.Symlink("outer/inner", base+"/far"), os.Chmod(outer, 0o777))
		}, `/outer" is writable by everybody (mode 0777)`, false},
		{"not there", base + "/absent", func() error { return nil }, "lstat " + base + "/absent: no such file or directory", false},
		{"a circle", base + "/round", func() error { return os.Symlink("round", base+"/round") }, syscall.ELOOP.Error(), false},
	}
	for _, row := range rows {
		if row.root && !asRoot {
			continue
		}
		for _, path := range []string{outer, inner} {
			if err := errors.Join(os.Chown(path, os.Getuid(), os.Getgid()), os.Chmod(path, 0o755)); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(os.Lchown(link, os.Getuid(), os.Getgid()), row.change()); err != nil {
			t.Fatal(err)
		}
		err := Directory(row.path)
		if (err == nil) != (row.want == "") || err != nil && !hasEnd(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %q", row.name, err, row.want)
		}
	}
	t.Chdir(base)
	if err := Directory("."); err != nil {
		t.Errorf("a relative path: %v", err)
	}
	if err := os.Chmod(filepath.Dir(inner), 0o777); err != nil {
		t.Fatal(err)
	}
	var untrusted *Error
	if err := Directory("outer"); !errors.As(err, &untrusted) || untrusted.Path != outer {
		t.Errorf("a relative path: %v", err)
	}
}

func hasEnd(text, end string) bool {
	return len(text) >= len(end) && text[len(text)-len(end):] == end
}
