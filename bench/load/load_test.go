package load

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name, in string
		want     Load
		ok       bool
	}{
		{"one caller, one call", "t1", Load{1, 1}, true},
		{"many callers", "t4096", Load{1, 4096}, true},
		{"a batch", "b32x1", Load{32, 1}, true},
		{"batches of several callers", "b256x4", Load{256, 4}, true},
		{"no caller", "t0", Load{}, false},
		{"no call", "b0x1", Load{}, false},
		{"too many callers", "t4097", Load{}, false},
		{"too large a batch", "b8193x1", Load{}, false},
		{"nothing", "", Load{}, false},
		{"a number alone", "16", Load{}, false},
		{"a batch without callers", "b32", Load{}, false},
		{"a sign", "t-1", Load{}, false},
		{"more behind it", "t1 ", Load{}, false},
	}
	for _, tt := range tests {
		got, err := Parse(tt.in)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
		if tt.ok && got.String() != tt.in {
			t.Errorf("%s: written as %s", tt.name, got)
		}
	}
}

func TestText(t *testing.T) {
	var l Load
	if err := l.UnmarshalText([]byte("b8x2")); err != nil || l != (Load{8, 2}) {
		t.Errorf("b8x2 is %+v, %v", l, err)
	}
	if err := l.UnmarshalText([]byte("x")); err == nil || l != (Load{8, 2}) {
		t.Errorf("x is %+v, %v", l, err)
	}
	if b, err := l.MarshalText(); string(b) != "b8x2" || err != nil {
		t.Errorf("written as %s, %v", b, err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	one := Load{1, 1}
	tests := []struct {
		name string
		c    Config
	}{
		{"no path", Config{Load: one}},
		{"no load", Config{Path: "/x"}},
		{"a negative payload", Config{Path: "/x", Load: one, Payload: -1}},
		{"too large a payload", Config{Path: "/x", Load: one, Payload: MaxPayload + 1}},
		{"a negative number of sleepers", Config{Path: "/x", Load: one, Payload: 1, Sleepers: -1}},
		{"sleepers without a byte to say so", Config{Path: "/x", Load: one, Sleepers: 1}},
		{"too many callers together", Config{Path: "/x", Load: Load{1, MaxCallers}, Payload: 1, Sleepers: 1}},
		{"more connections than descriptors", Config{Path: "/x", Load: Load{MaxBatch, MaxCallers}}},
		{"an open loop of batches", Config{Path: "/x", Load: Load{2, 1}, Arrivals: constant(1, time.Second)}},
		{"an open loop without steps", Config{Path: "/x", Load: one, Arrivals: &Arrivals{}}},
		{"a negative warm-up", Config{Path: "/x", Load: one, WarmUp: -1}},
		{"a run of a month", Config{Path: "/x", Load: one, Duration: 31 * 24 * time.Hour}},
		{"a negative number of pieces", Config{Path: "/x", Load: one, Pieces: -1}},
		{"a pause of an hour", Config{Path: "/x", Load: one, Pause: time.Hour}},
		{"an answer of its own for a short request", Config{Path: "/x", Load: one, Sizes: Sizes{{Request: Range{12, 12}, Answer: &Range{1, 1}, Weight: 1}}}},
		{"sleepers with sizes", Config{Path: "/x", Load: one, Payload: 1, Sizes: fixed(3), Sleepers: 1}},
		{"more users than callers", Config{Path: "/x", Load: one, UIDs: UIDs{1, 2}}},
		{"too many users in turn", Config{Path: "/x", Load: one, Identities: MaxIdentities + 1}},
		{"users of their own and in turn", Config{Path: "/x", Load: one, UIDs: UIDs{1}, Identities: 1}},
		{"hostile callers of no kind", Config{Path: "/x", Load: one, Hostile: Hostile{{"rude", 1}}}},
	}
	for _, tt := range tests {
		if r, err := Run(tt.c); err == nil {
			t.Errorf("%s: %+v", tt.name, r)
		}
	}
}
