package cdb

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// sink counts what is written, and fails where it is told to.
type sink struct {
	size   int64
	failAt int64
	seeks  error
}

var errSink = errors.New("no space")

func (s *sink) Write(b []byte) (int, error) {
	s.size += int64(len(b))
	if s.failAt > 0 && s.size >= s.failAt {
		return 0, errSink
	}
	return len(b), nil
}

func (s *sink) Seek(int64, int) (int64, error) { return 0, s.seeks }

func TestWriterStopsBefore4GiB(t *testing.T) {
	var s sink
	w := NewWriter(&s)
	value := make([]byte, 64<<20)
	added := 0
	for ; ; added++ {
		err := w.Add([]byte("key"), value)
		if errors.Is(err, ErrTooLarge) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if added != 63 {
		t.Errorf("%d records of 64 MiB fit, want 63", added)
	}
	// What is left can be filled to the last byte, tables included.
	room := MaxSize - w.position - (w.count+1)*2*pairSize - pairSize - 3
	if err := w.Add([]byte("key"), value[:room+1]); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one byte too many: %v", err)
	}
	if err := w.Add([]byte("key"), value[:room]); err != nil {
		t.Errorf("the last byte: %v", err)
	}
	if err := w.Add(nil, nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a record more: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if s.size != MaxSize+headerSize { // the header is written twice
		t.Errorf("%d bytes written", s.size)
	}
}

func TestWriterReportsTheFirstFailureForEver(t *testing.T) {
	for name, s := range map[string]*sink{
		"a write that fails early":      {failAt: 1},
		"a write that fails at the end": {failAt: 2*headerSize + 1000},
		"a seek that fails":             {seeks: errSink},
	} {
		w := NewWriter(s)
		for range 10 {
			if err := w.Add([]byte("key"), make([]byte, 100)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for range 2 {
			if err := w.Close(); !errors.Is(err, errSink) {
				t.Errorf("%s: Close: %v", name, err)
			}
		}
		if err := w.Add(nil, nil); !errors.Is(err, errSink) {
			t.Errorf("%s: Add: %v", name, err)
		}
	}
	w := NewWriter(&sink{failAt: bufferSize})
	value := make([]byte, bufferSize+1)
	if err := w.Add(nil, value); !errors.Is(err, errSink) {
		t.Errorf("a record larger than the buffer: %v", err)
	}
}

func TestWriterIsClosedOnce(t *testing.T) {
	w := NewWriter(&memory{})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != ErrClosed {
		t.Errorf("Close: %v", err)
	}
	if err := w.Add(nil, nil); err != ErrClosed {
		t.Errorf("Add: %v", err)
	}
}

// Values around the size of the buffer take every way through the writer.
func TestWriterWithValuesAroundTheBufferSize(t *testing.T) {
	var records []pairOf
	for i, n := range []int{0, 1, bufferSize - 20, bufferSize - 1, bufferSize, bufferSize + 1, 2 * bufferSize, 3} {
		records = append(records, pairOf{fmt.Sprint(i), strings.Repeat("x", n)})
	}
	for i := range 20 {
		records = append(records, pairOf{fmt.Sprint(100 + i), strings.Repeat("y", bufferSize/4-i)})
	}
	r := open(t, build(t, records...))
	for _, record := range records {
		if got, ok := r.Find([]byte(record.key)); !ok || string(got) != record.value {
			t.Errorf("key %s: %d bytes, want %d", record.key, len(got), len(record.value))
		}
	}
}

// The writer may hold 8 bytes a record and less than 2 MiB.
func TestWriterMemory(t *testing.T) {
	const records = 1000000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	w := NewWriter(&sink{})
	var key [14]byte
	for i := range records {
		if err := w.Add(strconv.AppendInt(append(key[:0], "uid/"...), int64(i), 10), nil); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 8*records+2<<20 {
		t.Errorf("%d bytes held for %d records", held, records)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
