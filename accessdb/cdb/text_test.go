package cdb

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// readText returns the records of a text and the error that ends them, nil for a
// proper end.
func readText(r io.Reader, maxKey, maxValue int) (records []pairOf, err error) {
	t := NewTextReader(r, maxKey, maxValue)
	for {
		key, value, err := t.Next()
		if err != nil {
			if _, _, again := t.Next(); again != err {
				return records, errors.New("another error when asked again")
			}
		}
		switch {
		case err == io.EOF:
			return records, nil
		case err != nil:
			return records, err
		}
		records = append(records, pairOf{string(key), string(value)})
	}
}

func TestTextReaderReadsWhatDumpWrites(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	for range 20 {
		records := append(sample(), randomRecords(random)...)
		text := dump(records)
		for name, r := range map[string]io.Reader{
			"at once":             bytes.NewReader(text),
			"byte by byte":        iotest.OneByteReader(bytes.NewReader(text)),
			"with the end's data": iotest.DataErrReader(bytes.NewReader(text)),
		} {
			reader := NewTextReader(r, 1000, 1000)
			for i, want := range records {
				key, value, err := reader.Next()
				if err != nil || string(key) != want.key || string(value) != want.value {
					t.Fatalf("%s: record %d: %q, %q, %v; want %q", name, i+1, key, value, err, want)
				}
				if record, _ := reader.Position(); record != i+1 {
					t.Fatalf("%s: record %d calls itself %d", name, i+1, record)
				}
			}
			if _, _, err := reader.Next(); err != io.EOF {
				t.Fatalf("%s: behind the last record: %v", name, err)
			}
		}
	}
}

func TestTextReaderSaysWhatIsWrongAndWhere(t *testing.T) {
	const good = "+5,1:uid/1->D\n" // 14 bytes
	for _, row := range []struct {
		name, text string
		record     int
		offset     int64
		reason     string
	}{
		{"nothing at all", "", 1, 0, "no empty line"},
		{"no empty line at the end", good, 2, 14, "no empty line"},
		{"two texts in a row", good + "\n" + good + "\n", 2, 15, "behind the empty line"},
		{"another first byte", good + "uid/1", 2, 14, `want + or an empty line, not 'u'`},
		{"carriage returns", "+5,1:uid/1->D\r\n\r\n", 1, 13, `want the end of the line behind the value, not '\r'`},
		{"no length of the key", "+,1:", 1, 1, `length of the key and ',', not ','`},
		{"no length of the value", "+5,:", 1, 3, `length of the value and ':', not ':'`},
		{"a length that is no number", "+5x,1:", 1, 2, `length of the key and ',', not 'x'`},
		{"a negative length", "+5,-1:", 1, 3, `length of the value and ':', not '-'`},
		{"a key that is too long", "+21,1:", 1, 2, "key longer than 20 bytes"},
		{"a length beyond 64 bits", "+5,99999999999999999999999:", 1, 4, "value longer than 30 bytes"},
		{"no arrow", "+5,1:uid/1=>D\n", 1, 10, `want -> behind the key, not "=>"`},
		{"a key that is longer than said", "+4,1:uid/1->D\n", 1, 9, `want -> behind the key, not "1-"`},
		{"a value that is longer than said", good + "+5,1:uid/1->DD\n", 2, 27, `want the end of the line behind the value, not 'D'`},
		{"an end behind the plus", good + "+", 2, 15, "ends inside a record"},
		{"an end in a number", "+5", 1, 2, "ends inside a record"},
		{"an end in the key", "+5,1:uid", 1, 8, "ends inside a record"},
		{"an end before the newline", good + "+5,1:uid/1->D", 2, 27, "ends inside a record"},
	} {
		for _, r := range []io.Reader{strings.NewReader(row.text), iotest.OneByteReader(strings.NewReader(row.text))} {
			_, err := readText(r, 20, 30)
			var malformed *TextError
			if !errors.As(err, &malformed) || !errors.Is(err, ErrMalformedText) ||
				malformed.Record != row.record || malformed.Offset != row.offset || !strings.Contains(err.Error(), row.reason) {
				t.Errorf("%s: %v; want %q in record %d at byte %d", row.name, err, row.reason, row.record, row.offset)
			}
		}
	}
}

func TestTextReaderPassesErrorsOn(t *testing.T) {
	const text = "+5,1:uid/1->D\n\n"
	for cut := range len(text) + 1 {
		r := io.MultiReader(strings.NewReader(text[:cut]), iotest.ErrReader(errSink))
		if _, err := readText(r, 20, 20); !errors.Is(err, errSink) || errors.Is(err, ErrMalformedText) {
			t.Errorf("an error after %d bytes: %v", cut, err)
		}
	}
}

// FuzzTextReader reads arbitrary text. What it accepts, written again, is the same
// but for zeros before a length, and says so when read again.
func FuzzTextReader(f *testing.F) {
	f.Add([]byte("\n"))
	f.Add([]byte("+5,1:uid/1->D\n+05,0:a->bc->\n\n"))
	f.Add(dump(sample()[:20]))
	f.Fuzz(func(t *testing.T, text []byte) {
		records, err := readText(bytes.NewReader(text), 100, 100)
		slow, slowErr := readText(iotest.OneByteReader(bytes.NewReader(text)), 100, 100)
		if !slices.Equal(records, slow) || (err == nil) != (slowErr == nil) || (err != nil && err.Error() != slowErr.Error()) {
			t.Fatalf("%q, %v; byte by byte %q, %v", records, err, slow, slowErr)
		}
		if err != nil {
			if !errors.Is(err, ErrMalformedText) {
				t.Fatal(err)
			}
			return
		}
		again, err := readText(bytes.NewReader(dump(records)), 100, 100)
		if err != nil || !slices.Equal(records, again) {
			t.Fatalf("%q, written and read again %q, %v", records, again, err)
		}
	})
}
