package cdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"credrpc/internal/leak"

	"golang.org/x/sys/unix"
)

// TestMain fails if a test leaves a goroutine or a descriptor behind.
func TestMain(m *testing.M) { os.Exit(leak.Run(m)) }

type pairOf struct{ key, value string }

// memory is a file in memory.
type memory struct {
	data     []byte
	position int
}

func (m *memory) Write(b []byte) (int, error) {
	if need := m.position + len(b); need > len(m.data) {
		m.data = append(m.data, make([]byte, need-len(m.data))...)
	}
	m.position += copy(m.data[m.position:], b)
	return len(b), nil
}

func (m *memory) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekStart {
		return 0, errors.ErrUnsupported
	}
	m.position = int(offset)
	return offset, nil
}

// build returns a database of the given records.
func build(t testing.TB, records ...pairOf) []byte {
	t.Helper()
	var m memory
	w := NewWriter(&m)
	for _, r := range records {
		if err := w.Add([]byte(r.key), []byte(r.value)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return m.data
}

func open(t testing.TB, data []byte) *Reader {
	t.Helper()
	r, err := NewReader(data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sample has keys of every length, repeated keys, and keys whose hash is 0.
func sample() []pairOf {
	records := []pairOf{
		{"", "the empty key"},
		{"empty value", ""},
		{"ootpwgq", "a key whose hash is 0"},
		{"vpbzfti", "another"},
		{"twice", "first"},
		{"twice", "second"},
		{"\x00\xff", "\x00"},
	}
	for i := range 300 {
		records = append(records, pairOf{fmt.Sprintf("uid/%d", i), strings.Repeat("v", i)})
	}
	return records
}

func TestFindReturnsFirstRecordOfEveryKey(t *testing.T) {
	records := sample()
	r := open(t, build(t, records...))
	if r.Len() != len(records) {
		t.Errorf("Len = %d, want %d", r.Len(), len(records))
	}
	want := make(map[string]string)
	for _, record := range records {
		if _, seen := want[record.key]; !seen {
			want[record.key] = record.value
		}
	}
	for key, value := range want {
		got, ok := r.Find([]byte(key))
		if !ok || string(got) != value {
			t.Errorf("Find(%q) = %q, %t; want %q", key, got, ok, value)
		}
		if cap(got) != len(got) {
			t.Errorf("Find(%q): an append to the value would write into the database", key)
		}
	}
	for _, key := range []string{"uid/300", "uid/", "Twice", "\x00"} {
		if got, ok := r.Find([]byte(key)); ok {
			t.Errorf("Find(%q) = %q, want nothing", key, got)
		}
	}
}

func TestHashZeroKeysAreReallyThat(t *testing.T) {
	for _, key := range []string{"ootpwgq", "vpbzfti"} {
		if h := hash([]byte(key)); h != 0 {
			t.Errorf("hash(%q) = %d", key, h)
		}
	}
}

func TestAllKeepsTheOrderOfAdding(t *testing.T) {
	records := sample()
	var got []pairOf
	for key, value := range open(t, build(t, records...)).All() {
		got = append(got, pairOf{string(key), string(value)})
	}
	if !slices.Equal(got, records) {
		t.Errorf("All yields %d records that differ from the %d added", len(got), len(records))
	}
	for range open(t, build(t, records...)).All() {
		break // must not go on
	}
}

func TestEmptyDatabases(t *testing.T) {
	for name, r := range map[string]*Reader{"zero value": {}, "no records": open(t, build(t))} {
		if _, ok := r.Find([]byte("key")); ok || r.Len() != 0 {
			t.Errorf("%s: has records", name)
		}
		for key := range r.All() {
			t.Errorf("%s: yields %q", name, key)
		}
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	r := open(t, build(t, sample()...))
	key := []byte("uid/7")
	if n := testing.AllocsPerRun(100, func() { r.Find(key) }); n != 0 {
		t.Errorf("Find allocates %v times", n)
	}
}

// A single flipped bit in a key, a length, the header or a slot in use must not go
// unnoticed. Only values, positions of empty tables and hashes of empty slots hold
// nothing that a reader relies on.
func TestEveryFlippedBitIsRefusedOrHarmless(t *testing.T) {
	records := []pairOf{{"uid/0", "A"}, {"uid/1000", "D"}, {"ootpwgq", "A"}, {"", "xy"}, {"uid/1000", "A"}}
	good := build(t, records...)
	for bit := range len(good) * 8 {
		data := bytes.Clone(good)
		data[bit/8] ^= 1 << (bit % 8)
		r, err := NewReader(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("bit %d: %v", bit, err)
			}
			continue
		}
		got := make([]string, 0, len(records))
		for key := range r.All() {
			got = append(got, string(key))
		}
		for i, record := range records {
			if i >= len(got) || got[i] != record.key {
				t.Fatalf("bit %d (offset %d): accepted, and the keys are %q", bit, bit/8, got)
			}
			if _, ok := r.Find([]byte(record.key)); !ok {
				t.Fatalf("bit %d (offset %d): accepted, and %q is not found", bit, bit/8, record.key)
			}
		}
	}
}

func TestEveryOtherLengthIsRefused(t *testing.T) {
	good := build(t, sample()...)
	for n := range good {
		if _, err := NewReader(good[:n]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("the first %d of %d bytes: %v", n, len(good), err)
		}
	}
	if _, err := NewReader(append(good, 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("one byte more: %v", err)
	}
}

// putPair overwrites two integers.
func putPair(b []byte, first, second uint32) {
	binary.LittleEndian.PutUint32(b, first)
	binary.LittleEndian.PutUint32(b[4:], second)
}

func TestMalformedFilesAreRefused(t *testing.T) {
	const key = "uid/1000"
	table := int(hash([]byte(key))%tableCount) * pairSize
	for name, damage := range map[string]func(b []byte) []byte{
		"an empty file":                           func(b []byte) []byte { return nil },
		"a header and nothing else":               func(b []byte) []byte { return b[:headerSize] },
		"a table at the end of the address space": func(b []byte) []byte { putPair(b[table:], 0xffffffff, 2); return b },
		"a table with four billion slots":         func(b []byte) []byte { putPair(b[table:], 2066, 0xffffffff); return b },
		"a table inside the header":               func(b []byte) []byte { putPair(b[table:], 8, 2); return b },
		"a second table on top of the first":      func(b []byte) []byte { putPair(b[(table+8)%headerSize:], 2066, 2); return b },
		"no table at all":                         func(b []byte) []byte { putPair(b[table:], 0, 0); return b },
		"a key length of four billion":            func(b []byte) []byte { putPair(b[headerSize:], 0xffffffff, 2); return b },
		"a value length of four billion":          func(b []byte) []byte { putPair(b[headerSize:], 8, 0xffffffff); return b },
		"lengths whose sum is right modulo 2^32":  func(b []byte) []byte { putPair(b[headerSize:], 0xffffffff, 11); return b },
		"a record that leaves a rest":             func(b []byte) []byte { putPair(b[headerSize:], 8, 1); return b },
		"a slot that points into the header":      func(b []byte) []byte { putPair(b[slotIn(b, table):], hash([]byte(key)), 8); return b },
		"a slot that points into the tables":      func(b []byte) []byte { putPair(b[slotIn(b, table):], hash([]byte(key)), 2070); return b },
		"a slot with the hash of another key":     func(b []byte) []byte { putPair(b[slotIn(b, table):], hash([]byte(key))+256, 2048); return b },
		"a slot of another table":                 func(b []byte) []byte { putPair(b[slotIn(b, table):], hash([]byte(key))+1, 2048); return b },
		"a record listed twice": func(b []byte) []byte {
			putPair(b[2066:], hash([]byte(key)), 2048)
			putPair(b[2074:], hash([]byte(key)), 2048)
			return b
		},
		"tables without the record":                  func(b []byte) []byte { putPair(b[2066:], 0, 0); putPair(b[2074:], 0, 0); return b },
		"a record in the slot behind an empty place": func(b []byte) []byte { swapSlots(b[2066:2082]); return b },
	} {
		good := build(t, pairOf{key, "vv"})
		if len(good) != 2082 {
			t.Fatalf("the file has %d bytes", len(good))
		}
		_, err := NewReader(damage(good))
		var format *FormatError
		if !errors.As(err, &format) || !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if format.Offset < 0 || format.Offset > 1<<33 || !strings.Contains(err.Error(), format.Reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// slotIn returns where the used slot of a one-record table is.
func slotIn(b []byte, table int) int {
	position, _ := pair(b[table:])
	if _, record := pair(b[position:]); record != 0 {
		return int(position)
	}
	return int(position) + pairSize
}

func swapSlots(b []byte) {
	first, second := string(b[:pairSize]), string(b[pairSize:])
	copy(b, second+first)
}

// A table without an empty slot is unusual and in order; a search in it must end.
func TestFullTable(t *testing.T) {
	const key = "uid/1000"
	data := build(t, pairOf{key, "vv"})
	table := int(hash([]byte(key))%tableCount) * pairSize
	copy(data[2066:], data[slotIn(data, table):][:pairSize])
	data = data[:2074]
	putPair(data[table:], 2066, 1)
	r := open(t, data)
	if _, ok := r.Find([]byte(key)); !ok {
		t.Error("the key is not found")
	}
	other := keyInTable(t, hash([]byte(key))%tableCount, key)
	if _, ok := r.Find([]byte(other)); ok {
		t.Error("another key of the same table is found")
	}
}

func keyInTable(t *testing.T, table uint32, not string) string {
	t.Helper()
	for i := range 10000 {
		if key := fmt.Sprintf("k%d", i); key != not && hash([]byte(key))%tableCount == table {
			return key
		}
	}
	t.Fatal("no such key")
	return ""
}

// A sparse file stands in for one that has 4 GiB of values.
func TestReaderOfAFileOfNearly4GiB(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "sparse")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = uint32(MaxSize - headerSize - pairSize - 4 - 2*pairSize)
	h := hash([]byte("last"))
	header := make([]byte, headerSize)
	putPair(header[h%tableCount*pairSize:], MaxSize-2*pairSize, 2)
	record := appendPair(nil, 4, size)
	slots := make([]byte, 2*pairSize)
	putPair(slots[(h/tableCount)%2*pairSize:], h, headerSize)
	for offset, b := range map[int64][]byte{
		0: header, headerSize: append(record, "last"...), MaxSize - 2*pairSize: slots,
	} {
		if _, err := f.WriteAt(b, offset); err != nil {
			t.Skipf("the file system of %s takes no file of 4 GiB: %v", f.Name(), err)
		}
	}
	data, err := unix.Mmap(int(f.Fd()), 0, MaxSize, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Skipf("no room in the address space: %v", err)
	}
	defer unix.Munmap(data)
	value, ok := open(t, data).Find([]byte("last"))
	if !ok || uint32(len(value)) != size {
		t.Errorf("found %t, %d bytes, want %d", ok, len(value), size)
	}
}
