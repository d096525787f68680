package cdb

import (
	"encoding/binary"
	"hash/maphash"
)

// verify reads the file once from front to back and establishes what Find and All
// rely on:
//
//  1. records and tables fill the file without gap or overlap;
//  2. the slots list exactly the records that exist, each under its own hash;
//  3. a search from the hash of every key meets its slot before an empty one.
//
// For the second, both sides are compared as a whole: a sum over the records of a
// keyed hash of position and hash, against the same sum over the slots. The key is
// random and new each time, so nobody can write a file whose sums agree by design,
// and neither memory nor a search is needed, however a hostile file is laid out.
func (r *Reader) verify() error {
	if uint64(len(r.data)) > MaxSize {
		return ErrTooLarge
	}
	if len(r.data) < headerSize {
		return malformed(uint64(len(r.data)), "shorter than the header")
	}
	if err := r.verifyHeader(); err != nil {
		return err
	}
	seed := maphash.MakeSeed()
	recordSum, records, err := r.sumRecords(seed)
	if err != nil {
		return err
	}
	slotSum, used, err := r.sumSlots(seed)
	if err != nil {
		return err
	}
	if records != used || recordSum != slotSum {
		return malformed(r.records, "hash tables do not list the records")
	}
	r.count = records
	return nil
}

// verifyHeader checks that the tables follow one another to the end of the file,
// and so finds where the records end.
func (r *Reader) verifyHeader() error {
	size := uint64(len(r.data))
	next, begun := uint64(0), false
	for i := range uint64(tableCount) {
		position, slots := pair(r.data[i*pairSize:])
		if slots == 0 {
			continue
		}
		if !begun {
			r.records, begun = uint64(position), true
			next = r.records
		}
		if uint64(position) != next || next < headerSize {
			return malformed(i*pairSize, "table out of place")
		}
		next += uint64(slots) * pairSize
		if next > size {
			return malformed(i*pairSize, "table beyond the end of the file")
		}
	}
	if !begun {
		r.records, next = headerSize, headerSize
	}
	if next != size {
		return malformed(next, "bytes that belong to nothing")
	}
	return nil
}

func (r *Reader) sumRecords(seed maphash.Seed) (sum uint64, count int, err error) {
	for position := uint64(headerSize); position < r.records; count++ {
		if r.records-position < pairSize {
			return 0, 0, malformed(position, "record cut short")
		}
		keyLength, valueLength := pair(r.data[position:])
		length := uint64(keyLength) + uint64(valueLength)
		if length > r.records-position-pairSize {
			return 0, 0, malformed(position, "record reaches into the hash tables")
		}
		key := position + pairSize
		sum += fingerprint(seed, hash(r.data[key:key+uint64(keyLength)]), uint32(position))
		position += pairSize + length
	}
	return sum, count, nil
}

func (r *Reader) sumSlots(seed maphash.Seed) (sum uint64, used int, err error) {
	for i := range uint32(tableCount) {
		position, slots := pair(r.data[i*pairSize:])
		if slots == 0 {
			continue // and its position is nobody's business
		}
		table := r.data[position : uint64(position)+uint64(slots)*pairSize]
		empty, full := lastEmpty(table, slots)
		for slot := range slots {
			h, record := pair(table[uint64(slot)*pairSize:])
			if record == 0 {
				empty = slot
				continue
			}
			if h%tableCount != i {
				return 0, 0, malformed(uint64(position)+uint64(slot)*pairSize, "slot in a foreign table")
			}
			if home := (h / tableCount) % slots; !full && distance(home, slot, slots) >= distance(empty, slot, slots) {
				return 0, 0, malformed(uint64(position)+uint64(slot)*pairSize, "slot behind an empty one")
			}
			sum += fingerprint(seed, h, record)
			used++
		}
	}
	return sum, used, nil
}

// lastEmpty finds the empty slot that a search coming around the end of the table
// would have met last.
func lastEmpty(table []byte, slots uint32) (slot uint32, full bool) {
	for slot := slots; slot > 0; {
		slot--
		if _, record := pair(table[uint64(slot)*pairSize:]); record == 0 {
			return slot, false
		}
	}
	return 0, true
}

// distance counts the steps of a search from one slot to another.
func distance(from, to, slots uint32) uint32 {
	if to >= from {
		return to - from
	}
	return to + (slots - from)
}

func fingerprint(seed maphash.Seed, h, position uint32) uint64 {
	var b [pairSize]byte
	binary.LittleEndian.PutUint64(b[:], uint64(h)|uint64(position)<<32)
	return maphash.Bytes(seed, b[:])
}
