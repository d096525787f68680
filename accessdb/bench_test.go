package accessdb

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

// dense and spread are the nth uid of a site that hands out consecutive ones, and of
// one that has them all over the place.
func dense(n uint32) uint32  { return n }
func spread(n uint32) uint32 { return n * 2654435761 }

// writeUIDRules compiles n plain rules for the first n uids, every tenth a deny.
func writeUIDRules(t testing.TB, path string, n int, uid func(uint32) uint32) {
	t.Helper()
	b, err := Create(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for i := range n {
		rule := Rule{Key: Key{Kind: KeyUID, ID: uid(uint32(i))}.String(), Decision: Allow}
		if i%10 == 9 {
			rule.Decision = Deny
		}
		if err := b.Add(rule); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
}

func openQuiet(t testing.TB, path string, options Options) *DB {
	t.Helper()
	if options.PollInterval == 0 {
		options.PollInterval = -1
	}
	db, err := Open(path, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func benchmarkSizes() []int { return []int{1, 1000, 1000000} }

// otherGID is a gid that is neither in the rules nor this process' own.
const otherGID = 54321

// BenchmarkCached asks for 64 callers again and again.
func BenchmarkCached(b *testing.B) {
	for _, n := range benchmarkSizes() {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "rules.cdb")
			writeUIDRules(b, path, n, dense)
			db := openQuiet(b, path, Options{})
			for uid := range uint32(64) {
				db.Check(uid, otherGID)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if _, err := db.Check(uint32(i&63), otherGID); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPastCache asks for callers at random among those that have a rule. With
// cache=miss the cache is there and nearly always has somebody else, as many rules
// allow; cache=none has none.
func BenchmarkPastCache(b *testing.B) {
	for _, n := range benchmarkSizes() {
		for _, row := range []struct {
			name      string
			uid       func(uint32) uint32
			cacheSize int
		}{{"uids=dense/cache=none", dense, -1}, {"uids=dense/cache=miss", dense, 1}, {"uids=spread/cache=none", spread, -1}} {
			if n == 1 && row.cacheSize > 0 {
				continue // one caller is always in the cache
			}
			b.Run(fmt.Sprintf("rules=%d/%s", n, row.name), func(b *testing.B) {
				path := filepath.Join(b.TempDir(), "rules.cdb")
				writeUIDRules(b, path, n, row.uid)
				db := openQuiet(b, path, Options{CacheSize: row.cacheSize})
				random := rand.New(rand.NewPCG(1, 2))
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					if result, _ := db.Check(row.uid(random.Uint32N(uint32(n))), otherGID); result.Key.Kind != KeyUID {
						b.Fatal(result)
					}
				}
			})
		}
	}
}

// BenchmarkPastCacheAbsent asks for callers without a rule of their own, whose
// checks go through all keys.
func BenchmarkPastCacheAbsent(b *testing.B) {
	for _, n := range benchmarkSizes() {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "rules.cdb")
			writeUIDRules(b, path, n, dense)
			db := openQuiet(b, path, Options{})
			random := rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if result, _ := db.Check(2000000+random.Uint32N(1<<30), otherGID); result.Decision != NotFound {
					b.Fatal(result)
				}
			}
		})
	}
}

// BenchmarkMemory is what a check past the cache cannot do without: one access at a
// random place of a table as large as the index of so many rules. What differs
// between 1,000 and 1,000,000 rules is this.
func BenchmarkMemory(b *testing.B) {
	for _, n := range benchmarkSizes() {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			x := newIndex()
			for i := range uint32(n) {
				x.add(i, verdictAllow)
			}
			x.fit()
			for i := range x.slots {
				x.slots[i] = uint64(i)
			}
			random := rand.New(rand.NewPCG(1, 2))
			place := uint32(0)
			b.ResetTimer()
			for range b.N {
				// The next place depends on what was read, as in a real check the
				// decision does.
				place = uint32(x.slots[(random.Uint32N(uint32(len(x.slots)))+place&1)%uint32(len(x.slots))])
			}
		})
	}
}

// BenchmarkBuilder makes a file of plain rules from nothing to the rename, synced.
func BenchmarkBuilder(b *testing.B) {
	for _, n := range benchmarkSizes() {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "rules.cdb")
			b.ReportAllocs()
			for range b.N {
				writeUIDRules(b, path, n, dense)
			}
		})
	}
}

// BenchmarkReload loads, verifies and indexes a file.
func BenchmarkReload(b *testing.B) {
	for _, n := range benchmarkSizes() {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "rules.cdb")
			writeUIDRules(b, path, n, dense)
			db := openQuiet(b, path, Options{})
			b.ResetTimer()
			for range b.N {
				if err := db.Reload(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDirectory decides with a directory, read at every check.
func BenchmarkDirectory(b *testing.B) {
	dir := b.TempDir()
	writeDirectory(b, dir, map[string]string{"uid/1/allow": "", "uid/default/deny": ""})
	db := openQuiet(b, dir, Options{})
	for _, uid := range []uint32{1, 2} {
		b.Run(fmt.Sprintf("keys=%d", 1+2*(uid-1)), func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if _, err := db.Check(uid, otherGID); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
