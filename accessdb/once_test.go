package accessdb

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"credrpc/accessdb/cdb"
)

// outcome is what can be compared of a check: the result, and which error it is.
type outcome struct {
	result Result
	err    error
}

func outcomeOf(result Result, err error) outcome {
	for _, sentinel := range []error{
		ErrInvalidID, ErrUnknownValue, ErrMalformedRule, ErrNotRules, ErrFileTooLarge, cdb.ErrMalformed,
		fs.ErrNotExist, errNotRegular, unix.EACCES, unix.ENOTDIR,
	} {
		if errors.Is(err, sentinel) {
			return outcome{result, sentinel}
		}
	}
	return outcome{result, err}
}

// TestOnceSaysWhatAnOpenedDBSays compares both forms of a check that is made once
// with DB.Check, for random rules and callers.
func TestOnceSaysWhatAnOpenedDBSays(t *testing.T) {
	random := rand.New(rand.NewPCG(16, 180))
	sets, callers := 60, 60
	if testing.Short() {
		sets = 5
	}
	var decisions [3]int
	for range sets {
		dir := filepath.Join(t.TempDir(), "rules")
		file := dir + ".cdb"
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		randomRules(t, random, dir)
		if err := Compile(dir, file, 0o600); err != nil {
			t.Fatal(err)
		}
		options := Options{Compatible: random.IntN(2) == 0, Identity: random.IntN(2) == 0}
		fromDir, fromFile := openQuiet(t, dir, options), openQuiet(t, file, options)
		for range callers {
			uid, gid := randomCaller(random)
			want := outcomeOf(fromDir.Check(uid, gid))
			if got := outcomeOf(CheckDirectory(dir, options, uid, gid)); got != want {
				t.Fatalf("directory, uid %d, gid %d: %+v, want %+v", uid, gid, got, want)
			}
			want = outcomeOf(fromFile.Check(uid, gid))
			if got := outcomeOf(CheckFile(file, options, uid, gid)); got != want {
				t.Fatalf("file, uid %d, gid %d: %+v, want %+v", uid, gid, got, want)
			}
			decisions[want.result.Decision]++
		}
	}
	t.Logf("%d not found, %d denied, %d allowed", decisions[NotFound], decisions[Deny], decisions[Allow])
}

// TestOnceWithOddRecords compares with DB.Check, for records that are not in order.
// A strict DB that refuses the whole file has no say.
func TestOnceWithOddRecords(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.cdb")
	long := string(make([]byte, maxValueLength+1))
	for _, value := range []string{
		"", "D", "DD", "d", "X", "A", "A\x00", "A\x00\x00\x00", plainAllow, plainAllow + "x",
		"A\x00\x04A=1\x00\x00\x00", "A\x00\x03A=1\x00\x00", "A\x00\x01\x00\x00\x00", "A\xff\xff\x00\x00", "A\x00\x00\x00\x02ls",
		"D" + long, "X" + long, "A" + long, "D" + long[2:], "X" + long[2:],
	} {
		writeRecords(t, file, "uid/1000", value, "uid/default", plainAllow, "gid/7", "broken")
		for _, compatible := range []bool{true, false} {
			options := Options{Compatible: compatible, PollInterval: -1}
			db, err := Open(file, options)
			for _, uid := range []uint32{1000, 1001} {
				got := outcomeOf(CheckFile(file, options, uid, otherGID))
				if err != nil {
					if uid == 1000 && !(got == outcome{Result{Decision: Deny, Key: Key{KeyUID, 1000}}, ErrMalformedRule}) {
						t.Errorf("%.20q, uid 1000: %+v", value, got)
					}
					continue
				}
				if want := outcomeOf(db.Check(uid, otherGID)); got != want {
					t.Errorf("%.20q, uid %d: %+v, want %+v", value, uid, got, want)
				}
			}
			if err == nil {
				db.Close()
			}
		}
	}
}

func TestOnceRefusesWhatIsNoRules(t *testing.T) {
	dir := t.TempDir()
	file, pipe, empty, missing := filepath.Join(dir, "file"), filepath.Join(dir, "pipe"), filepath.Join(dir, "empty"), filepath.Join(dir, "missing")
	writeRules(t, file, Rule{Key: "uid/default", Decision: Allow})
	makePipe(t, pipe)
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, compatible := range []bool{true, false} {
		options := Options{Compatible: compatible, MaxFileSize: 3000}
		for path, want := range map[string]error{
			dir: ErrNotRules, pipe: ErrNotRules, empty: cdb.ErrMalformed, missing: fs.ErrNotExist, file + "/x": unix.ENOTDIR,
		} {
			if got := outcomeOf(CheckFile(path, options, 1000, otherGID)); got.result.Decision == Allow || got.err != want {
				t.Errorf("file %s: %+v, want %v", path, got, want)
			}
		}
		for _, path := range []string{file, pipe} {
			if got := outcomeOf(CheckDirectory(path, options, 1000, otherGID)); got.result.Decision == Allow || got.err != unix.ENOTDIR {
				t.Errorf("directory %s: %+v", path, got)
			}
		}
		want := outcome{Result{}, fs.ErrNotExist}
		if compatible {
			want = outcome{}
		}
		if got := outcomeOf(CheckDirectory(missing, options, 1000, otherGID)); got != want {
			t.Errorf("no directory, compatible %t: %+v", compatible, got)
		}
		options.MaxFileSize = 2048
		if got := outcomeOf(CheckFile(file, options, 1000, otherGID)); got != (outcome{Result{}, ErrFileTooLarge}) {
			t.Errorf("a file that is too large: %+v", got)
		}
	}
}

// TestOnceDecidesBeforeRules checks that no rules are needed, or can help, for the
// process's own ids with Identity and for ids that are none.
func TestOnceDecidesBeforeRules(t *testing.T) {
	self := ownIDs()
	missing := filepath.Join(t.TempDir(), "missing")
	file, dir := filepath.Join(t.TempDir(), "file"), t.TempDir()
	writeRules(t, file, Rule{Key: "uid/default", Decision: Allow})
	writeDirectory(t, dir, map[string]string{"uid/default/allow": ""})
	for name, check := range map[string]func(string, Options, uint32, uint32) (Result, error){"file": CheckFile, "directory": CheckDirectory} {
		identity := outcome{Result{Decision: Allow, Key: Key{Kind: KeyIdentity}}, nil}
		if got := outcomeOf(check(missing, Options{Identity: true}, self.UID, self.GID)); got != identity {
			t.Errorf("%s, own ids: %+v", name, got)
		}
		for _, other := range [][2]uint32{{self.UID + 1, self.GID}, {self.UID, self.GID + 1}} {
			if got := outcomeOf(check(missing, Options{Identity: true}, other[0], other[1])); got != (outcome{Result{}, fs.ErrNotExist}) {
				t.Errorf("%s, ids %d: %+v", name, other, got)
			}
		}
		path := map[string]string{"file": file, "directory": dir}[name]
		for _, ids := range [][2]uint32{{invalidID, 1}, {1, invalidID}} {
			if got := outcomeOf(check(path, Options{}, ids[0], ids[1])); got != (outcome{Result{}, ErrInvalidID}) {
				t.Errorf("%s, ids %d: %+v", name, ids, got)
			}
		}
	}
}

// FuzzOnce decides with a file that nobody has verified. Where it is in order the
// outcome must be that of a compatible DB; where not, it must end, and nothing but a
// record of the file that begins with A may allow.
func FuzzOnce(f *testing.F) {
	f.Add([]byte("\x00\x01D\x05\x05A\x00\x00\x00\x00"), []byte{})
	f.Add([]byte("\x05\x05A\x00\x00\x00\x00\x01\x01d"), []byte{4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, list, edits []byte) {
		data := editedFile(t, list, edits)
		rules := &unverifiedFile{file: bytes.NewReader(data), size: int64(len(data)), compatible: true}
		g, loadErr := newGeneration(data, fuzzSelf, true, 0)
		for _, uid := range []uint32{0, 1, 1000, 4294967294} {
			for _, gid := range []uint32{0, 2, 1000} {
				got := outcomeOf(decide(rules, uid, gid, fuzzSelf, nil))
				if loadErr == nil {
					if want := outcomeOf(g.check(uid, gid)); got != want {
						t.Fatalf("uid %d, gid %d: %+v, want %+v", uid, gid, got, want)
					}
				} else if got.err != nil && (got.result.Decision != Deny || got.err != cdb.ErrMalformed && got.err != ErrMalformedRule) {
					t.Fatalf("uid %d, gid %d: %+v", uid, gid, got)
				}
				if key := got.result.Key.append(nil); got.result.Decision == Allow && !bytes.Contains(data, append(key, valueAllow)) {
					t.Fatalf("uid %d, gid %d: allowed by %s, which no record allows", uid, gid, key)
				}
			}
		}
	})
}
