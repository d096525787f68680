package cdb

import "iter"

// Reader answers lookups in one verified database. It is safe for concurrent
// use. The zero value is an empty database.
type Reader struct {
	data    []byte // the whole file
	records uint64 // position behind the last record, where the tables begin
	count   int
}

// NewReader verifies the whole of data, the content of a database file, and
// returns a Reader over it. The slice is retained: it must not change, and a
// mapping must not go away, before the Reader and every slice it returned are
// out of use.
//
// The time it takes grows with the number of records, not with the sizes of
// values, whose bytes it never touches; it needs no memory.
//
// Returns [ErrTooLarge] if data is larger than [MaxSize] and a [*FormatError],
// which wraps [ErrMalformed], if it is no proper database.
func NewReader(data []byte) (*Reader, error) {
	r := &Reader{data: data}
	if err := r.verify(); err != nil {
		return nil, err
	}
	return r, nil
}

// Len returns the number of records, repeated keys included.
func (r *Reader) Len() int { return r.count }

// Find returns the value of the first record that was added under key. The value
// is a part of the database, with its capacity cut: it is read only, and good for
// as long as the slice given to [NewReader] is. Find allocates nothing.
func (r *Reader) Find(key []byte) (value []byte, ok bool) {
	h := hash(key)
	entry, ok := r.at(headerEntry(h), pairSize)
	if !ok {
		return nil, false
	}
	table, slots := pair(entry)
	for s := newSearch(h, table, slots); ; {
		position, ok := s.next()
		if !ok {
			return nil, false
		}
		slot, ok := r.at(position, pairSize)
		if !ok {
			return nil, false
		}
		slotHash, record := pair(slot)
		if record == 0 {
			return nil, false
		}
		if slotHash == h {
			k, v, ok := r.record(uint64(record))
			if ok && string(k) == string(key) {
				return v, true
			}
		}
	}
}

// All yields every record, key and value, in the order of adding. Both are parts
// of the database, as the value of [Reader.Find] is.
func (r *Reader) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for position := uint64(headerSize); position < r.records; {
			key, value, ok := r.record(position)
			if !ok || !yield(key, value) {
				return
			}
			position += pairSize + uint64(len(key)) + uint64(len(value))
		}
	}
}

// record returns the key and the value of the record at position.
func (r *Reader) record(position uint64) (key, value []byte, ok bool) {
	lengths, ok := r.at(position, pairSize)
	if !ok {
		return nil, nil, false
	}
	keyLength, valueLength := pair(lengths)
	key, ok = r.at(position+pairSize, uint64(keyLength))
	if !ok {
		return nil, nil, false
	}
	value, ok = r.at(position+pairSize+uint64(keyLength), uint64(valueLength))
	return key, value, ok
}

// at is the only access to the file: the n bytes at position, when the file has
// them. Sums of two or three 32-bit numbers cannot overflow position, and the
// comparison subtracts, so no position or length can reach beyond the file.
func (r *Reader) at(position, n uint64) ([]byte, bool) {
	size := uint64(len(r.data))
	if position > size || n > size-position {
		return nil, false
	}
	return r.data[position : position+n : position+n], true
}
