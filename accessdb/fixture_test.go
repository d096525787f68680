package accessdb

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"credrpc/accessdb/cdb"
	"credrpc/internal/leak"
)

// TestMain fails if a test leaves a goroutine or a descriptor behind.
func TestMain(m *testing.M) { os.Exit(leak.Run(m)) }

// env encodes modifications given as "NAME=value" to set and "NAME" to unset.
func env(t testing.TB, entries ...string) Env {
	t.Helper()
	var modifications []Modification
	for _, entry := range entries {
		name, value, set := strings.Cut(entry, "=")
		modifications = append(modifications, Modification{Name: name, Value: value, Unset: !set})
	}
	e, err := NewEnv(modifications...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// writeRules compiles rules to a file, in place of one that may be there.
func writeRules(t testing.TB, path string, rules ...Rule) {
	t.Helper()
	b, err := Create(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, rule := range rules {
		if err := b.Add(rule); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
}

// writeRecords writes a database of keys and values, in pairs.
func writeRecords(t testing.TB, path string, pairs ...string) {
	t.Helper()
	f, err := os.CreateTemp(filepath.Dir(path), ".records")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := cdb.NewWriter(f)
	for pair := range slices.Chunk(pairs, 2) {
		if err := w.Add([]byte(pair[0]), []byte(pair[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		t.Fatal(err)
	}
}

// writeDirectory makes a rules directory; a name that ends with a slash is a
// directory.
func writeDirectory(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(path, 0o755)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// inBothForms runs a test on a rules directory and on the file compiled of it.
func inBothForms(t *testing.T, files map[string]string, options Options, test func(t *testing.T, db *DB)) {
	t.Helper()
	dir := t.TempDir()
	writeDirectory(t, dir, files)
	file := filepath.Join(t.TempDir(), "rules.cdb")
	if err := Compile(dir, file, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("form=directory", func(t *testing.T) { test(t, openQuiet(t, dir, options)) })
	t.Run("form=file", func(t *testing.T) { test(t, openQuiet(t, file, options)) })
}

// needRoot skips a test that becomes another user or gives files to one.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CREDRPC_CI") == "1" {
		t.Fatal("needs root, to act as another user")
	}
	t.Skip("needs root, to act as another user")
}

func makePipe(t testing.TB, path string) {
	t.Helper()
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

// waitFor waits for something that a watcher does.
func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 20 seconds: %s", what)
		}
	}
}

// compiled returns the file of some rules.
func compiled(t testing.TB, rules []Rule) []byte {
	t.Helper()
	var m memoryFile
	w := cdb.NewWriter(&m)
	for _, rule := range rules {
		record, err := AppendRecord(nil, rule)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add([]byte(rule.Key), record); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return m.data
}

// memoryFile is a file in memory that a cdb.Writer fills.
type memoryFile struct {
	data     []byte
	position int
}

func (m *memoryFile) Write(b []byte) (int, error) {
	if need := m.position + len(b); need > len(m.data) {
		m.data = append(m.data, make([]byte, need-len(m.data))...)
	}
	m.position += copy(m.data[m.position:], b)
	return len(b), nil
}

func (m *memoryFile) Seek(offset int64, _ int) (int64, error) {
	m.position = int(offset)
	return offset, nil
}
