package cdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// FuzzReader gives the reader arbitrary bytes. Whatever it accepts must be a
// consistent database: as many records as it says, each found under its key.
func FuzzReader(f *testing.F) {
	f.Add([]byte{})
	f.Add(build(f))
	f.Add(build(f, pairOf{"uid/1000", "D"}, pairOf{"uid/default", "A\x00\x00\x00\x00"}))
	f.Add(build(f, sample()[:20]...))
	f.Fuzz(checkReader)
}

// checkReader checks what a reader promises of any bytes.
func checkReader(t *testing.T, data []byte) {
	before := bytes.Clone(data)
	r, err := NewReader(data)
	if err != nil {
		if !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
		checkUnverified(t, data)
		return
	}
	count := 0
	for key := range r.All() {
		count++
		want, ok := r.Find(key)
		if !ok {
			t.Fatalf("key %q is listed and not found", key)
		}
		if got, ok, err := findAt(data, key); err != nil || !ok || !bytes.Equal(got, want) {
			t.Fatalf("FindAt(%q) = %q, %t, %v; Find = %q", key, got, ok, err, want)
		}
	}
	if count != r.Len() {
		t.Fatalf("%d records listed, Len is %d", count, r.Len())
	}
	r.Find([]byte("uid/default"))
	if !bytes.Equal(before, data) {
		t.Fatal("the reader changed the file")
	}
}

// checkUnverified checks what FindAt promises of a file that is no database: an
// error that says so, or a value that is a part of the file.
func checkUnverified(t *testing.T, data []byte) {
	for _, key := range []string{"", "uid/1000", "uid/default", "ootpwgq", "a", "c"} {
		value, ok, err := findAt(data, []byte(key))
		if err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
		if ok && !bytes.Contains(data, value) {
			t.Fatalf("FindAt(%q) = %q, which is not in the file", key, value)
		}
	}
}

// FuzzWriter writes arbitrary keys and values and reads them back.
func FuzzWriter(f *testing.F) {
	f.Add([]byte("uid/1000 D uid/default A"), byte(' '))
	f.Add([]byte("ootpwgq,1,vpbzfti,2,ootpwgq,3"), byte(','))
	f.Fuzz(func(t *testing.T, data []byte, separator byte) {
		var records []pairOf
		first := make(map[string]string)
		for fields := bytes.Split(data, []byte{separator}); len(fields) >= 2; fields = fields[2:] {
			r := pairOf{string(fields[0]), string(fields[1])}
			records = append(records, r)
			if _, seen := first[r.key]; !seen {
				first[r.key] = r.value
			}
		}
		r := open(t, build(t, records...))
		for key, value := range first {
			if got, ok := r.Find([]byte(key)); !ok || string(got) != value {
				t.Fatalf("Find(%q) = %q, %t, want %q", key, got, ok, value)
			}
		}
	})
}

// FuzzDamagedFile changes a good file in a few places, which gets deeper than
// arbitrary bytes do. Every 8 bytes of edits are a position, counted from the start
// of the records, and an integer to store there; an odd rest cuts that many bytes
// off the end.
func FuzzDamagedFile(f *testing.F) {
	f.Add([]byte("uid/1000 D uid/default A"), []byte{})
	f.Add([]byte("uid/1000 D uid/default A"), []byte{0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte("a b c d e f g h"), []byte{8, 0, 0, 0, 1, 0, 0, 0, 5})
	f.Fuzz(func(t *testing.T, fields, edits []byte) {
		var records []pairOf
		for fields := bytes.Split(fields, []byte{' '}); len(fields) >= 2; fields = fields[2:] {
			records = append(records, pairOf{string(fields[0]), string(fields[1])})
		}
		data := build(t, records...)
		for ; len(edits) >= pairSize; edits = edits[pairSize:] {
			position, value := pair(edits)
			at := (uint64(position) + headerSize) % uint64(len(data))
			if at+4 <= uint64(len(data)) {
				binary.LittleEndian.PutUint32(data[at:], value)
			}
		}
		data = data[:len(data)-min(len(edits), len(data))]
		checkReader(t, data)
	})
}
