package load

import (
	"math/rand/v2"
	"testing"
)

func TestParseSizes(t *testing.T) {
	tests := []struct {
		name, in, out   string
		request, answer int // the largest
	}{
		{"a number", "32", "32", 32, 32},
		{"units", "1K,2M,3KiB", "1024,2097152,3072", 2 << 20, 2 << 20},
		{"a range", "0-65536", "0-65536", 65536, 65536},
		{"an answer of its own", "13/1M", "13/1048576", 13, 1 << 20},
		{"an answer that is empty", "100-200/0", "100-200/0", 200, 0},
		{"a mix", "32:90,32/1M:10", "32:90,32/1048576:10", 32, 1 << 20},
		{"the largest", "16M/16M", "16777216/16777216", MaxPayload, MaxPayload},
		{"more than the largest", "16M,16777217", "", 0, 0},
		{"a request that cannot say what it wants", "12/50", "", 0, 0},
		{"a range that may be too short for it", "12-50/50", "", 0, 0},
		{"a range that ends before it begins", "5-4", "", 0, 0},
		{"no weight", "5:", "", 0, 0},
		{"a weight of nothing", "5:0", "", 0, 0},
		{"nothing", "", "", 0, 0},
		{"an empty part", "5,", "", 0, 0},
		{"a sign", "-5", "", 0, 0},
		{"an unknown unit", "5T", "", 0, 0},
	}
	for _, tt := range tests {
		got, err := ParseSizes(tt.in)
		if (err == nil) != (tt.out != "") {
			t.Errorf("%s: %v, %v", tt.name, got, err)
			continue
		}
		if err != nil {
			continue
		}
		request, answer := got.Max()
		if got.String() != tt.out || request != tt.request || answer != tt.answer {
			t.Errorf("%s: %v of up to %d and %d bytes", tt.name, got, request, answer)
		}
	}
	var none Sizes
	if err := none.UnmarshalText(nil); err != nil || none != nil {
		t.Errorf("no sizes at all: %v, %v", none, err)
	}
}

// TestPick checks that every size is one that was asked for, that all of them
// come, as often as they weigh, and that the seed decides.
func TestPick(t *testing.T) {
	sizes, err := ParseSizes("10-12:3,20/1:1")
	if err != nil {
		t.Fatal(err)
	}
	const n = 4000
	pick := func(seed uint64) (counts map[exchange]int) {
		counts = map[exchange]int{}
		random := rand.New(rand.NewPCG(seed, 0))
		for range n {
			counts[sizes.pick(random)]++
		}
		return counts
	}
	counts := pick(1)
	for _, want := range []exchange{{10, 10, false}, {11, 11, false}, {12, 12, false}, {20, 1, true}} {
		if got := counts[want]; got < n/4-n/20 || got > n/4+n/20 {
			t.Errorf("%+v: %d of %d", want, got, n)
		}
	}
	if len(counts) != 4 {
		t.Errorf("%v", counts)
	}
	again, other := pick(1), pick(2)
	same := true
	for x, got := range counts {
		if again[x] != got {
			t.Errorf("%+v: %d, then %d", x, got, again[x])
		}
		same = same && other[x] == got
	}
	if same {
		t.Error("another seed changes nothing")
	}
}
