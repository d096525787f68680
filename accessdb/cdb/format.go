package cdb

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxSize is the largest size of a file, in bytes. Positions have 32 bits, and
// other readers keep the size of the file in 32 bits as well.
const MaxSize = 1<<32 - 1

const (
	tableCount = 256
	headerSize = tableCount * 8 // a position and a number of slots for each table
	pairSize   = 8              // two integers: a header entry, a record's lengths, a slot
	hashStart  = 5381
)

// Errors of opening.
var (
	// ErrMalformed is wrapped by every [FormatError].
	ErrMalformed = errors.New("cdb: malformed file")
)

// Errors of reading the text form.
var (
	// ErrMalformedText is wrapped by every [TextError].
	ErrMalformedText = errors.New("cdb: malformed text")
)

// Errors of opening and of writing.
var (
	// ErrTooLarge reports a file, or one that would become, larger than [MaxSize].
	ErrTooLarge = errors.New("cdb: larger than 4 GiB")
)

// Errors of writing.
var (
	// ErrClosed reports a use of a [Writer] after Close.
	ErrClosed = errors.New("cdb: writer is closed")
)

// FormatError says what is wrong with a file, and where. It wraps [ErrMalformed].
type FormatError struct {
	Offset int64  // position in the file, in bytes
	Reason string // what is wrong there
}

// Error gives the reason and the position.
func (e *FormatError) Error() string {
	return fmt.Sprintf("%v: %s at offset %d", ErrMalformed, e.Reason, e.Offset)
}

// Unwrap returns [ErrMalformed].
func (e *FormatError) Unwrap() error { return ErrMalformed }

func malformed(offset uint64, reason string) error {
	return &FormatError{Offset: int64(offset), Reason: reason}
}

// hash is the hash of a key as the format defines it.
func hash(key []byte) uint32 {
	h := uint32(hashStart)
	for _, b := range key {
		h = (h<<5 + h) ^ uint32(b)
	}
	return h
}

// pair reads the two integers of a header entry, a record or a slot from the
// first 8 bytes of b.
func pair(b []byte) (first, second uint32) {
	both := binary.LittleEndian.Uint64(b)
	return uint32(both), uint32(both >> 32)
}

// appendPair is the inverse of pair.
func appendPair(b []byte, first, second uint32) []byte {
	return binary.LittleEndian.AppendUint64(b, uint64(first)|uint64(second)<<32)
}
