package cdb

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// textBuffer is the least size of a TextReader's buffer, in bytes.
const textBuffer = 64 << 10

// TextReader reads records from their text form, one after the other. It holds no
// more than one buffer, whose size is decided when it is made. A TextReader belongs
// to one goroutine.
type TextReader struct {
	r                *bufio.Reader
	maxKey, maxValue int
	record           int   // number of the current record, from 1
	start            int64 // where it begins
	offset           int64 // of the next byte that r gives, in bytes
	unread           int   // bytes of the current record that r still has to pass over
	err              error // the first failure, or io.EOF
}

// NewTextReader returns a TextReader of the records in r with keys of at most
// maxKey and values of at most maxValue bytes.
func NewTextReader(r io.Reader, maxKey, maxValue int) *TextReader {
	size := max(textBuffer, maxKey+len(textArrow)+maxValue+1)
	return &TextReader{r: bufio.NewReaderSize(r, size), maxKey: maxKey, maxValue: maxValue}
}

// Next returns the next record. Key and value are good until Next is called again.
//
// Returns [io.EOF] behind the last record, if the empty line that ends the records
// is there and nothing else is; a [*TextError], which wraps [ErrMalformedText]; or
// an error of the underlying reader. Each is final.
func (t *TextReader) Next() (key, value []byte, err error) {
	if t.err != nil {
		return nil, nil, t.err
	}
	key, value, t.err = t.next()
	return key, value, t.err
}

// Position tells which record Next returned last, or failed at: its number, from 1,
// and where it begins in the text, in bytes.
func (t *TextReader) Position() (record int, offset int64) { return t.record, t.start }

// textArrow stands between key and value.
const textArrow = "->"

func (t *TextReader) next() (key, value []byte, err error) {
	if _, err := t.r.Discard(t.unread); err != nil {
		return nil, nil, t.fail(err)
	}
	t.offset += int64(t.unread)
	t.unread = 0
	t.record, t.start = t.record+1, t.offset

	first, err := t.byte()
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil, t.malformed(t.offset, "no empty line after the last record, so the end may be missing")
	case err != nil:
		return nil, nil, t.fail(err)
	case first == '\n':
		return nil, nil, t.end()
	case first != '+':
		return nil, nil, t.malformed(t.start, "want + or an empty line, not %q", first)
	}
	keyLength, err := t.number(',', t.maxKey, "key")
	if err != nil {
		return nil, nil, err
	}
	valueLength, err := t.number(':', t.maxValue, "value")
	if err != nil {
		return nil, nil, err
	}
	return t.content(keyLength, valueLength)
}

// number reads a length and the byte that ends it.
func (t *TextReader) number(end byte, limit int, of string) (n int, err error) {
	for digits := 0; ; digits++ {
		c, err := t.byte()
		switch {
		case err != nil:
			return 0, t.fail(err)
		case c == end && digits > 0:
			return n, nil
		case c < '0' || c > '9':
			return 0, t.malformed(t.offset-1, "want the length of the %s and %q, not %q", of, end, c)
		}
		if n = n*10 + int(c-'0'); n > limit {
			return 0, t.malformed(t.offset-1, "%s longer than %d bytes", of, limit)
		}
	}
}

// content returns key and value, which stay in the buffer until the next record is
// asked for.
func (t *TextReader) content(keyLength, valueLength int) (key, value []byte, err error) {
	arrow := keyLength
	begin := arrow + len(textArrow)
	end := begin + valueLength
	b, err := t.r.Peek(end + 1)
	switch {
	case err != nil:
		t.offset += int64(len(b))
		return nil, nil, t.fail(err)
	case string(b[arrow:begin]) != textArrow:
		return nil, nil, t.malformed(t.offset+int64(arrow), "want %s behind the key, not %q", textArrow, b[arrow:begin])
	case b[end] != '\n':
		return nil, nil, t.malformed(t.offset+int64(end), "want the end of the line behind the value, not %q", b[end])
	}
	t.unread = end + 1
	return b[:arrow:arrow], b[begin:end:end], nil
}

// end makes sure that nothing follows the empty line.
func (t *TextReader) end() error {
	switch _, err := t.r.Peek(1); {
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return t.fail(err)
	}
	return t.malformed(t.offset, "something behind the empty line that ends the records")
}

func (t *TextReader) byte() (byte, error) {
	c, err := t.r.ReadByte()
	if err == nil {
		t.offset++
	}
	return c, err
}

// fail reports that the text goes no further, inside a record.
func (t *TextReader) fail(err error) error {
	if errors.Is(err, io.EOF) {
		return t.malformed(t.offset, "the text ends inside a record")
	}
	return fmt.Errorf("cdb: read record %d: %w", t.record, err)
}

func (t *TextReader) malformed(offset int64, format string, arguments ...any) error {
	return &TextError{Record: t.record, Offset: offset, Reason: fmt.Sprintf(format, arguments...)}
}

// TextError says what is wrong with the text form of records, and where. It wraps
// [ErrMalformedText].
type TextError struct {
	Record int    // number of the record, from 1
	Offset int64  // position in the text, in bytes
	Reason string // what is wrong there
}

// Error gives the reason and the position.
func (e *TextError) Error() string {
	return fmt.Sprintf("%v: record %d, byte %d: %s", ErrMalformedText, e.Record, e.Offset, e.Reason)
}

// Unwrap returns [ErrMalformedText].
func (e *TextError) Unwrap() error { return ErrMalformedText }
