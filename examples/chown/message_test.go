package chown

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
)

// long is a path of n bytes that could be a file's.
func long(n int) string { return strings.Repeat("a/", n)[:n-1] + "a" }

// badPaths are refused whoever asks, by what the error says.
var badPaths = map[string]string{
	"":                "is empty",
	"/":               "is absolute",
	"/etc/shadow":     "is absolute",
	"..":              `".."`,
	"../1001/f":       `".."`,
	"out/../../f":     `".."`,
	"out/..":          `".."`,
	".":               `"."`,
	"out/./f":         `"."`,
	"out/":            `""`,
	"out//f":          `""`,
	"out\x00/../f":    "zero byte",
	"out\x00":         "zero byte",
	long(MaxPath + 1): "has 4096 bytes",
}

func TestPaths(t *testing.T) {
	for path, want := range badPaths {
		if _, err := (&Request{path}).MarshalBinary(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("encode %.20q: %v, want something about %q", path, err, want)
		}
		var r Request
		err := r.UnmarshalBinary(append([]byte{byte(len(path) >> 8), byte(len(path))}, path...))
		if err == nil || !strings.Contains(err.Error(), want) || r.Path != "" {
			t.Errorf("decode %.20q: %+v, %v, want something about %q", path, r, err, want)
		}
	}
	for _, path := range []string{"f", "out/f", "...", "..f", "f..", " ", "\xff\n", long(MaxPath)} {
		b, err := (&Request{path}).MarshalBinary()
		if err != nil || len(b) > MaxRequest {
			t.Fatalf("%.20q: %d bytes, %v", path, len(b), err)
		}
		var r Request
		if err := r.UnmarshalBinary(b); err != nil || r.Path != path {
			t.Errorf("%.20q became %.20q, %v", path, r.Path, err)
		}
	}
}

func TestMalformedMessages(t *testing.T) {
	for _, b := range []string{"", "\x00", "\x00\x01", "\x00\x02f", "\x00\x01ff", "\xff\xfff", "f"} {
		if err := new(Request).UnmarshalBinary([]byte(b)); !errors.Is(err, ErrMalformed) {
			t.Errorf("request %q: %v", b, err)
		}
	}
	for _, n := range []int{0, 1, answerSize - 1, answerSize + 1} {
		if err := new(Answer).UnmarshalBinary(make([]byte, n)); !errors.Is(err, ErrMalformed) {
			t.Errorf("answer of %d bytes: %v", n, err)
		}
	}
}

func TestAnswer(t *testing.T) {
	a := Answer{Owner{1, 2}, Owner{1<<32 - 2, 4}}
	b, _ := a.AppendBinary([]byte("x"))
	var back Answer
	if err := back.UnmarshalBinary(b[1:]); err != nil || back != a {
		t.Errorf("%v became %v, %v", a, back, err)
	}
	if want := []byte("x\x00\x00\x00\x01\x00\x00\x00\x02\xff\xff\xff\xfe\x00\x00\x00\x04"); !bytes.Equal(b, want) {
		t.Errorf("encoded %q, want %q", b, want)
	}
}

// TestRandomRequests decodes what callers could send: what is taken is encoded as it was
// sent, and leads downwards.
func TestRandomRequests(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	taken := 0
	for range 100_000 {
		b := []byte{0, byte(random.IntN(8))}
		for range random.IntN(8) {
			b = append(b, "ab./\x00"[random.IntN(5)])
		}
		var r Request
		if r.UnmarshalBinary(b) != nil {
			continue
		}
		taken++
		if again, err := r.MarshalBinary(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q was sent, %q is encoded, %v", b, again, err)
		}
		if path := r.Path; path != filepath.Clean(path) || !filepath.IsLocal(path) || path == "." {
			t.Fatalf("%q was taken", path)
		}
	}
	if taken < 100 {
		t.Errorf("only %d requests were taken", taken)
	}
}
