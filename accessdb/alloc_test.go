//go:build !race

package accessdb

import (
	"path/filepath"
	"testing"
)

func TestChecksDoNotAllocate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.cdb")
	writeRules(t, path,
		Rule{Key: "uid/1", Decision: Allow}, Rule{Key: "uid/2", Decision: Deny},
		Rule{Key: "uid/3", Decision: Allow, Env: env(t, "A=1"), Exec: "ls"})
	cached := openQuiet(t, path, Options{})
	past := openQuiet(t, path, Options{CacheSize: -1})
	replaced := openQuiet(t, path, Options{CacheSize: 1})
	for _, row := range []struct {
		name string
		db   *DB
		uids []uint32
		want float64
	}{
		{"from the cache, whatever the rule says", cached, []uint32{1, 2, 3, 4}, 0},
		{"past the cache, for rules that only allow or deny", past, []uint32{1, 2, 4}, 0},
		{"past the cache and into it", replaced, []uint32{1, 2, 4}, 0},
		{"past the cache, for environment and command line", past, []uint32{3}, 2},
	} {
		got := testing.AllocsPerRun(100, func() {
			for _, uid := range row.uids {
				if _, err := row.db.Check(uid, otherGID); err != nil {
					t.Fatal(err)
				}
			}
		})
		if got > row.want {
			t.Errorf("%s: %v allocations", row.name, got)
		}
	}
}
