package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestWriteFile has writes that fail, through a symbolic link: what was there stays, and
// nothing else is left.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "r.json"), filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if err := checkWritable(file); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the check left a file: %v", err)
	}
	if err := writeFile(file, func(io.Writer) error { return nil }); err != nil {
		t.Fatal(err)
	}
	failure := errors.New("no space")
	for _, tt := range []struct {
		text   string
		failed error
		want   string
	}{{"old", nil, "old"}, {"half of a new", failure, "old"}, {"new", nil, "new"}} {
		err := writeFile(link, func(w io.Writer) error {
			io.WriteString(w, tt.text)
			return tt.failed
		})
		text, readErr := os.ReadFile(file)
		if !errors.Is(err, tt.failed) || readErr != nil || string(text) != tt.want {
			t.Errorf("%q: %v; the file has %q, %v", tt.text, err, text, readErr)
		}
		if err := checkWritable(link); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("left %v, %v", left, err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "none", "r.json")} {
		if err := checkWritable(path); err == nil {
			t.Errorf("%s is writable", path)
		}
	}
	if err := checkWritable("/dev/null"); err != nil {
		t.Error(err)
	}
}
