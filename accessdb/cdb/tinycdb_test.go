package cdb

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// tinycdb returns the program cdb of the Debian package tinycdb.
func tinycdb(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("cdb")
	if err != nil {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatal("the Debian package tinycdb is not installed")
		}
		t.Skip("the Debian package tinycdb is not installed")
	}
	return path
}

// dump formats records as cdb -d prints and cdb -c reads them.
func dump(records []pairOf) []byte {
	var b bytes.Buffer
	for _, r := range records {
		fmt.Fprintf(&b, "+%d,%d:%s->%s\n", len(r.key), len(r.value), r.key, r.value)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func randomRecords(random *rand.Rand) []pairOf {
	text := func(limit int) string {
		b := make([]byte, random.IntN(limit))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return string(b)
	}
	records := make([]pairOf, random.IntN(400))
	for i := range records {
		records[i] = pairOf{text(12), text(40)}
	}
	return records
}

func TestTinycdbReadsWhatTheWriterWrites(t *testing.T) {
	program := tinycdb(t)
	random := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		records := append(sample(), randomRecords(random)...)
		path := writeFile(t, build(t, records...))
		out, err := exec.Command(program, "-d", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out, dump(records)) {
			t.Fatalf("cdb -d prints other records than the %d written", len(records))
		}
		for _, r := range records[:20] {
			if r.key == "" || bytes.ContainsRune([]byte(r.key), 0) {
				continue // no argument of a program
			}
			want, _ := open(t, build(t, records...)).Find([]byte(r.key))
			got, err := exec.Command(program, "-q", "-n", "1", path, r.key).Output()
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("cdb -q -n 1 %q prints %q (%v), want %q", r.key, got, err, want)
			}
		}
	}
}

func TestReaderReadsWhatTinycdbWrites(t *testing.T) {
	program := tinycdb(t)
	random := rand.New(rand.NewPCG(2, 2))
	for range 50 {
		records := randomRecords(random)
		path := filepath.Join(t.TempDir(), "file.cdb")
		command := exec.Command(program, "-c", path)
		command.Stdin = bytes.NewReader(dump(records))
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("cdb -c: %v: %s", err, out)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var got []pairOf
		for key, value := range open(t, data).All() {
			got = append(got, pairOf{string(key), string(value)})
		}
		if !bytes.Equal(dump(got), dump(records)) {
			t.Fatalf("%d records that differ from the %d given to cdb -c", len(got), len(records))
		}
		if !bytes.Equal(data, build(t, records...)) {
			t.Error("the writer does not write the same file")
		}
	}
}

const benchmarkRecords = 1000000

// writeUIDDump writes the input of cdb -c for a million uid rules.
func writeUIDDump(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "input")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for i := range benchmarkRecords {
		key := "uid/" + strconv.Itoa(i)
		fmt.Fprintf(w, "+%d,5:%s->A\x00\x00\x00\x00\n", len(key), key)
	}
	w.WriteByte('\n')
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkMillion makes a file of a million uid rules from the same text, with the
// Writer and with cdb -c of tinycdb. Neither syncs the file.
func BenchmarkMillion(b *testing.B) {
	input := writeUIDDump(b)
	output := filepath.Join(b.TempDir(), "out.cdb")
	b.Run("writer=ours", func(b *testing.B) {
		for range b.N {
			if err := convert(input, output); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("writer=tinycdb", func(b *testing.B) {
		program := tinycdb(b)
		for range b.N {
			if out, err := exec.Command(program, "-c", output, input).CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
		}
	})
}

// convert does what cdb -c does.
func convert(input, output string) error {
	in, err := os.Open(input)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(output)
	if err != nil {
		return err
	}
	defer out.Close()
	w := NewWriter(out)
	r := NewTextReader(in, 100, 100)
	for {
		key, value, err := r.Next()
		if err == io.EOF {
			return w.Close()
		}
		if err != nil {
			return err
		}
		if err := w.Add(key, value); err != nil {
			return err
		}
	}
}

func writeFile(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.cdb")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
