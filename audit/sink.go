package audit

import (
	"bytes"
	"io"
)

// A Sink is where records go: [OpenFile], [Stream] or [Journal]. It belongs to one [Log],
// and there to the writer.
type Sink interface {
	// write writes the records of a batch in their order and returns how many are
	// written whole. If they are not all, it says why.
	write(batch []line) (int, error)

	// reopen does what a rotated file needs.
	reopen() error

	close() error
}

// A line is a record and its text, which ends with a newline.
type line struct {
	record *Record
	text   []byte
}

// join appends the text of a batch to dst.
func join(dst []byte, batch []line) []byte {
	for _, l := range batch {
		dst = append(dst, l.text...)
	}
	return dst
}

// wholeLines returns how many lines end in text, and whether one is left open.
func wholeLines(text []byte) (n int, torn bool) {
	return bytes.Count(text, []byte{'\n'}), len(text) > 0 && text[len(text)-1] != '\n'
}

// Stream returns a sink that writes to w, one or more lines at a time. w must not be
// nil; it is not closed.
func Stream(w io.Writer) Sink { return &stream{to: w} }

type stream struct {
	to     io.Writer
	buffer []byte
	torn   bool // the last line is not ended
}

func (s *stream) write(batch []line) (int, error) {
	s.buffer = s.buffer[:0]
	begun := 0 // lines of s.buffer that are not of batch
	if s.torn {
		s.buffer = append(s.buffer, '\n')
		begun = 1
	}
	s.buffer = join(s.buffer, batch)
	n, err := s.to.Write(s.buffer)
	if n > 0 {
		var whole int
		whole, s.torn = wholeLines(s.buffer[:n])
		return max(0, whole-begun), err
	}
	return 0, err
}

func (s *stream) reopen() error { return nil }
func (s *stream) close() error  { return nil }
