package accessdb

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"credrpc/accessdb/cdb"
)

func allows(t testing.TB, db *DB, uid uint32) bool {
	t.Helper()
	result, err := db.Check(uid, otherGID)
	if err != nil {
		t.Fatal(err)
	}
	return result.Decision == Allow
}

func TestReloadPutsTheNewFileInForce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.cdb")
	writeRules(t, path, Rule{Key: "uid/1", Decision: Allow})
	db := openQuiet(t, path, Options{})
	if !allows(t, db, 1) || allows(t, db, 2) {
		t.Fatal("the first file is not in force")
	}
	first := db.Stats()
	if first.Generation != 1 || time.Since(first.Loaded) > time.Hour {
		t.Errorf("%+v", first)
	}
	writeRules(t, path, Rule{Key: "uid/2", Decision: Allow})
	if !allows(t, db, 1) {
		t.Error("the new file is in force before Reload")
	}
	if err := db.Reload(); err != nil {
		t.Fatal(err)
	}
	if allows(t, db, 1) || !allows(t, db, 2) {
		t.Error("the new file is not in force, or the cache answers for the old one")
	}
	if s := db.Stats(); s.Reloads != 1 || s.Failures != 0 || s.Rules != 1 || s.Generation != 2 || !s.Loaded.After(first.Loaded) {
		t.Errorf("%+v", s)
	}
}

func TestFailedReloadKeepsTheRules(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rules.cdb")
	writeRules(t, path, Rule{Key: "uid/1", Decision: Allow})
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	db := openQuiet(t, path, Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), MaxFileSize: 1 << 20})
	replace := func(content []byte) func() error {
		return func() error {
			if err := os.WriteFile(path+".new", content, 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		}
	}
	failures := uint64(0)
	for _, row := range []struct {
		name   string
		change func() error
		want   error
	}{
		{"the file is missing", func() error { return os.Remove(path) }, fs.ErrNotExist},
		{"the path is a pipe", func() error { makePipe(t, path); return nil }, ErrNotRules},
		{"the file is empty", replace(nil), cdb.ErrMalformed},
		{"the file is cut short", replace(good[:len(good)-1]), cdb.ErrMalformed},
		{"the file is something else", replace(bytes.Repeat([]byte("text"), 2000)), cdb.ErrMalformed},
		{"the file is too large", replace(make([]byte, 1<<20+1)), ErrFileTooLarge},
		{"an allow record is malformed", func() error { writeRecords(t, path, "uid/1", "A"); return nil }, ErrMalformedRule},
		{"the path is a directory", func() error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, ErrNotRules},
	} {
		if err := row.change(); err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		log.Reset()
		for range 2 {
			if err := db.Reload(); !errors.Is(err, row.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v, want %v", row.name, err, row.want)
			}
			failures++
		}
		if !allows(t, db, 1) || allows(t, db, 2) {
			t.Errorf("%s: the old rules are not in force", row.name)
		}
		if n := strings.Count(log.String(), "access rules not loaded"); n != 1 {
			t.Errorf("%s: logged %d times:\n%s", row.name, n, log.String())
		}
	}
	if s := db.Stats(); s.Failures != failures || s.Reloads != 0 {
		t.Errorf("%+v, want %d failures", s, failures)
	}
	if err := errors.Join(os.Remove(path), replace(good)()); err != nil {
		t.Fatal(err)
	}
	if err := db.Reload(); err != nil {
		t.Errorf("a good file again: %v", err)
	}
}

func TestWatcherTakesWhatIsRenamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.cdb")
	writeRules(t, path, Rule{Key: "uid/1", Decision: Allow})
	db := openQuiet(t, path, Options{PollInterval: time.Millisecond})
	for i := range uint32(20) {
		writeRules(t, path, Rule{Key: Key{Kind: KeyUID, ID: i}.String(), Decision: Allow})
		waitFor(t, "a renamed file is not picked up", func() bool { return allows(t, db, i) })
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "a missing file is not noticed", func() bool { return db.Stats().Failures > 0 })
	if !allows(t, db, 19) {
		t.Error("the rules are gone with the file")
	}
	writeRules(t, path, Rule{Key: "uid/100", Decision: Allow})
	waitFor(t, "a file that is back is not picked up", func() bool { return allows(t, db, 100) })
}

// The following tests poll by hand, so that they know when a poll has ended.

func TestPollLeavesAFileAloneThatIsModifiedInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.cdb")
	writeRules(t, path, Rule{Key: "uid/1", Decision: Deny}, Rule{Key: "uid/default", Decision: Allow})
	content := compiled(t, []Rule{{Key: "uid/2", Decision: Deny}, {Key: "uid/default", Decision: Allow}})
	var log bytes.Buffer
	db := openQuiet(t, path, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})

	db.poll()
	if err := os.Chmod(path, 0o640); err != nil { // moves ctime only
		t.Fatal(err)
	}
	db.poll()
	if s := db.Stats(); s.Failures != 0 || s.Reloads != 0 {
		t.Errorf("chmod: %+v", s)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, time.Unix(1e9, 0)); err != nil { // whatever the clock's grain
		t.Fatal(err)
	}
	for range 3 {
		db.poll()
	}
	if allows(t, db, 1) || !allows(t, db, 2) {
		t.Error("a file modified in place changed a decision")
	}
	if s := db.Stats(); s.Failures != 1 || strings.Count(log.String(), ErrModifiedInPlace.Error()) != 1 {
		t.Errorf("%+v, log: %s", s, log.String())
	}
	if err := db.Reload(); err != nil { // an explicit order
		t.Fatal(err)
	}
	if !allows(t, db, 1) || allows(t, db, 2) {
		t.Error("Reload did not load the file")
	}
}

func TestPollLoadsAFaultyFileOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.cdb")
	writeRules(t, path, Rule{Key: "uid/1", Decision: Allow})
	db := openQuiet(t, path, Options{MaxFileSize: 1 << 20})
	failures := uint64(0)
	for name, content := range map[string][]byte{
		"malformed": []byte("text"), "too large": make([]byte, 1<<20+1), "a malformed rule": nil,
	} {
		if err := os.WriteFile(path+".new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		if content == nil {
			writeRecords(t, path, "uid/1", "A")
		}
		failures++
		for range 3 {
			db.poll()
		}
		if s := db.Stats(); s.Failures != failures || !allows(t, db, 1) {
			t.Errorf("%s: %+v, want %d failures", name, s, failures)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for range 3 { // nothing to remember: it may come back at any time
		db.poll()
	}
	if s := db.Stats(); s.Failures != failures+3 {
		t.Errorf("missing: %+v, want %d failures", s, failures+3)
	}
	writeRules(t, path, Rule{Key: "uid/2", Decision: Allow})
	db.poll()
	if !allows(t, db, 2) {
		t.Error("a file that is back is not taken")
	}
	db.Close()
	db.poll() // as a watcher may that Close has not reached yet
	if _, err := db.Check(2, otherGID); err != ErrClosed {
		t.Errorf("a poll after Close opened the rules again: %v", err)
	}
}

func TestNothingKeepsDescriptors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.cdb")
	dir := filepath.Join(t.TempDir(), "rules")
	writeRules(t, path, Rule{Key: "uid/1", Decision: Allow, Env: env(t, "A=1"), Exec: "true"})
	if err := Decompile(path, dir); err != nil {
		t.Fatal(err)
	}
	descriptors := func() int { return len(names(t, "/proc/self/fd")) }
	before := descriptors()
	for range 20 {
		for _, p := range []string{path, dir} {
			db, err := Open(p, Options{})
			if err != nil {
				t.Fatal(err)
			}
			db.Check(1, otherGID)
			if err := db.Reload(); err != nil {
				t.Fatal(err)
			}
			for range db.Rules() {
			}
			db.Close()
		}
		if err := Compile(dir, path, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(filepath.Join(dir, "uid/1/allow"), Options{}); err == nil {
			t.Fatal("an empty file is opened")
		}
		Lint(path)
	}
	if after := descriptors(); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// A file that is being written is not taken, whatever the copy looks like.
func TestFileThatChangesWhileItIsCopied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.cdb")
	writeRules(t, path, Rule{Key: "uid/1", Decision: Allow})
	for name, change := range map[string]func() error{
		"cut short": func() error { return os.Truncate(path, 2050) },
		"grown":     func() error { return os.Truncate(path, 1<<20) },
		"touched":   func() error { return os.Chtimes(path, time.Time{}, time.Unix(1e9, 0)) },
	} {
		f, state, err := openRegular(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if data, err := mapCopy(f, state, cdb.MaxSize); !errors.Is(err, ErrChanging) || data != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
