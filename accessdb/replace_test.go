package accessdb

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// generationRules are rules that differ between every two generations in all they
// say, so that a decision tells which file it is from.
func generationRules(t testing.TB, n int) []Rule {
	mark := env(t, fmt.Sprintf("GENERATION=%d", n))
	rules := []Rule{
		{Key: "uid/1", Decision: Allow, Env: mark, Exec: fmt.Sprintf("echo %d", n)},
		{Key: "uid/default", Decision: Allow, Env: mark},
	}
	if n%2 == 0 {
		return append(rules, Rule{Key: "uid/2", Decision: Deny}, Rule{Key: "gid/3", Decision: Allow, Env: mark})
	}
	return append(rules, Rule{Key: "gid/3", Decision: Deny}, Rule{Key: "uid/2", Decision: Allow, Env: mark})
}

// generationOf returns the generation that a result of an Allow comes from.
func generationOf(result Result) (n int) {
	for m := range result.Env.All() {
		fmt.Sscan(m.Value, &n)
	}
	return n
}

// Ten thousand replacements while others ask: every answer is that of one file, and
// never of a file older than one that was in force before the question.
func TestReplacementsUnderLoad(t *testing.T) {
	replacements := 10000
	if testing.Short() {
		replacements = 500
	}
	path := filepath.Join(t.TempDir(), "rules.cdb")
	writeRules(t, path, generationRules(t, 0)...)
	db := openQuiet(t, path, Options{CacheSize: 64})
	var inForce, answers atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for worker := range uint64(2) {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(worker, 2))
			for {
				select {
				case <-stop:
					return
				default:
				}
				before := int(inForce.Load())
				if !askGeneration(t, db, random, before) {
					return
				}
				answers.Add(1)
			}
		})
	}
	files := make([][]byte, replacements+1)
	for n := range files {
		files[n] = compiled(t, generationRules(t, n))
	}
	for n := 1; n <= replacements && !t.Failed(); n++ {
		if err := os.WriteFile(path+".new", files[n], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		if err := db.Reload(); err != nil {
			t.Fatal(err)
		}
		inForce.Store(int64(n))
	}
	close(stop)
	wg.Wait()
	s := db.Stats()
	t.Logf("%d answers during %d replacements, %d bytes still mapped", answers.Load(), s.Reloads, s.MappedBytes)
	if int(s.Reloads) != replacements || s.Failures != 0 || s.CheckErrors != 0 {
		t.Errorf("%+v", s)
	}
}

// askGeneration asks for one of a few callers and checks that the answer is one
// that a file gives.
func askGeneration(t *testing.T, db *DB, random *rand.Rand, before int) bool {
	uid, gid := random.Uint32N(4), 3+random.Uint32N(2)
	result, err := db.Check(uid, gid)
	if err != nil {
		t.Error(err)
		return false
	}
	n := generationOf(result)
	even := n%2 == 0
	ok := n >= before
	switch {
	case result.Decision == Deny: // says nothing of which file it is
		ok = result.Key == Key{KeyUID, 2} || result.Key == Key{KeyGID, 3}
	case uid == 1:
		ok = ok && result.Key == Key{KeyUID, 1} && result.Exec == fmt.Sprintf("echo %d", n)
	case uid == 2:
		ok = ok && !even && result.Key == Key{KeyUID, 2}
	case gid == 3:
		ok = ok && even && result.Key == Key{KeyGID, 3}
	default:
		ok = ok && result.Key == Key{Kind: KeyUIDDefault}
	}
	if !ok || result.Decision == NotFound {
		t.Errorf("uid %d, gid %d: %+v, with file %d in force before", uid, gid, result, before)
		return false
	}
	return true
}

// Replaced files are unmapped, even when nothing else makes the collector run.
func TestReplacedFilesAreUnmapped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.cdb")
	writeUIDRules(t, path, 100000, dense)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	db := openQuiet(t, path, Options{})
	for range 40 {
		if err := db.Reload(); err != nil {
			t.Fatal(err)
		}
		if mapped := db.Stats().MappedBytes; mapped > 2*retiredBytes+2*info.Size() {
			t.Fatalf("%d bytes mapped for a file of %d", mapped, info.Size())
		}
	}
	db.Close()
	waitFor(t, "a closed DB stays mapped", func() bool {
		runtime.GC()
		return db.Stats().MappedBytes == 0
	})
}

// Whoever holds rules of the DB while it is closed and replaced gets them all.
func TestIterationOutlivesReplacementAndClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.cdb")
	writeUIDRules(t, path, 1000, dense)
	db := openQuiet(t, path, Options{})
	n := 0
	for _, err := range db.Rules() {
		if err != nil {
			t.Fatal(err)
		}
		switch n++; n {
		case 1:
			if err := db.Reload(); err != nil {
				t.Fatal(err)
			}
		case 2:
			db.Close()
		case 3, 4, 5:
			runtime.GC()
		}
	}
	if n != 1000 {
		t.Errorf("%d rules", n)
	}
}
