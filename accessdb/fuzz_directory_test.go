package accessdb

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"credrpc/accessdb/cdb"
)

// Keys and files of which FuzzDirectory makes rules.
var (
	fuzzKeys  = []string{"uid/self", "uid/1000", "gid/self", "gid/1000", "gid/2", "uid/default", "uid/01", "uid/.1000", "x/y"}
	fuzzFiles = []string{"allow", "deny", "exec", "env/A", "env/B", "env/.C", "env/D=E", "env"}
)

// What FuzzDirectory makes at a path.
const (
	fuzzRegular = iota
	fuzzDirectory
	fuzzPipe
	fuzzLoop
	fuzzDangling
	fuzzLink // to a regular file
	fuzzKinds
)

// FuzzDirectory decides with a directory that a list describes, 4 bytes an entry, which
// are the indices of a key and a file, what it is and how many of the bytes that follow
// are its content. What can be compiled must decide as its file does; nothing but what
// is there as "allow" may allow; and what is wrong must refuse.
func FuzzDirectory(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x05\x01\x00\x00"))
	f.Add([]byte("\x01\x00\x00\x00\x01\x03\x00\x05value\x01\x02\x00\x02ls\x02\x01\x00\x00"))
	for kind := range byte(fuzzKinds) {
		f.Add([]byte{1, 0, kind, 0, 5, 0, 0, 0})
		f.Add([]byte{1, 0, 0, 0, 1, 3, kind, 0, 1, 2, kind, 0})
		f.Add([]byte{4, 0, 0, 0, 4, 7, kind, 0, 5, 1, kind, 0})
	}
	f.Fuzz(func(t *testing.T, list []byte) {
		dir, err := os.MkdirTemp("", "rules") // faster than t.TempDir
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		makeEntries(t, dir, list)
		g := compiledDirectory(t, dir)
		for _, lenient := range []bool{false, true} {
			d := &directory{path: dir, lenient: lenient}
			for _, uid := range []uint32{1, 1000, 1001} {
				for _, gid := range []uint32{2, 1000, 1001} {
					got := outcomeOf(d.check(uid, gid, fuzzSelf, nil))
					if g != nil {
						if want := outcomeOf(g.check(uid, gid)); got != want {
							t.Fatalf("uid %d, gid %d, lenient %t: %+v, compiled %+v", uid, gid, lenient, got, want)
						}
					}
					if got.err != nil && got.result.Decision != Deny {
						t.Fatalf("uid %d, gid %d, lenient %t: %+v", uid, gid, lenient, got)
					}
					if got.result.Decision == Allow {
						if _, err := os.Stat(filepath.Join(dir, got.result.Key.String(), "allow")); err != nil {
							t.Fatalf("uid %d, gid %d, lenient %t: %+v, and %v", uid, gid, lenient, got, err)
						}
					}
				}
			}
		}
	})
}

// makeEntries makes in dir what list says, as far as it can be made: of two entries
// for one path the first one stays.
func makeEntries(t testing.TB, dir string, list []byte) {
	t.Helper()
	regular := filepath.Join(dir, ".regular")
	if err := os.WriteFile(regular, []byte("linked\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for len(list) >= 4 {
		key, file, kind := fuzzKeys[int(list[0])%len(fuzzKeys)], fuzzFiles[int(list[1])%len(fuzzFiles)], int(list[2])%fuzzKinds
		n := min(int(list[3]), len(list)-4)
		content := list[4 : 4+n]
		list = list[4+n:]
		path := filepath.Join(dir, key, file)
		os.MkdirAll(filepath.Dir(path), 0o700) // fails below an entry that is no directory
		switch kind {
		case fuzzRegular:
			if f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
				f.Write(content)
				f.Close()
			}
		case fuzzDirectory:
			os.Mkdir(path, 0o700)
		case fuzzPipe:
			unix.Mkfifo(path, 0o600)
		case fuzzLoop:
			os.Symlink(filepath.Base(path), path)
		case fuzzDangling:
			os.Symlink("missing", path)
		case fuzzLink:
			os.Symlink(regular, path)
		}
	}
}

// compiledDirectory returns what the compiled file of dir would be, or nil if it
// cannot be compiled.
func compiledDirectory(t testing.TB, dir string) *generation {
	t.Helper()
	var m memoryFile
	w := cdb.NewWriter(&m)
	compiles := true
	(&directory{path: dir}).rules(func(rule Rule, err error) bool {
		if err != nil && rule.Decision == Allow {
			t.Fatalf("%+v with error %v", rule, err)
		}
		record, recordErr := []byte(nil), err
		if err == nil && rule.Decision != NotFound {
			record, recordErr = AppendRecord(nil, rule)
			compiles = compiles && recordErr == nil && w.Add([]byte(rule.Key), record) == nil
		}
		compiles = compiles && recordErr == nil
		return true
	})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !compiles {
		return nil
	}
	g, err := newGeneration(m.data, fuzzSelf, false, 0)
	if err != nil {
		t.Fatalf("what was compiled cannot be loaded: %v", err)
	}
	return g
}

// FuzzEnvironment makes an environment of files in an env directory, whose contents
// are separated by the byte 0xff, takes it through a compiled record and applies it.
func FuzzEnvironment(f *testing.F) {
	f.Add([]byte("value\n\xff\xff \t\r\n\xffzero\x00byte \nsecond line"), uint32(0x01020304))
	f.Add([]byte("\n\xff=\xff\x00\x00\n"), uint32(0))
	names := []string{"A", "B", "HOME", "with space", "\xff\n", "PATH", "A1"}
	base := []string{"A=before", "PATH=/bin", "A=twice", "odd", "HOMER=other", "=C:=x"}
	f.Fuzz(func(t *testing.T, files []byte, order uint32) {
		var encoded []byte
		want := make(map[string]*string)
		for content := range bytes.SplitSeq(files, []byte{0xff}) {
			name := names[int(order%8)%len(names)]
			order = order>>3 | order<<29
			value := string(variableValue(bytes.Clone(content)))
			if slow := firstLine(string(content)); value != slow {
				t.Fatalf("%q is %q, want %q", content, value, slow)
			}
			encoded = append(encoded, name...)
			want[name] = nil
			if len(content) > 0 {
				encoded = append(append(encoded, '='), value...)
				want[name] = &value
			}
			encoded = append(encoded, 0)
		}
		record, err := AppendRecord(nil, Rule{Key: "uid/1", Decision: Allow, Env: Env{string(encoded)}})
		if err != nil {
			return // it is too large
		}
		rule, err := decodeRule([]byte("uid/1"), record)
		if err != nil || rule.Env.encoded != string(encoded) {
			t.Fatalf("%q is decoded as %q, %v", encoded, rule.Env.encoded, err)
		}
		checkApplied(t, rule.Env.Apply(base), base, want)
	})
}

// firstLine is the value of a variable by the words of s6-envdir(1): the first line,
// without blanks at its end, its zero bytes being newlines.
func firstLine(content string) string {
	line, _, _ := strings.Cut(content, "\n")
	return strings.ReplaceAll(strings.TrimRight(line, " \t\r"), "\x00", "\n")
}

// checkApplied compares an environment with base, changed by want, where nil unsets.
func checkApplied(t *testing.T, got, base []string, want map[string]*string) {
	t.Helper()
	rest := slices.Clone(got)
	take := func(entry string) {
		i := slices.Index(rest, entry)
		if i < 0 {
			t.Fatalf("%q is not in %q", entry, got)
		}
		rest = slices.Delete(rest, i, i+1)
	}
	for _, entry := range base {
		name, _, found := strings.Cut(entry, "=")
		if _, changed := want[name]; !found || !changed {
			take(entry)
		}
	}
	for name, value := range want {
		if value != nil {
			take(name + "=" + *value)
		}
	}
	if len(rest) > 0 {
		t.Fatalf("%q is in %q besides", rest, got)
	}
}
