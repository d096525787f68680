//go:build linux

package accessdb

// index answers for the keys uid/N, or gid/N, of one generation with one access to
// memory. A search of the database itself needs two that depend on each other, a
// slot and a record, in tables that are larger than the processor's caches when
// there are many rules; and most rules say nothing but allow or deny.
//
// It is a hash table with linear probing. A slot is for the 16 ids that differ in
// their lowest four bits, since ids are mostly given out in rows: a million in a row
// take 750 KB, which the processor keeps near. The upper half of a slot holds what
// the ids have in common, the lower half a verdict of two bits for each of them. No
// slot in use has verdictNone for all, so 0 is an empty slot; and since a third of
// the slots is empty, every search ends.
type index struct {
	slots []uint64
	used  int
	hash  scatter
}

const (
	rowBits     = 4 // ids that share a slot differ in so many bits
	verdictBits = 2
	minSlots    = 8 // one line of the processor's caches
)

func newIndex() index {
	return index{slots: make([]uint64, minSlots), hash: newScatter()}
}

// get returns the verdict on an id.
func (x *index) get(id uint32) verdict {
	return verdictIn(x.slots[x.find(id>>rowBits)], id)
}

// find returns the place of the slot of a row of ids, or of the empty one in which
// it would be.
func (x *index) find(row uint32) uint64 {
	for i := x.hash.place(uint64(row), len(x.slots)); ; i++ {
		if i == uint64(len(x.slots)) {
			i = 0
		}
		if slot := x.slots[i]; slot == 0 || uint32(slot>>32) == row {
			return i
		}
	}
}

func verdictIn(slot uint64, id uint32) verdict {
	return verdict(slot >> verdictShift(id) & (1<<verdictBits - 1))
}

func verdictShift(id uint32) uint32 { return id % (1 << rowBits) * verdictBits }

// add notes the verdict on an id. An id that is there already, the key of more
// than one record, gets verdictRecord: the database knows which record counts.
func (x *index) add(id uint32, v verdict) {
	if 3*(x.used+1) > 2*len(x.slots) {
		x.resize(2 * len(x.slots))
	}
	slot := &x.slots[x.find(id>>rowBits)]
	if *slot == 0 {
		x.used++
	}
	if verdictIn(*slot, id) != verdictNone {
		v = verdictRecord
	}
	*slot |= uint64(id>>rowBits)<<32 | uint64(v)<<verdictShift(id) // verdictRecord has all bits
}

// fit gives back the memory for ids that did not come.
func (x *index) fit() { x.resize(max(x.used+x.used/2+1, minSlots)) }

// resize moves everything to a table with so many slots.
func (x *index) resize(slots int) {
	old := x.slots
	x.slots = make([]uint64, slots)
	for _, slot := range old {
		if slot != 0 {
			x.slots[x.find(uint32(slot>>32))] = slot
		}
	}
}
