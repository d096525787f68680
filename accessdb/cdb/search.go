package cdb

// search is the way of one key through its hash table, without the reading, which
// [Reader.Find] does in memory and [FindAt] in a file. It has no more than four
// fields, so that the compiler keeps it in registers.
type search struct {
	table uint64 // position of the hash table
	slots uint32 // how many it has
	slot  uint32 // the one to look at next
	left  uint32 // how many have not been looked at
}

// headerEntry returns the position of the header entry for the table of a hash.
func headerEntry(h uint32) uint64 { return uint64(h%tableCount) * pairSize }

// newSearch begins a search with the header entry for the hash of a key.
func newSearch(h uint32, position, slots uint32) search {
	s := search{table: uint64(position), slots: slots, left: slots}
	if slots > 0 {
		s.slot = (h / tableCount) % slots
	}
	return s
}

// next returns the position of the slot to look at, unless all have been.
func (s *search) next() (position uint64, ok bool) {
	if s.left == 0 {
		return 0, false
	}
	position = s.table + uint64(s.slot)*pairSize
	s.left--
	if s.slot++; s.slot == s.slots {
		s.slot = 0
	}
	return position, true
}
