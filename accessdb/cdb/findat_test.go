package cdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
)

// findAt looks a key up in data as a file.
func findAt(data, key []byte) (value []byte, ok bool, err error) {
	section, err := FindAt(bytes.NewReader(data), int64(len(data)), key)
	if err != nil || section == nil {
		return nil, false, err
	}
	value, err = io.ReadAll(section)
	return value, true, err
}

func TestFindAtFindsWhatFindFinds(t *testing.T) {
	long := strings.Repeat("long", windowSize) // more than a window
	records := append(sample(), pairOf{long, "value"}, pairOf{"window", long})
	data := build(t, records...)
	r := open(t, data)
	keys := []string{"uid/300", "uid/", "Twice", "\x00"}
	for _, record := range records {
		keys = append(keys, record.key)
	}
	keys = append(keys, long[:len(long)-1]+"L", long[1:])
	for _, key := range keys {
		want, wantOK := r.Find([]byte(key))
		got, ok, err := findAt(data, []byte(key))
		if err != nil || ok != wantOK || !bytes.Equal(got, want) {
			t.Errorf("FindAt(%q) = %q, %t, %v; Find = %q, %t", key, got, ok, err, want, wantOK)
		}
	}
	if _, ok, err := findAt(build(t), []byte("key")); ok || err != nil {
		t.Errorf("in a database without records: %t, %v", ok, err)
	}
}

// counter counts calls of ReadAt and the bytes they ask for.
type counter struct {
	io.ReaderAt
	calls, bytes int
}

func (c *counter) ReadAt(b []byte, offset int64) (int, error) {
	c.calls++
	c.bytes += len(b)
	return c.ReaderAt.ReadAt(b, offset)
}

// TestFindAtReadsLittle counts reads in a large database.
func TestFindAtReadsLittle(t *testing.T) {
	const n, looked = 200_000, 20_000 // a tenth of a second
	var records []pairOf
	for i := range n {
		records = append(records, pairOf{fmt.Sprintf("uid/%d", i), "D"})
	}
	data := build(t, records...)
	total := counter{ReaderAt: bytes.NewReader(data)}
	for i := range looked {
		c := counter{ReaderAt: bytes.NewReader(data)}
		value, err := FindAt(&c, int64(len(data)), fmt.Appendf(nil, "uid/%d", i*10+i%2*n))
		if err != nil || (value == nil) != (i*10+i%2*n >= n) {
			t.Fatalf("look-up %d: %v, %v", i, value, err)
		}
		if c.calls > 6 {
			t.Errorf("look-up %d: %d reads of %d bytes", i, c.calls, c.bytes)
		}
		total.calls += c.calls
	}
	if average := float64(total.calls) / looked; average > 3.5 {
		t.Errorf("%.1f reads a look-up", average)
	}
}

// broken is a file whose reads fail.
type broken struct{ err error }

func (b broken) ReadAt([]byte, int64) (int, error) { return 0, b.err }

// TestFindAtRefusesDamageOnItsWay damages what one key leads to.
func TestFindAtRefusesDamageOnItsWay(t *testing.T) {
	key := []byte("uid/1000")
	good := build(t, pairOf{"uid/1000", "A"}, pairOf{"uid/default", "D"})
	header := headerEntry(hash(key))
	table := uint64(binary.LittleEndian.Uint32(good[header:]))
	set := func(position uint64, value uint32) func([]byte) []byte {
		return func(data []byte) []byte {
			binary.LittleEndian.PutUint32(data[position:], value)
			return data
		}
	}
	slot := table
	if binary.LittleEndian.Uint32(good[slot+4:]) == 0 {
		slot += pairSize
	}
	for name, test := range map[string]struct {
		damage func([]byte) []byte
		want   string
	}{
		"an empty file":               {func([]byte) []byte { return nil }, "shorter than the header at offset 0"},
		"half a header":               {func(b []byte) []byte { return b[:1000] }, "shorter than the header at offset 1000"},
		"nothing but a header":        {func(b []byte) []byte { return b[:headerSize] }, "table outside the file"},
		"a table that is cut short":   {func(b []byte) []byte { return b[:table+pairSize] }, "table outside the file"},
		"a table far away":            {set(header, math.MaxUint32), "table outside the file"},
		"a table in the header":       {set(header, 8), "table outside the file"},
		"slots without number":        {set(header+4, math.MaxUint32), "table outside the file"},
		"a record far away":           {set(slot+4, math.MaxUint32), "record outside the file at offset 4294967295"},
		"a record in the header":      {set(slot+4, 2040), "record outside the file at offset 2040"},
		"a record's lengths cut":      {set(slot+4, uint32(len(good)-7)), "record outside the file"},
		"a key without end":           {set(headerSize, math.MaxUint32), "record beyond the end of the file at offset 2048"},
		"a value without end":         {set(headerSize+4, math.MaxUint32), "record beyond the end of the file at offset 2048"},
		"a value one byte too long":   {set(headerSize+4, uint32(len(good)-headerSize-pairSize-len(key)+1)), "record beyond the end"},
		"both lengths without bounds": {func(b []byte) []byte { return set(headerSize, math.MaxUint32)(set(headerSize+4, math.MaxUint32)(b)) }, "record beyond the end"},
	} {
		_, ok, err := findAt(test.damage(bytes.Clone(good)), key)
		if ok || !errors.Is(err, ErrMalformed) || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%s: %t, %v", name, ok, err)
		}
	}
	for _, size := range []int64{-1, MaxSize + 1} {
		if _, err := FindAt(bytes.NewReader(good), size, key); err != ErrTooLarge {
			t.Errorf("size %d: %v", size, err)
		}
	}
	if _, err := FindAt(bytes.NewReader(good[:table]), int64(len(good)), key); !errors.Is(err, ErrMalformed) {
		t.Errorf("a file that has become shorter: %v", err)
	}
	failure := errors.New("failure")
	if _, err := FindAt(broken{failure}, int64(len(good)), key); err != failure {
		t.Errorf("a file that cannot be read: %v", err)
	}
}

// TestFindAtGivesUp gives it a full table in which every slot leads to another key.
func TestFindAtGivesUp(t *testing.T) {
	const slots = 1 << 20
	key := []byte("uid/1000")
	data := build(t, pairOf{"uid/1001", "A"})
	binary.LittleEndian.PutUint64(data[headerEntry(hash(key)):], uint64(len(data))|slots<<32)
	for range slots {
		data = appendPair(data, hash(key), headerSize)
	}
	c := counter{ReaderAt: bytes.NewReader(data)}
	_, err := FindAt(&c, int64(len(data)), key)
	if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "search without end") {
		t.Error(err)
	}
	if c.calls > 2*maxSearch+1 {
		t.Errorf("%d reads", c.calls)
	}
}
