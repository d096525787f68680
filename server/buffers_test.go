package server

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"

	"credrpc/frame"
)

func TestBuffers(t *testing.T) {
	var b buffers
	for _, capacity := range []int{0, 1, 512, keptBuffer, keptBuffer + 1, keptBuffer + largeSlack, keptBuffer + largeSlack + 1,
		1 << 20, 1<<20 + largeSlack, 1<<20 + largeSlack + 1, frame.MaxPayload + answerHead} {
		got := b.get(capacity)
		if len(got.B) != 0 || cap(got.B) < capacity || capacity > keptBuffer && cap(got.B) > 2*capacity+largeSlack {
			t.Errorf("for %d bytes: length %d, capacity %d", capacity, len(got.B), cap(got.B))
		}
		got.B = append(got.B, "some"...)
		b.put(got)
	}
	for class := range largeClasses {
		if size := classSize(class); classOf(size) != class || classOf(size+1) != class+1 {
			t.Errorf("class %d of %d bytes is %d, of one more %d", class, size, classOf(size), classOf(size+1))
		}
	}
	if classOf(1<<62) != largeClasses {
		t.Error("there is a class for everything")
	}
	b.put(nil)
	// What handlers have made goes to those that need no more.
	for range 1000 {
		odd := b.get(0)
		odd.B = make([]byte, 0, keptBuffer+rand.IntN(1<<20))
		b.put(odd)
		capacity := rand.IntN(1 << 20)
		got := b.get(capacity)
		if len(got.B) != 0 || cap(got.B) < capacity {
			t.Fatalf("for %d bytes: length %d, capacity %d", capacity, len(got.B), cap(got.B))
		}
		got.B = append(got.B, 1, 2, 3)
		got = b.grow(got, 2*capacity+3)
		if !bytes.Equal(got.B, []byte{1, 2, 3}) || cap(got.B) < 2*capacity+3 {
			t.Fatalf("grown to %d bytes: %v, capacity %d", 2*capacity+3, got.B, cap(got.B))
		}
		b.put(got)
	}
}

func TestAnswerSize(t *testing.T) {
	var s answerSize
	s.note(keptBuffer)
	if n := s.bytes.Load(); n != 0 {
		t.Errorf("%d after a small answer", n)
	}
	s.note(1 << 20)
	s.note(1 << 20)
	if n := s.bytes.Load(); n != 1<<20 {
		t.Errorf("%d after answers of 1 MiB", n)
	}
	s.note(2 << 20)
	if n := s.bytes.Load(); n != 2<<20 {
		t.Errorf("%d after one of 2 MiB", n)
	}
	small := 0
	for ; s.bytes.Load() > 0 && small < 1000; small++ {
		s.note(10)
	}
	if small < 16 || small > 200 {
		t.Errorf("%d small answers make it forget", small)
	}
}

// TestLend has large answers: what is lent for them in advance is charged to the
// user, and takes no more than half of what he may have.
func TestLend(t *testing.T) {
	run := &serving{accounts: accounts{maxBytes: 8 << 20}}
	run.answers.note(1 << 20)
	w := &worker{run: run}
	a := new(account)
	var conns []*conn
	large := 0
	for range 10 {
		c := &conn{loop: &loop{run: run}, account: a}
		c.answer = w.lend(c)
		if cap(c.answer.B) > 1<<20 {
			large++
		} else if cap(c.answer.B) < answerHead+answerRoom {
			t.Errorf("room for %d bytes", cap(c.answer.B))
		}
		conns = append(conns, c)
	}
	if n := a.bytes.Load(); large != 3 || n < 3<<20 || n > 4<<20 {
		t.Errorf("%d large buffers, %d bytes charged", large, n)
	}
	w.wary = true
	c := &conn{loop: &loop{run: run}, account: new(account)}
	if c.answer = w.lend(c); cap(c.answer.B) > keptBuffer {
		t.Errorf("%d bytes are lent though handlers block", cap(c.answer.B))
	}
	for _, c := range conns {
		c.release()
	}
	if n := a.bytes.Load(); n != 0 {
		t.Errorf("%d bytes are charged at the end", n)
	}
}

// TestLentInVain has a handler whose answers lie in memory of its own, and one that
// returns a part of dst: nothing is lent to them for long or counted as theirs, and
// what callers get is theirs.
func TestLentInVain(t *testing.T) {
	const size = 1 << 20
	own := bytes.Repeat([]byte("own "), size/4)
	for name, tt := range map[string]struct {
		handler HandlerFunc
		want    []byte
	}{
		"own memory": {func(context.Context, []byte, *Call) ([]byte, error) { return own, nil }, own},
		"within dst": {func(_ context.Context, dst []byte, _ *Call) ([]byte, error) {
			return append(dst, append([]byte("some"), own...)...)[4:], nil
		}, own},
	} {
		t.Run(name, func(t *testing.T) {
			// Room for one such call and not for a buffer besides.
			srv := &Server{Handler: tt.handler, MaxBytesPerUID: largestCall(DefaultMaxRequest, DefaultMaxResponse)}
			path := start(t, srv)
			for range 20 {
				answer, err := call(t, path, nil)
				if err != nil || !bytes.Equal(answer, tt.want) {
					t.Fatalf("%d bytes, %v", len(answer), err)
				}
				checkAccounts(t, srv)
			}
			if n := running(srv).answers.bytes.Load(); name == "own memory" && n != 0 {
				t.Errorf("buffers of %d bytes are lent in vain", n)
			}
		})
	}
}
