package frame

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// TestAppend pins the exact bytes of every kind of frame.
func TestAppend(t *testing.T) {
	request := func(p string) []byte { b, _ := AppendRequest(nil, []byte(p)); return b }
	response := func(p string) []byte { b, _ := AppendResponse(nil, []byte(p)); return b }
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"an empty request is a header of zero", request(""), "\x00\x00\x00\x00"},
		{"a request of one byte", request("a"), "\x00\x00\x00\x01a"},
		{"a length of two bytes is big endian", request(strings.Repeat("x", 0x102)), "\x00\x00\x01\x02" + strings.Repeat("x", 0x102)},
		{"an empty answer is two empty frames", response(""), "\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"an answer follows an empty error frame", response("hi"), "\x00\x00\x00\x00\x00\x00\x00\x02hi"},
		{"an error is one frame", AppendError(nil, "no"), "\x00\x00\x00\x02no"},
		{"an error without a text does not read as success", AppendError(nil, ""), "\x00\x00\x00\x11unspecified error"},
		{"frames are appended to what is there", AppendError([]byte("before"), "x"), "before\x00\x00\x00\x01x"},
	}
	for _, tt := range tests {
		if string(tt.got) != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

// TestAppendTooLarge checks that no frame reaches 0x09000000 bytes.
func TestAppendTooLarge(t *testing.T) {
	if MaxPayload+HeaderSize != 0x09000000-1 {
		t.Fatalf("the largest frame has %#x bytes", MaxPayload+HeaderSize)
	}
	huge := make([]byte, MaxPayload+1)
	for name, appendTo := range map[string]func(dst, p []byte) ([]byte, error){
		"request": AppendRequest, "response": AppendResponse,
	} {
		got, err := appendTo([]byte("kept"), huge)
		var tooLarge *TooLargeError
		if !errors.As(err, &tooLarge) || tooLarge.Length != MaxPayload+1 || tooLarge.Limit != MaxPayload {
			t.Errorf("%s: error %v", name, err)
		}
		if string(got) != "kept" {
			t.Errorf("%s: dst became %d bytes", name, len(got))
		}
		if got, err := appendTo(nil, huge[:MaxPayload]); err != nil || len(got) < MaxPayload+HeaderSize {
			t.Errorf("%s: the largest payload is refused: %v", name, err)
		}
	}
	if got := AppendError(nil, strings.Repeat("e", MaxPayload+10)); len(got) != MaxPayload+HeaderSize {
		t.Errorf("a long error text makes a frame of %#x bytes", len(got))
	}
}

func TestParseRequest(t *testing.T) {
	tests := []struct {
		name, in string
		limit    uint32
		want     string
		err      error
	}{
		{"empty payload with the zero limit", "\x00\x00\x00\x00", 0, "", nil},
		{"payload as long as the limit", "\x00\x00\x00\x03abc", 3, "abc", nil},
		{"nothing at all", "", 9, "", ErrTruncated},
		{"half a header", "\x00\x00", 9, "", ErrTruncated},
		{"header alone", "\x00\x00\x00\x03", 9, "", ErrTruncated},
		{"payload cut short", "\x00\x00\x00\x03ab", 9, "", ErrTruncated},
		{"bytes behind the frame", "\x00\x00\x00\x01ab", 9, "", ErrTrailing},
		{"one byte over the limit", "\x00\x00\x00\x04abcd", 3, "", new(TooLargeError)},
		{"a header that claims 4 GiB", "\xff\xff\xff\xff", 0xffffffff, "", new(TooLargeError)},
		{"printed text reads as an oversize header", "\t\n\t\nsudo: no", 0xffffffff, "", new(TooLargeError)},
	}
	for _, tt := range tests {
		got, err := ParseRequest([]byte(tt.in), tt.limit)
		if string(got) != tt.want || !sameKind(err, tt.err) {
			t.Errorf("%s: got %q, %v; want %q, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
}

func TestParseResponse(t *testing.T) {
	tests := []struct {
		name, in string
		limit    uint32
		want     string
		failed   bool
		err      error
	}{
		{"empty answer with the zero limit", "\x00\x00\x00\x00\x00\x00\x00\x00", 0, "", false, nil},
		{"answer", "\x00\x00\x00\x00\x00\x00\x00\x02hi", 2, "hi", false, nil},
		{"error", "\x00\x00\x00\x02no", 2, "no", true, nil},
		{"error with an ignored second frame", "\x00\x00\x00\x02no\x00\x00\x00\x00", 2, "no", true, nil},
		{"empty error frame alone", "\x00\x00\x00\x00", 2, "", false, ErrTruncated},
		{"error text cut short", "\x00\x00\x00\x02n", 2, "", true, ErrTruncated},
		{"answer cut short", "\x00\x00\x00\x00\x00\x00\x00\x02h", 2, "", false, ErrTruncated},
		{"bytes behind an answer", "\x00\x00\x00\x00\x00\x00\x00\x00x", 2, "", false, ErrTrailing},
		{"error text over the limit", "\x00\x00\x00\x03nay", 2, "", true, new(TooLargeError)},
		{"answer over the limit", "\x00\x00\x00\x00\x00\x00\x00\x03abc", 2, "", false, new(TooLargeError)},
	}
	for _, tt := range tests {
		got, failed, err := ParseResponse([]byte(tt.in), tt.limit)
		if string(got) != tt.want || failed != tt.failed || !sameKind(err, tt.err) {
			t.Errorf("%s: got %q, %v, %v; want %q, %v, %v", tt.name, got, failed, err, tt.want, tt.failed, tt.err)
		}
	}
}

// TestEverySplit feeds a request and a response in every split into two
// chunks, and byte by byte.
func TestEverySplit(t *testing.T) {
	request, _ := AppendRequest(nil, []byte("payload"))
	response, _ := AppendResponse(nil, []byte("payload"))
	for cut := 0; cut <= len(request); cut++ {
		var d Decoder
		d.Reset(100)
		if got, err := collect(&d, request[:cut], request[cut:]); err != nil || string(got) != "payload" || !d.Done() {
			t.Errorf("request cut at %d: %q, %v", cut, got, err)
		}
	}
	for cut := 0; cut <= len(response); cut++ {
		var d ResponseDecoder
		d.Reset(100)
		if got, err := collect(&d, response[:cut], response[cut:]); err != nil || string(got) != "payload" || !d.Done() || d.Failed() {
			t.Errorf("response cut at %d: %q, %v", cut, got, err)
		}
	}
	var d ResponseDecoder
	d.Reset(100)
	if got, err := collect(&d, bytes.SplitAfter(response, nil)...); err != nil || string(got) != "payload" || !d.Done() {
		t.Errorf("response byte by byte: %q, %v", got, err)
	}
}

// TestMissing checks what a decoder says it lacks, in the order of a call.
func TestMissing(t *testing.T) {
	var d Decoder
	d.Reset(10)
	if d.Started() || d.Missing() != 4 {
		t.Errorf("new: started %v, missing %d", d.Started(), d.Missing())
	}
	d.Next([]byte{0, 0, 0})
	if !d.Started() || d.Missing() != 1 {
		t.Errorf("three bytes in: started %v, missing %d", d.Started(), d.Missing())
	}
	d.Next([]byte{5, 'a'})
	if d.Missing() != 4 || d.Done() {
		t.Errorf("one payload byte in: missing %d", d.Missing())
	}
	_, rest, _ := d.Next([]byte("bcdefgh"))
	if !d.Done() || d.Missing() != 0 || string(rest) != "fgh" {
		t.Errorf("done: missing %d, rest %q", d.Missing(), rest)
	}
	d.Reset(10)
	for range 2 {
		if _, _, err := d.Next([]byte{0, 0, 0, 11}); err == nil || d.Done() || d.Missing() != 0 {
			t.Errorf("over the limit: %v, done %v, missing %d", err, d.Done(), d.Missing())
		}
	}
}

func TestAllocations(t *testing.T) {
	request, _ := AppendRequest(nil, make([]byte, 100))
	response, _ := AppendResponse(nil, make([]byte, 100))
	buf := make([]byte, 0, 256)
	got := testing.AllocsPerRun(100, func() {
		buf, _ = AppendRequest(buf[:0], request)
		buf, _ = AppendResponse(buf[:0], request)
		buf = AppendError(buf[:0], "text")
		ParseRequest(request, 100)
		ParseResponse(response, 100)
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// next is what both decoders have in common.
type next interface {
	Next(chunk []byte) (piece, rest []byte, err error)
}

// collect feeds chunks to d and returns the payload that they hold.
func collect(d next, chunks ...[]byte) (payload []byte, err error) {
	for _, chunk := range chunks {
		piece, _, err := d.Next(chunk)
		payload = append(payload, piece...)
		if err != nil {
			return payload, err
		}
	}
	return payload, nil
}

// sameKind reports whether err is want, or of the same type.
func sameKind(err, want error) bool {
	var a, b *TooLargeError
	if errors.As(want, &b) {
		return errors.As(err, &a)
	}
	return errors.Is(err, want)
}

func BenchmarkDecode(b *testing.B) {
	request, _ := AppendRequest(nil, make([]byte, 32))
	for b.Loop() {
		var d Decoder
		d.Reset(1 << 20)
		if _, _, err := d.Next(request); err != nil || !d.Done() {
			b.Fatal(err)
		}
	}
}
