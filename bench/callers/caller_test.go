package callers

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// TestWrongAnswers has connections that lie, that fail, and that mix up callers.
func TestWrongAnswers(t *testing.T) {
	var last atomic.Pointer[[]byte]
	tests := []struct {
		name string
		echo func([]byte) ([]byte, error)
		want func(*caller) uint64
	}{
		{"right", func(p []byte) ([]byte, error) { return bytes.Clone(p), nil }, func(c *caller) uint64 { return c.counts.Calls }},
		{"a bit is wrong", func(p []byte) ([]byte, error) { p = bytes.Clone(p); p[20] ^= 1; return p, nil }, func(c *caller) uint64 { return c.counts.Wrong }},
		{"a byte is missing", func(p []byte) ([]byte, error) { return bytes.Clone(p[1:]), nil }, func(c *caller) uint64 { return c.counts.Wrong }},
		{"the call before is answered", func(p []byte) ([]byte, error) {
			now := bytes.Clone(p)
			if before := last.Swap(&now); before != nil {
				return *before, nil
			}
			return nil, nil
		}, func(c *caller) uint64 { return c.counts.Wrong }},
		{"an error", func([]byte) ([]byte, error) { return nil, errors.New("no") }, func(c *caller) uint64 { return c.counts.Failed }},
	}
	for _, tt := range tests {
		callers := []*caller{newCaller(fake{tt.echo}, 0, 32), newCaller(fake{tt.echo}, 1, 32)}
		for _, c := range callers {
			c.run(t.Context(), t.Context(), time.Now(), 0, time.Millisecond)
			if n := tt.want(c); n == 0 || n != c.counts.Calls+c.counts.Errors() || (c.firstFail == "") != (tt.name == "right") || c.kinds[c.firstFail] != c.counts.Errors() {
				t.Errorf("%s: %+v %q", tt.name, c.counts, c.firstFail)
			}
		}
	}
	if a, b := newCaller(nil, 1, 32), newCaller(nil, 2, 32); a.number == b.number {
		t.Error("two callers whose calls have the same numbers")
	}
}

// A fake is a connection without a server.
type fake struct {
	answer func([]byte) ([]byte, error)
}

func (f fake) Echo(_ context.Context, p []byte) ([]byte, error) { return f.answer(p) }
func (fake) Close() error                                       { return nil }

// TestGiveUp has a server that is gone: callers do not go on until the end.
func TestGiveUp(t *testing.T) {
	c := newCaller(fake{func([]byte) ([]byte, error) { return nil, errors.New("gone") }}, 0, 0)
	c.run(t.Context(), t.Context(), time.Now(), 0, time.Hour)
	if c.counts.Failed != giveUp {
		t.Errorf("%+v", c.counts)
	}
}

// TestWarmUpApart checks which calls of a caller count.
func TestWarmUpApart(t *testing.T) {
	made := uint64(0)
	c := newCaller(fake{func(p []byte) ([]byte, error) {
		if made++; made <= 3 {
			time.Sleep(20 * time.Millisecond) // three calls begin before, at most
		}
		return bytes.Clone(p), nil
	}}, 0, 32)
	c.run(t.Context(), t.Context(), time.Now(), 30*time.Millisecond, 65*time.Millisecond)
	if c.counts.Calls+1 > made || c.counts.Calls+3 < made || uint64(c.latency.TotalCount()) != c.counts.Calls {
		t.Errorf("%d of %d calls count", c.counts.Calls, made)
	}
}
