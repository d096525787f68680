//go:build linux

package accessdb

import (
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
)

// defaultCacheSize is the number of callers a cache remembers unless told
// otherwise: 96 KiB, of which a working set of a few hundred callers stays in the
// processor's nearer caches.
const defaultCacheSize = 4096

// cache remembers the decisions of one generation for a fixed number of callers.
// A caller has one slot, which it shares with all callers of the same hash, and
// the last to come wins it: however many uids somebody has, they cost others a
// look at the index and no memory.
//
// A slot is a sequence lock made of atomic words. A writer marks the state busy
// with a compare-and-swap, and gives up when another is there already; it stores
// the words and then the state with a new version. A reader takes the words
// between two loads of the state and believes them when both loads agree. So
// readers never wait, writers never wait, and no reader sees the halves of two
// decisions.
type cache struct {
	slots []cacheSlot
	seed  uint64 // odd and random: nobody can choose ids that share a slot
}

// cacheSlot belongs to the caller in key when state is neither 0 nor busy.
type cacheSlot struct {
	state  atomic.Uint64 // version | busy | key kind | decision
	caller atomic.Uint64 // uid | gid
	extras atomic.Pointer[extras]
}

// extras are the parts of a result that few rules have.
type extras struct {
	env  Env
	exec string
}

const (
	stateDecisionBits = 2
	stateKindBits     = 3
	stateBusy         = 1 << (stateDecisionBits + stateKindBits)
	stateVersion      = stateBusy << 1 // and 58 bits: no version comes twice
)

func newCache(size int) cache {
	if size <= 0 {
		return cache{}
	}
	return cache{slots: make([]cacheSlot, size), seed: rand.Uint64() | 1}
}

// slot returns the slot of a caller. The cache must not be of size 0.
func (c *cache) slot(caller uint64) *cacheSlot {
	// The product's upper half is a number below len(slots).
	n, _ := bits.Mul64(caller*c.seed, uint64(len(c.slots)))
	return &c.slots[n]
}

// get sets result, which must be its zero value, to the decision that was put for
// a caller, if that is still there.
func (c *cache) get(uid, gid uint32, result *Result) bool {
	if len(c.slots) == 0 {
		return false
	}
	caller := uint64(uid)<<32 | uint64(gid)
	slot := c.slot(caller)
	state := slot.state.Load()
	if state == 0 || state&stateBusy != 0 || slot.caller.Load() != caller {
		return false
	}
	more := slot.extras.Load()
	if slot.state.Load() != state {
		return false
	}
	result.Decision = Decision(state & (1<<stateDecisionBits - 1))
	result.Key.Kind = KeyKind(state >> stateDecisionBits & (1<<stateKindBits - 1))
	switch result.Key.Kind {
	case KeyUID:
		result.Key.ID = uid
	case KeyGID:
		result.Key.ID = gid
	}
	if more != nil {
		result.Env, result.Exec = more.env, more.exec
	}
	return true
}

// put remembers a decision. It may leave it out when another writer is at the same
// slot. It allocates only for a result with environment or command line.
func (c *cache) put(uid, gid uint32, result *Result) {
	if len(c.slots) == 0 {
		return
	}
	caller := uint64(uid)<<32 | uint64(gid)
	slot := c.slot(caller)
	state := slot.state.Load()
	if state&stateBusy != 0 || !slot.state.CompareAndSwap(state, state|stateBusy) {
		return
	}
	slot.caller.Store(caller)
	if !result.Env.IsZero() || result.Exec != "" {
		slot.extras.Store(&extras{env: result.Env, exec: result.Exec})
	} else if slot.extras.Load() != nil {
		slot.extras.Store(nil)
	}
	version := state &^ (stateVersion - 1)
	slot.state.Store(version + stateVersion | uint64(result.Key.Kind)<<stateDecisionBits | uint64(result.Decision))
}
