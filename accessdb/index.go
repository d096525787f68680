package accessdb

import (
	"math/bits"
	"math/rand/v2"
)

// index answers for the keys uid/N, or gid/N, of one generation with one access to
// memory. A search of the database itself needs two that depend on each other, a
// slot and a record, in tables that are larger than the processor's caches when
// there are many rules; and most rules say nothing but allow or deny.
//
// It is a hash table with linear probing. A slot holds an id in its upper half and
// a verdict in its lower; 0 is an empty slot, and since no slot holds verdictNone,
// every search ends at one: at least a third of the slots are empty.
type index struct {
	slots []uint64
	seed  uint64 // odd and random: a file cannot choose ids that crowd
	count int
}

// newIndex returns an index with room for n ids.
func newIndex(n int) index {
	return index{slots: make([]uint64, uint64(n)+uint64(n)/2+1), seed: rand.Uint64() | 1}
}

func (x *index) home(id uint32) uint64 {
	n, _ := bits.Mul64(uint64(id)*x.seed, uint64(len(x.slots)))
	return n
}

// get returns the verdict on an id.
func (x *index) get(id uint32) verdict {
	for i := x.home(id); ; i++ {
		if i == uint64(len(x.slots)) {
			i = 0
		}
		slot := x.slots[i]
		if slot == 0 || slot>>32 == uint64(id) {
			return verdict(slot)
		}
	}
}

// add notes the verdict on an id. An id that is there already, the key of more
// than one record, gets verdictRecord: the database knows which record counts.
func (x *index) add(id uint32, v verdict) {
	for i := x.home(id); ; i++ {
		if i == uint64(len(x.slots)) {
			i = 0
		}
		switch slot := x.slots[i]; {
		case slot == 0:
			x.slots[i] = uint64(id)<<32 | uint64(v)
			x.count++
			return
		case slot>>32 == uint64(id):
			x.slots[i] = uint64(id)<<32 | uint64(verdictRecord)
			return
		}
	}
}
