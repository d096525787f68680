package cdb

import (
	"fmt"
	"io"
)

const (
	// bufferSize is how many bytes of records are gathered before they are
	// written. Larger ones gain nothing measurable.
	bufferSize = 256 << 10
	// blockSlots is how many records of one hash table share an allocation:
	// 256 tables then waste at most 1 MiB together.
	blockSlots = 512
)

// Writer writes one database, record by record. What it keeps in memory is 8
// bytes a record, for the hash tables, and buffers of less than 2 MiB; to finish
// it needs the largest of the 256 tables as well. The zero value is not usable.
// A Writer belongs to one goroutine.
type Writer struct {
	w        io.WriteSeeker
	buffer   []byte
	position uint64 // of the next record
	count    uint64
	tables   [tableCount]tableBuilder
	err      error // the first failure, or ErrClosed: nothing is written after it
}

// tableBuilder lists the records of one hash table in the order of adding.
type tableBuilder struct {
	blocks [][]slotEntry // all but the last are full
	count  uint64
}

type slotEntry struct{ hash, position uint32 }

// NewWriter returns a Writer that fills w from its start; w must be empty. The
// file is a database once Close has returned without error. Syncing and closing
// the file remain with the caller.
func NewWriter(w io.WriteSeeker) *Writer {
	buffer := make([]byte, headerSize, bufferSize)
	return &Writer{w: w, buffer: buffer, position: headerSize}
}

// Add appends a record. Both slices are the caller's again when Add returns.
//
// Returns [ErrTooLarge] if the file would outgrow [MaxSize]: the record is left
// out, and the Writer is good for smaller ones and for Close. Returns
// [ErrClosed] after Close. Any other error is of the underlying file and final.
func (w *Writer) Add(key, value []byte) error {
	if w.err != nil {
		return w.err
	}
	size := pairSize + uint64(len(key)) + uint64(len(value))
	tables := (w.count + 1) * 2 * pairSize
	if used := w.position + tables; used > MaxSize || size > MaxSize-used {
		return ErrTooLarge
	}
	h := hash(key)
	w.tables[h%tableCount].add(slotEntry{hash: h, position: uint32(w.position)})
	w.count++
	w.position += size

	w.buffer = appendPair(w.buffer, uint32(len(key)), uint32(len(value)))
	if err := w.write(key); err != nil {
		return err
	}
	return w.write(value)
}

// Close writes the hash tables and the header. It does not close the file. It
// returns the first error of the Writer, and [ErrClosed] when called again.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	header := make([]byte, 0, headerSize)
	var slots []byte
	for i := range w.tables {
		table := &w.tables[i]
		header = appendPair(header, uint32(w.position), uint32(table.slots()))
		slots = table.appendSlots(slots[:0])
		w.position += uint64(len(slots))
		if err := w.write(slots); err != nil {
			return err
		}
		table.blocks = nil
	}
	if err := w.flush(); err != nil {
		return err
	}
	if _, err := w.w.Seek(0, io.SeekStart); err != nil {
		return w.fail("seek to the header", err)
	}
	if _, err := w.w.Write(header); err != nil {
		return w.fail("write the header", err)
	}
	w.err = ErrClosed
	return nil
}

// write appends to the buffer; what does not fit goes to the file directly.
func (w *Writer) write(b []byte) error {
	if len(b) > bufferSize-len(w.buffer) {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if len(b) > bufferSize {
		if _, err := w.w.Write(b); err != nil {
			return w.fail("write", err)
		}
		return nil
	}
	w.buffer = append(w.buffer, b...)
	if len(w.buffer) > bufferSize-pairSize { // Add appends a pair without asking.
		return w.flush()
	}
	return nil
}

func (w *Writer) flush() error {
	if _, err := w.w.Write(w.buffer); err != nil {
		return w.fail("write", err)
	}
	w.buffer = w.buffer[:0]
	return nil
}

func (w *Writer) fail(doing string, err error) error {
	w.err = fmt.Errorf("cdb: %s: %w", doing, err)
	return w.err
}

func (t *tableBuilder) add(entry slotEntry) {
	if t.count%blockSlots == 0 {
		t.blocks = append(t.blocks, make([]slotEntry, 0, blockSlots))
	}
	last := &t.blocks[len(t.blocks)-1]
	*last = append(*last, entry)
	t.count++
}

// slots is twice the number of records, so that searches stay short.
func (t *tableBuilder) slots() uint64 { return 2 * t.count }

// appendSlots lays the table out. Entries that were added earlier come earlier in
// the order of searching, so the first record of a repeated key is found.
func (t *tableBuilder) appendSlots(b []byte) []byte {
	slots := t.slots()
	if uint64(cap(b)) < slots*pairSize {
		b = make([]byte, 0, slots*pairSize)
	}
	b = b[:slots*pairSize]
	clear(b)
	for _, block := range t.blocks {
		for _, entry := range block {
			slot := uint64(entry.hash/tableCount) % slots
			for {
				place := b[slot*pairSize : (slot+1)*pairSize]
				if _, taken := pair(place); taken == 0 {
					appendPair(place[:0], entry.hash, entry.position)
					break
				}
				if slot++; slot == slots {
					slot = 0
				}
			}
		}
	}
	return b
}
