package cdb

import (
	"errors"
	"io"
)

// maxSearch is how many slots [FindAt] looks at before it gives up. In a table
// that is half empty, as writers leave it, a search of a hundred slots is not to
// be expected with any number of records that fits a file.
const maxSearch = 1 << 16

// windowSize is how many bytes [FindAt] reads at once: 64 slots, or a record with a
// short value.
const windowSize = 512

// FindAt looks one key up in a file of the given size, in bytes, that nobody has
// verified, for those who ask once. It reads as little as that takes, 512 bytes at
// once: a part of the header, a part of a hash table, the begin of a record. In a
// database of a million records that is three calls of ReadAt, rarely one more.
//
// The value is that of the first record added under key, as a part of the file that
// the caller reads, having looked at its size. It is nil when there is no such
// record.
//
// What it meets on its way it does not believe: no position or length takes it out
// of the file, and no table keeps it for ever. Damage elsewhere, which [NewReader]
// finds, it does not see.
//
// Returns [ErrTooLarge] if size is beyond [MaxSize]; a [*FormatError], which wraps
// [ErrMalformed], if something that it met on its way lies outside the file, if
// the file ends before size, or if 65,536 slots do not decide; and errors of file.
func FindAt(file io.ReaderAt, size int64, key []byte) (value *io.SectionReader, err error) {
	if size < 0 || size > MaxSize {
		return nil, ErrTooLarge
	}
	if size < headerSize {
		return nil, malformed(uint64(size), "shorter than the header")
	}
	f := unverified{file: file, size: uint64(size)}
	h := hash(key)
	table, slots, err := f.pair(headerEntry(h))
	if err != nil || slots == 0 {
		return nil, err
	}
	if !f.has(uint64(table), uint64(slots)*pairSize) {
		return nil, malformed(headerEntry(h), "table outside the file")
	}
	s := newSearch(h, table, slots)
	for range maxSearch {
		position, ok := s.next()
		if !ok {
			return nil, nil
		}
		slotHash, record, err := f.pair(position)
		if err != nil || record == 0 {
			return nil, err
		}
		if slotHash == h {
			if value, err = f.record(uint64(record), key); err != nil || value != nil {
				return value, err
			}
		}
	}
	return nil, malformed(uint64(table), "search without end in the table")
}

// unverified is a file whose every word may be a lie.
type unverified struct {
	file   io.ReaderAt
	size   uint64
	start  uint64 // position of the window
	window []byte // what was read last, a part of buffer
	buffer [windowSize]byte
}

// has reports whether the n bytes at position lie behind the header and in the
// file. It subtracts where a sum could overflow.
func (f *unverified) has(position, n uint64) bool {
	return position >= headerSize && position <= f.size && n <= f.size-position
}

// record returns the value of the record at position, or nil if that has another
// key. Sums of three 32-bit numbers do not overflow.
func (f *unverified) record(position uint64, key []byte) (value *io.SectionReader, err error) {
	if !f.has(position, pairSize) {
		return nil, malformed(position, "record outside the file")
	}
	keyLength, valueLength, err := f.pair(position)
	if err != nil {
		return nil, err
	}
	if !f.has(position, pairSize+uint64(keyLength)+uint64(valueLength)) {
		return nil, malformed(position, "record beyond the end of the file")
	}
	if uint64(keyLength) != uint64(len(key)) {
		return nil, nil
	}
	position += pairSize
	for rest := key; len(rest) > 0; {
		n := min(len(rest), windowSize)
		b, err := f.at(position, uint64(n))
		if err != nil || string(b) != string(rest[:n]) {
			return nil, err
		}
		position, rest = position+uint64(n), rest[n:]
	}
	return io.NewSectionReader(f.file, int64(position), int64(valueLength)), nil
}

// pair reads two integers at a position that is in the file.
func (f *unverified) pair(position uint64) (first, second uint32, err error) {
	b, err := f.at(position, pairSize)
	if err != nil {
		return 0, 0, err
	}
	first, second = pair(b)
	return first, second, nil
}

// at returns n bytes, no more than a window, that are in the file. They are good
// until the next call.
func (f *unverified) at(position, n uint64) ([]byte, error) {
	if end := f.start + uint64(len(f.window)); position < f.start || position > end || n > end-position {
		length := min(windowSize, f.size-position)
		read, err := f.file.ReadAt(f.buffer[:length], int64(position))
		if uint64(read) < length {
			f.window = nil
			if errors.Is(err, io.EOF) {
				err = malformed(position, "file cut short while it is read")
			}
			return nil, err
		}
		f.start, f.window = position, f.buffer[:length]
	}
	offset := position - f.start
	return f.window[offset : offset+n], nil
}
