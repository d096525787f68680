package accessdb

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"credrpc/accessdb/cdb"
)

func TestFirstRuleInOrderDecides(t *testing.T) {
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	selfUID, selfGID := Key{Kind: KeyUID, ID: uid}.String(), Key{Kind: KeyGID, ID: gid}.String()
	for _, row := range []struct {
		name     string
		files    []string
		uid, gid uint32
		want     Decision
		key      string
	}{
		{"no rule at all", []string{"ip4/"}, 1000, 2000, NotFound, ""},
		{"the uid comes before the gid", []string{"uid/1000/allow", "gid/2000/deny"}, 1000, 2000, Allow, "uid/1000"},
		{"the gid comes before the default", []string{"gid/2000/deny", "uid/default/allow"}, 1000, 2000, Deny, "gid/2000"},
		{"the default is for everybody else", []string{"uid/1/deny", "uid/default/allow"}, 1000, 2000, Allow, "uid/default"},
		{"a rule for another uid is none", []string{"uid/1001/allow"}, 1000, 2000, NotFound, ""},
		{"a gid is no uid", []string{"uid/2000/allow", "gid/1000/allow"}, 1000, 2000, NotFound, ""},
		{"there is no default for gids", []string{"gid/default/allow"}, 1000, 2000, NotFound, ""},
		{"allow beats deny in one rule", []string{"uid/1000/allow", "uid/1000/deny"}, 1000, 2000, Allow, "uid/1000"},
		{"a rule that says nothing is passed over", []string{"uid/1000/", "gid/2000/allow"}, 1000, 2000, Allow, "gid/2000"},
		{"self comes before the own uid", []string{"uid/self/allow", selfUID + "/deny"}, uid, 2000, Allow, "uid/self"},
		{"the own uid comes before the own gid", []string{selfUID + "/deny", "gid/self/allow"}, uid, gid, Deny, selfUID},
		{"self comes before the own gid", []string{"gid/self/allow", selfGID + "/deny"}, 1000, gid, Allow, "gid/self"},
		{"self is nobody else", []string{"uid/self/allow", "gid/self/allow"}, uid + 1, gid + 1, NotFound, ""},
		{"the largest ids", []string{"uid/4294967294/allow"}, 4294967294, 4294967294, Allow, "uid/4294967294"},
		{"an id beyond 2^31", []string{"gid/2147483648/allow"}, 2147483647, 2147483648, Allow, "gid/2147483648"},
		{"a number with a leading zero is not that number", []string{"uid/01000/allow"}, 1000, 2000, NotFound, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			files := make(map[string]string)
			for _, name := range row.files {
				files[name] = ""
			}
			inBothForms(t, files, Options{}, func(t *testing.T, db *DB) {
				for range 2 { // the second time from the cache
					result, err := db.Check(row.uid, row.gid)
					if err != nil || result.Decision != row.want || result.Key.String() != row.key {
						t.Errorf("%v by %q (%v), want %v by %q", result.Decision, result.Key, err, row.want, row.key)
					}
				}
				result, tried, err := db.Explain(row.uid, row.gid)
				if err != nil || result.Decision != row.want || result.Key.String() != row.key {
					t.Errorf("Explain: %v by %q (%v)", result.Decision, result.Key, err)
				}
				if last := tried[len(tried)-1]; last.Decision != row.want || (row.key != "" && last.Key != result.Key) {
					t.Errorf("the last key tried is %v", last)
				}
			})
		})
	}
}

func TestExplainTellsTheKeysTried(t *testing.T) {
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	inBothForms(t, map[string]string{"uid/default/deny": ""}, Options{}, func(t *testing.T, db *DB) {
		_, tried, err := db.Explain(uid, gid)
		want := []Attempt{
			{Key: Key{Kind: KeyUIDSelf}}, {Key: Key{Kind: KeyUID, ID: uid}},
			{Key: Key{Kind: KeyGIDSelf}}, {Key: Key{Kind: KeyGID, ID: gid}},
			{Key: Key{Kind: KeyUIDDefault}, Decision: Deny},
		}
		if err != nil || !slices.Equal(tried, want) {
			t.Errorf("tried %v (%v), want %v", tried, err, want)
		}
	})
}

func TestInvalidIDsAreAlwaysRefused(t *testing.T) {
	files := map[string]string{"uid/default/allow": "", "uid/4294967295/allow": "", "gid/4294967295/allow": ""}
	inBothForms(t, files, Options{Identity: true, Compatible: true}, func(t *testing.T, db *DB) {
		for _, ids := range [][2]uint32{{invalidID, 0}, {0, invalidID}, {invalidID, invalidID}} {
			if result, err := db.Check(ids[0], ids[1]); err != ErrInvalidID || result != (Result{}) {
				t.Errorf("uid %d, gid %d: %v, %v", ids[0], ids[1], result.Decision, err)
			}
			if result, tried, err := db.Explain(ids[0], ids[1]); err != ErrInvalidID || result != (Result{}) || tried != nil {
				t.Errorf("uid %d, gid %d: Explain: %v, %v", ids[0], ids[1], result.Decision, err)
			}
		}
		if n := db.Stats().CheckErrors; n != 6 {
			t.Errorf("%d errors counted", n)
		}
	})
}

func TestIdentityNeedsBothIDs(t *testing.T) {
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	inBothForms(t, map[string]string{"uid/default/deny": ""}, Options{Identity: true}, func(t *testing.T, db *DB) {
		for _, row := range []struct {
			uid, gid uint32
			want     Decision
			key      string
		}{
			{uid, gid, Allow, "identity"},
			{uid, gid + 1, Deny, "uid/default"},
			{uid + 1, gid, Deny, "uid/default"},
		} {
			if result, err := db.Check(row.uid, row.gid); err != nil || result.Decision != row.want || result.Key.String() != row.key {
				t.Errorf("uid %d, gid %d: %v by %v, %v", row.uid, row.gid, result.Decision, result.Key, err)
			}
			if result, _, err := db.Explain(row.uid, row.gid); err != nil || result.Decision != row.want {
				t.Errorf("uid %d, gid %d: Explain: %v, %v", row.uid, row.gid, result.Decision, err)
			}
		}
	})
	inBothForms(t, map[string]string{"uid/default/deny": ""}, Options{}, func(t *testing.T, db *DB) {
		if result, _ := db.Check(uid, gid); result.Decision != Deny {
			t.Errorf("without the option: %v", result.Decision)
		}
	})
}

func TestSelfMayBeSomebodyElse(t *testing.T) {
	files := map[string]string{"uid/self/allow": "", "gid/self/deny": "", "uid/default/allow": ""}
	inBothForms(t, files, Options{Self: &IDs{UID: 900, GID: 901}}, func(t *testing.T, db *DB) {
		for _, row := range []struct {
			uid, gid uint32
			key      string
		}{
			{900, 901, "uid/self"},
			{900, 5, "uid/self"},
			{901, 901, "gid/self"},
			{uint32(os.Geteuid()), uint32(os.Getegid()), "uid/default"},
		} {
			for range 2 { // the second time from the cache
				if result, err := db.Check(row.uid, row.gid); err != nil || result.Key.String() != row.key {
					t.Errorf("uid %d, gid %d: by %v, %v", row.uid, row.gid, result.Key, err)
				}
			}
			if result, _, err := db.Explain(row.uid, row.gid); err != nil || result.Key.String() != row.key {
				t.Errorf("uid %d, gid %d: Explain: by %v, %v", row.uid, row.gid, result.Key, err)
			}
		}
	})
	inBothForms(t, files, Options{Identity: true, Self: &IDs{UID: 900, GID: invalidID}}, func(t *testing.T, db *DB) {
		if result, err := db.Check(900, invalidID); err != ErrInvalidID || result != (Result{}) {
			t.Errorf("an id that is nobody's: %v, %v", result, err)
		}
		if result, err := db.Check(900, 7); err != nil || result.Key.Kind != KeyUIDSelf {
			t.Errorf("the uid alone: %v, %v", result, err)
		}
	})
}

func TestResultCarriesEnvAndExec(t *testing.T) {
	files := map[string]string{
		"uid/1000/allow": "", "uid/1000/exec": "echo hello", "uid/1000/env/A": "1\n", "uid/1000/env/B": "",
		"gid/5/allow": "", "gid/5/env/C": "x",
		"uid/6/deny": "", "uid/6/exec": "never", "uid/6/env/A": "never",
	}
	inBothForms(t, files, Options{}, func(t *testing.T, db *DB) {
		for range 2 {
			result, err := db.Check(1000, 5)
			if err != nil || result.Exec != "echo hello" || result.Env != env(t, "A=1", "B") {
				t.Errorf("uid/1000: %+v, %v", result, err)
			}
			if result, err := db.Check(7, 5); err != nil || result.Exec != "" || result.Env != env(t, "C=x") {
				t.Errorf("gid/5: %+v, %v", result, err)
			}
			if result, err := db.Check(6, 5); err != nil || result != (Result{Decision: Deny, Key: Key{KeyUID, 6}}) {
				t.Errorf("uid/6: %+v, %v", result, err)
			}
		}
	})
}

func TestRecordsThatAreNotInOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.cdb")
	writeRecords(t, path, "uid/1", "d", "uid/default", plainAllow, "ip4/1", "Axx", "uid/2", "", "uid/2", plainAllow)
	if _, err := Open(path, Options{}); !errors.Is(err, ErrMalformedRule) || !strings.Contains(err.Error(), "uid/2") {
		t.Errorf("strict, with an empty record: %v", err)
	}
	db := openQuiet(t, path, Options{Compatible: true})
	if result, err := db.Check(2, 9); !errors.Is(err, ErrMalformedRule) || result != (Result{Decision: Deny, Key: Key{KeyUID, 2}}) {
		t.Errorf("an empty record: %v, %v", result, err)
	}
	if result, err := db.Check(1, 9); err != nil || result.Decision != Allow || result.Key.Kind != KeyUIDDefault {
		t.Errorf("s6 passes a record over that begins with d: %v, %v", result, err)
	}
	if s := db.Stats(); s.Unknown != 1 || s.Rules != 5 {
		t.Errorf("%+v", s)
	}

	writeRecords(t, path, "uid/1", "d", "uid/default", plainAllow, "uid/1", plainAllow)
	db = openQuiet(t, path, Options{})
	for range 2 { // errors are not remembered
		result, err := db.Check(1, 9)
		if !errors.Is(err, ErrUnknownValue) || result != (Result{Decision: Deny, Key: Key{KeyUID, 1}}) {
			t.Errorf("strict: %v, %v", result, err)
		}
	}
	if _, tried, err := db.Explain(1, 9); !errors.Is(err, ErrUnknownValue) || tried[0].Err == nil {
		t.Errorf("Explain: %v, %v", tried, err)
	}
	if s := db.Stats(); s.Unknown != 1 || s.CheckErrors != 3 {
		t.Errorf("%+v", s)
	}
}

func TestFirstOfRepeatedKeysCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.cdb")
	writeRecords(t, path,
		"uid/1", "D", "uid/1", plainAllow, "gid/2", plainAllow, "gid/2", "D",
		"uid/default", "D", "uid/default", plainAllow)
	db := openQuiet(t, path, Options{})
	for _, row := range []struct {
		uid, gid uint32
		want     Decision
	}{{1, 9, Deny}, {9, 2, Allow}, {9, 9, Deny}} {
		if result, err := db.Check(row.uid, row.gid); err != nil || result.Decision != row.want {
			t.Errorf("uid %d, gid %d: %v, %v", row.uid, row.gid, result.Decision, err)
		}
	}
}

// For every bit of a real file: the same decisions, a refusal, or no rules at all.
func TestNoFlippedBitWidensAccess(t *testing.T) {
	dir := t.TempDir()
	writeDirectory(t, dir, map[string]string{
		"uid/1000/allow": "", "uid/1000/env/A": "1", "uid/1000/exec": "echo", "uid/1001/deny": "",
		"gid/5/deny": "", "gid/6/allow": "", "uid/default/allow": "", "uid/0/deny": "",
	})
	path := filepath.Join(t.TempDir(), "rules.cdb")
	if err := Compile(dir, path, 0o600); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	self := IDs{UID: 77, GID: 77}
	decisions := func(data []byte) (answers []Decision, err error) {
		g, err := newGeneration(data, self, false, 0)
		if err != nil {
			return nil, err
		}
		for _, uid := range []uint32{0, 1, 1000, 1001, 1002, 77} {
			for _, gid := range []uint32{4, 5, 6, 77} {
				result, _ := g.check(uid, gid)
				answers = append(answers, result.Decision)
			}
		}
		return answers, nil
	}
	want, err := decisions(good)
	if err != nil {
		t.Fatal(err)
	}
	refusedFiles := 0
	for bit := range len(good) * 8 {
		data := slices.Clone(good)
		data[bit/8] ^= 1 << (bit % 8)
		got, err := decisions(data)
		if err != nil {
			refusedFiles++
			continue
		}
		for i := range want {
			if got[i] == Allow && want[i] != Allow {
				t.Fatalf("bit %d (offset %d): case %d is allowed", bit, bit/8, i)
			}
		}
	}
	t.Logf("%d of %d changed files refused", refusedFiles, len(good)*8)
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for name, content := range map[string]string{"empty": "", "text": strings.Repeat("uid/1000 ", 1000), "short": "\x00"} {
		if err := os.WriteFile(path(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	makePipe(t, path("pipe"))
	writeRules(t, path("good"), Rule{Key: "uid/1", Decision: Allow})
	for name, want := range map[string]error{
		"missing": fs.ErrNotExist, "empty": cdb.ErrMalformed, "text": cdb.ErrMalformed, "short": cdb.ErrMalformed,
		"pipe": ErrNotRules, "good/uid": fs.ErrInvalid,
	} {
		db, err := Open(path(name), Options{})
		if db != nil || err == nil || !strings.Contains(err.Error(), path(name)) {
			t.Errorf("%s: %v", name, err)
		}
		if name != "good/uid" && !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if _, err := Open(path("good"), Options{MaxFileSize: 100}); !errors.Is(err, ErrFileTooLarge) {
		t.Errorf("with a limit: %v", err)
	}
}

func TestClosedAndZeroDBRefuse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.cdb")
	writeRules(t, path, Rule{Key: "uid/default", Decision: Allow})
	closed := map[string]*DB{"the zero value": {}}
	for name, p := range map[string]string{"a file": path, "a directory": t.TempDir()} {
		db, err := Open(p, Options{Identity: true})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := db.Close(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		closed[name] = db
	}
	for name, db := range closed {
		if result, err := db.Check(0, 0); err != ErrClosed || result.Decision == Allow {
			t.Errorf("%s: Check: %v, %v", name, result.Decision, err)
		}
		if result, _, err := db.Explain(0, 0); err != ErrClosed || result.Decision == Allow {
			t.Errorf("%s: Explain: %v, %v", name, result.Decision, err)
		}
		if err := db.Reload(); err != ErrClosed {
			t.Errorf("%s: Reload: %v", name, err)
		}
		for rule, err := range db.Rules() {
			if err != ErrClosed {
				t.Errorf("%s: Rules: %v, %v", name, rule, err)
			}
		}
		if s := db.Stats(); s.Rules != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestRulesAreListed(t *testing.T) {
	files := map[string]string{
		"uid/1000/allow": "", "uid/1000/env/A": "1", "uid/1000/exec": "echo", "uid/1001/deny": "",
		"gid/5/allow": "", "ip4/10.0.0.0_8/deny": "", "uid/.hidden/allow": "", ".top/x/allow": "",
	}
	want := []Rule{
		{Key: "gid/5", Decision: Allow},
		{Key: "ip4/10.0.0.0_8", Decision: Deny},
		{Key: "uid/1000", Decision: Allow, Env: env(t, "A=1"), Exec: "echo"},
		{Key: "uid/1001", Decision: Deny},
	}
	inBothForms(t, files, Options{}, func(t *testing.T, db *DB) {
		var got []Rule
		for rule, err := range db.Rules() {
			if err != nil {
				t.Error(err)
			}
			got = append(got, rule)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		for range db.Rules() {
			break // must not go on
		}
	})
}
