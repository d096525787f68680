package accessdb

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// resultFor is a result that follows from the caller, so that a mixture of two
// results shows.
func resultFor(uid, gid uint32) Result {
	r := Result{Decision: Decision(uid % 3), Key: Key{Kind: KeyKind(uid % 7)}}
	switch r.Key.Kind {
	case KeyUID:
		r.Key.ID = uid
	case KeyGID:
		r.Key.ID = gid
	}
	if uid%2 == 0 {
		r.Exec = fmt.Sprint(uid, gid)
		r.Env = Env{r.Exec + "\x00"}
	}
	return r
}

func TestCacheReturnsWhatWasPut(t *testing.T) {
	c := newCache(64)
	var result Result
	if c.get(0, 0, &result) {
		t.Fatal("an empty cache knows uid 0, gid 0")
	}
	hits := 0
	for i := range uint32(1000) {
		want := resultFor(i, i*7)
		c.put(i, i*7, &want)
		result = Result{}
		if !c.get(i, i*7, &result) || result != want {
			t.Fatalf("uid %d: %+v, want %+v", i, result, want)
		}
		result = Result{}
		if c.get(i*7, i, &result) && i != 0 {
			t.Fatalf("uid and gid are mixed up: %+v", result)
		}
	}
	for i := range uint32(1000) {
		result = Result{}
		if c.get(i, i*7, &result) {
			hits++
			if result != resultFor(i, i*7) {
				t.Errorf("uid %d: %+v", i, result)
			}
		}
	}
	if hits == 0 || hits > 64 {
		t.Errorf("64 slots know %d callers", hits)
	}
}

func TestNoCache(t *testing.T) {
	c := newCache(-1)
	want := resultFor(1, 1)
	c.put(1, 1, &want)
	var result Result
	if c.get(1, 1, &result) {
		t.Error("a cache of no size remembers")
	}
}

// Readers and writers of few slots never see the halves of two results.
func TestCacheUnderContention(t *testing.T) {
	const callers = 16
	c := newCache(2)
	var wg sync.WaitGroup
	for worker := range uint64(4) {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(worker, 1))
			for range 100000 {
				uid := random.Uint32N(callers)
				gid := random.Uint32N(callers)
				var result Result
				if !c.get(uid, gid, &result) {
					put := resultFor(uid, gid)
					c.put(uid, gid, &put)
				} else if result != resultFor(uid, gid) {
					t.Errorf("uid %d, gid %d: %+v", uid, gid, result)
					return
				}
			}
		})
	}
	wg.Wait()
}

// Writers of one slot store other extras under the same caller only with the
// result they belong to; a writer that finds the slot busy leaves it alone.
func TestCacheLeavesABusySlotAlone(t *testing.T) {
	c := newCache(1)
	c.slots[0].state.Store(stateBusy)
	want := resultFor(1, 1)
	c.put(1, 1, &want)
	var result Result
	if c.get(1, 1, &result) {
		t.Errorf("a busy slot is believed: %+v", result)
	}
	if c.slots[0].state.Load() != stateBusy {
		t.Error("a busy slot was written")
	}
}
