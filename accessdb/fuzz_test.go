package accessdb

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"credrpc/accessdb/cdb"
)

// fuzzSelf are ids that a server could have.
var fuzzSelf = IDs{UID: 1, GID: 2}

// checkFile decides with the file data, if it is one, for a few callers. Nothing
// but a record that begins with A may allow.
func checkFile(t *testing.T, data []byte) {
	r, err := cdb.NewReader(data)
	for _, compatible := range []bool{false, true} {
		g, loadErr := newGeneration(data, fuzzSelf, compatible, 8)
		if loadErr != nil {
			continue
		}
		if err != nil {
			t.Fatalf("loaded what is no database: %v", err)
		}
		for _, uid := range []uint32{0, 1, 2, 1000, 1001, 4294967294} {
			for _, gid := range []uint32{0, 2, 1000} {
				checkDecision(t, r, g, uid, gid)
			}
		}
		g.rules(func(rule Rule, err error) bool {
			if err != nil && rule.Decision != Deny {
				t.Fatalf("%q: %v with error %v", rule.Key, rule.Decision, err)
			}
			return true
		})
	}
}

func checkDecision(t *testing.T, r *cdb.Reader, g *generation, uid, gid uint32) {
	result, err := g.check(uid, gid)
	if err != nil && result.Decision != Deny {
		t.Fatalf("uid %d, gid %d: %v with error %v", uid, gid, result.Decision, err)
	}
	if result.Decision == Allow {
		value, ok := r.Find(result.Key.append(nil))
		if !ok || len(value) < minAllowLength || value[0] != 'A' {
			t.Fatalf("uid %d, gid %d: allowed by %s, whose record is %q", uid, gid, result.Key, value)
		}
		if want := decideSlowly(r, uid, gid); want != result.Key.String() {
			t.Fatalf("uid %d, gid %d: allowed by %s, and %q comes first", uid, gid, result.Key, want)
		}
		for _, entry := range result.Env.Apply([]string{"A=1"}) {
			if name, _, ok := strings.Cut(entry, "="); !ok || name == "" || strings.Contains(entry, "\x00") {
				t.Fatalf("uid %d, gid %d: environment with %q", uid, gid, entry)
			}
		}
	}
	var cached Result
	if err == nil && (!g.cache.get(uid, gid, &cached) || cached != result) {
		t.Fatalf("uid %d, gid %d: %+v, and from the cache %+v", uid, gid, result, cached)
	}
}

// decideSlowly finds the first key in order with a record that says A or D, with
// nothing but the database.
func decideSlowly(r *cdb.Reader, uid, gid uint32) string {
	var keys [5]Key
	for _, key := range keys[:order(&keys, uid, gid, fuzzSelf)] {
		if value, ok := r.Find(key.append(nil)); ok && (len(value) == 0 || value[0] == 'A' || value[0] == 'D') {
			return key.String()
		}
	}
	return ""
}

// FuzzFile loads arbitrary bytes.
func FuzzFile(f *testing.F) {
	f.Add([]byte{})
	f.Add(compiled(f, nil))
	f.Add(compiled(f, generationRules(f, 0)))
	f.Add(compiled(f, generationRules(f, 1)))
	f.Fuzz(checkFile)
}

// FuzzRecords loads databases that are in order and hold arbitrary records: a list
// of the index of a key, the length of a value and the value. Edits then change
// them.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("\x00\x01D\x05\x05A\x00\x00\x00\x00"), []byte{})
	f.Add([]byte("\x01\x01d\x00\x00\x02\x0bA\x00\x04A=1\x00\x00\x02ls"), []byte{0, 0, 0, 0, 'A', 0, 0, 0})
	f.Add([]byte("\x03\x03Axx\x03\x05A\x00\x00\x00\x00"), []byte{1})
	f.Fuzz(func(t *testing.T, list, edits []byte) { checkFile(t, editedFile(t, list, edits)) })
}

// editedFile makes a file of a list of records, as FuzzRecords describes them. Every
// 8 bytes of edits are a position, counted from the first record and around the end
// of the file, and 4 bytes to store there; an odd rest cuts that many bytes off the
// end.
func editedFile(t *testing.T, list, edits []byte) []byte {
	keys := []string{"uid/self", "uid/1000", "gid/self", "gid/1000", "gid/2", "uid/default", "uid/01", "", "ootpwgq"}
	var m memoryFile
	w := cdb.NewWriter(&m)
	for len(list) >= 2 {
		key, n := keys[int(list[0])%len(keys)], min(int(list[1]), len(list)-2)
		if err := w.Add([]byte(key), list[2:2+n]); err != nil {
			t.Fatal(err)
		}
		list = list[2+n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for ; len(edits) >= 8; edits = edits[8:] {
		at := (uint64(binary.LittleEndian.Uint32(edits)) + 2048) % uint64(len(m.data))
		copy(m.data[at:], edits[4:8])
	}
	return m.data[:len(m.data)-min(len(edits), len(m.data))]
}

// FuzzDecodeRecord decodes an arbitrary value. What it accepts can be encoded again
// and is the same, but for bytes behind a deny.
func FuzzDecodeRecord(f *testing.F) {
	for _, seed := range []string{"", "D", "d", plainAllow, "A\x00\x04A=1\x00\x00\x02ls", "A\xff\xff", "A\x00\x01\x00\x00\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		rule, err := decodeRule([]byte("uid/1"), value)
		if rule.Decision == Allow && (len(value) == 0 || value[0] != 'A' || err != nil) {
			t.Fatalf("%q is an allow (%v)", value, err)
		}
		if err != nil {
			return
		}
		again, err := AppendRecord(nil, rule)
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		if rule.Decision == Deny {
			value = value[:1]
		}
		if string(again) != string(value) {
			t.Fatalf("%q is encoded as %q", value, again)
		}
		modifications := slices.Collect(rule.Env.All())
		if env, err := NewEnv(modifications...); err != nil || env != rule.Env {
			t.Fatalf("environment %q is encoded as %q, %v", rule.Env.encoded, env.encoded, err)
		}
	})
}
