package server

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"credrpc/frame"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// The model test has callers of several users and processes do to a live server what
// callers can do, in random order, and compares with a model of what must come of it.
// What a caller is told, which handlers run, for whom, and nearly all of Stats follow
// from what was sent by whom, whenever the server looks at it: a verdict is known as
// soon as the piece that decides it is sent. So the model is not asked to guess, and a
// failure shrinks to the few steps that it takes. Only whether an answer is Answered or
// Dropped whose caller has hung up depends on time.
//
//	go test -run TestModel ./server -rapid.checks=100000 -rapid.steps=60

const (
	// modelLarge is the length of a large answer: more than the kernel takes at once, and
	// what is left more than it has room for when its caller has read a little.
	modelLarge = 2*socketBuffer + 50<<10

	// modelPatience bounds a wait of the model test. It is short, so that a hang shrinks
	// too.
	modelPatience = 5 * time.Second
)

// A model is one life of a server, and its callers.
type model struct {
	t          *rapid.T
	senders    []*sender
	srv        *Server
	path       string
	served     chan error
	allowOther bool
	callers    []*caller
	open       []*caller

	mu   sync.Mutex
	runs map[run]int // guarded by mu
}

// TestModel lets servers live through random steps.
func TestModel(t *testing.T) {
	checks := "200"
	if os.Getenv("CREDRPC_FAULTS") == "all" {
		checks = "5000"
	}
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "rapid.checks" })
	if f := flag.Lookup("rapid.checks"); !chosen {
		before := f.Value.String()
		defer f.Value.Set(before)
		if err := f.Value.Set(checks); err != nil {
			t.Fatal(err)
		}
	}
	senders := startSenders(t)
	path := publicPath(t)
	var calls, refusals int
	rapid.Check(t, func(rt *rapid.T) {
		descriptors := openDescriptors(t)
		m := &model{t: rt, senders: senders, path: path, runs: make(map[run]int)}
		defer m.cleanUp()
		m.serve()
		rt.Repeat(map[string]func(*rapid.T){
			"connect":            m.connect,
			"send a piece":       m.sendPiece,
			"send the rest":      m.sendRest,
			"send as another":    m.sendAsAnother,
			"pass a descriptor":  m.passDescriptor,
			"stop sending":       m.stopSending,
			"hang up":            m.hangUp,
			"look for an answer": m.look,
			"read a little":      m.readLittle,
			"read the rest":      m.readRest,
			"wait":               func(*rapid.T) { time.Sleep(time.Millisecond) },
		})
		m.finish()
		if n := settledDescriptors(t, descriptors); n > descriptors {
			rt.Fatalf("%d descriptors, %d before", n, descriptors)
		}
		for _, c := range m.callers {
			calls++
			if c.verdict == refused {
				refusals++
			}
		}
	})
	t.Logf("%d connections, %d of them refused", calls, refusals)
}

// serve starts the server.
func (m *model) serve() {
	m.allowOther = rapid.Bool().Draw(m.t, "allow other senders")
	ready := make(chan struct{})
	m.srv = &Server{
		Mode:             0o666,
		HandlerOnLoop:    rapid.Bool().Draw(m.t, "handler on the loop"),
		Loops:            rapid.IntRange(1, 2).Draw(m.t, "loops"),
		AllowOtherSender: m.allowOther,
		MaxRequest:       fuzzLimit,
		RequestTimeout:   4 * modelPatience, // no step waits as long
		CallTimeout:      4 * modelPatience,
		Ready:            func() { close(ready) },
		Handler: modelHandler(func(r run) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.runs[r]++
		}),
	}
	m.served = make(chan error, 1)
	go func() { m.served <- m.srv.ListenAndServe(m.path) }()
	select {
	case <-ready:
	case err := <-m.served:
		m.t.Fatalf("ListenAndServe: %v", err)
	}
}

// cleanUp ends everything, also after a failure.
func (m *model) cleanUp() {
	for _, c := range m.open {
		unix.Close(c.fd)
	}
	m.srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), modelPatience)
	defer cancel()
	m.srv.Shutdown(ctx)
}

// connect connects somebody who means to send something.
func (m *model) connect(t *rapid.T) {
	if len(m.open) >= 16 {
		t.Skip("enough callers")
	}
	c := &caller{who: m.drawSender(t, connecting(m.senders)), todo: drawWire(t)}
	fd, err := c.who.connect(m.path)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	c.fd = fd
	m.callers, m.open = append(m.callers, c), append(m.open, c)
}

// drawSender draws one of the first n senders.
func (m *model) drawSender(t *rapid.T, n int) *sender {
	names := make([]string, n)
	for i, s := range m.senders[:n] {
		names[i] = s.name
	}
	return m.senders[slices.Index(names, rapid.SampledFrom(names).Draw(t, "who"))]
}

// drawWire draws what a caller means to send.
func drawWire(t *rapid.T) []byte {
	size := rapid.OneOf(rapid.IntRange(0, 20), rapid.IntRange(130, 300), rapid.SampledFrom([]int{fuzzLimit - 1, fuzzLimit}))
	payload := func() []byte {
		b := bytes.Repeat([]byte{rapid.SampledFrom([]byte("abc")).Draw(t, "filling")}, size.Draw(t, "size"))
		if len(b) > 0 {
			b[0] = rapid.SampledFrom([]byte("aaelps")).Draw(t, "kind")
		}
		return b
	}
	switch rapid.SampledFrom([]string{"a request", "a request", "two requests", "too large", "garbage"}).Draw(t, "what") {
	case "a request":
		return request(payload())
	case "two requests":
		return append(request(payload()), request(payload())...)
	case "too large":
		return request(make([]byte, fuzzLimit+1))[:300]
	}
	return rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "garbage")
}

// pick draws an open caller for which may holds.
func (m *model) pick(t *rapid.T, may func(*caller) bool) *caller {
	var some []int
	for i, c := range m.open {
		if may(c) {
			some = append(some, i)
		}
	}
	if len(some) == 0 {
		t.Skip("nobody can")
	}
	return m.open[rapid.SampledFrom(some).Draw(t, "caller")]
}

func (m *model) sendPiece(t *rapid.T) {
	c := m.pick(t, canSend)
	m.send(t, c, c.who, rapid.IntRange(1, maxPiece).Draw(t, "bytes"))
}

func (m *model) sendRest(t *rapid.T) {
	c := m.pick(t, canSend)
	for len(c.todo) > 0 {
		m.send(t, c, c.who, maxPiece)
	}
}

func (m *model) sendAsAnother(t *rapid.T) {
	c := m.pick(t, canSend)
	m.send(t, c, m.drawSender(t, len(m.senders)), rapid.IntRange(1, maxPiece).Draw(t, "bytes"))
}

// send has who send the next n bytes of c. As long as nothing is decided it must work.
func (m *model) send(t *rapid.T, c *caller, who *sender, n int) {
	piece := c.todo[:min(n, len(c.todo))]
	c.todo = c.todo[len(piece):]
	if err := who.send(c.fd, piece); err != nil && c.verdict == undecided {
		t.Fatalf("send %d bytes: %v", len(piece), err)
	}
	c.sent(who.Credentials, piece, m.allowOther)
}

// passDescriptor passes one with the next piece. Either the kernel does not take it, or
// the call is refused.
func (m *model) passDescriptor(t *rapid.T) {
	c := m.pick(t, canSend)
	piece := c.todo[:min(len(c.todo), rapid.IntRange(1, maxPiece).Draw(t, "bytes"))]
	err := c.who.send(c.fd, piece, 0)
	switch {
	case err == nil: // Linux before 6.16
		c.todo = c.todo[len(piece):]
		c.trailing = true
		if c.verdict == undecided {
			c.verdict, c.reason = refused, RefusedDescriptors
		}
	case !errors.Is(err, unix.EPERM) && c.verdict == undecided:
		t.Fatalf("pass a descriptor: %v", err)
	}
}

func (m *model) stopSending(t *rapid.T) {
	c := m.pick(t, func(c *caller) bool { return !c.halfway })
	unix.Shutdown(c.fd, unix.SHUT_WR) // fails if the server has closed
	c.endSending()
}

func (m *model) hangUp(t *rapid.T) { m.close(m.pick(t, func(*caller) bool { return true })) }

func (m *model) close(c *caller) {
	c.endSending()
	unix.Close(c.fd)
	m.open = slices.DeleteFunc(m.open, func(other *caller) bool { return other == c })
}

// look checks that nobody is told anything before there is a reason.
func (m *model) look(t *rapid.T) {
	c := m.pick(t, func(c *caller) bool { return c.verdict == undecided })
	n, _, err := unix.Recvfrom(c.fd, make([]byte, 1), unix.MSG_DONTWAIT)
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatalf("%d bytes, %v, before the request was whole", n, err)
	}
}

func (m *model) readLittle(t *rapid.T) {
	c := m.pick(t, canRead)
	c.read(t, rapid.IntRange(1, 100_000).Draw(t, "bytes"))
}

func (m *model) readRest(t *rapid.T) { m.pick(t, canRead).readAll(t) }

// finish lets every caller that is left come to its end, and checks what there is to
// check only then.
func (m *model) finish() {
	for _, c := range slices.Clone(m.open) {
		for canSend(c) && c.verdict == undecided {
			m.send(m.t, c, m.senderOf(c), maxPiece)
		}
		if c.verdict == undecided {
			unix.Shutdown(c.fd, unix.SHUT_WR)
			c.endSending()
		}
		c.readAll(m.t)
		m.close(c)
	}
	m.await("all calls have ended", func(s Stats) bool { return s.Accepted == uint64(len(m.callers)) && s.InFlight == 0 })
	ctx, cancel := context.WithTimeout(context.Background(), modelPatience)
	defer cancel()
	if err := m.srv.Shutdown(ctx); err != nil {
		m.t.Fatalf("Shutdown: %v", err)
	}
	if err := <-m.served; !errors.Is(err, ErrServerClosed) {
		m.t.Fatalf("ListenAndServe: %v", err)
	}
	m.checkRuns()
	m.checkStats()
}

// senderOf returns who has sent for c so far.
func (m *model) senderOf(c *caller) *sender {
	for _, s := range m.senders {
		if s.Credentials == c.sender {
			return s
		}
	}
	return c.who
}

func (m *model) await(what string, holds func(Stats) bool) {
	for begin := time.Now(); !holds(m.srv.Stats()); time.Sleep(100 * time.Microsecond) {
		if time.Since(begin) > modelPatience {
			m.t.Fatalf("not within %v: %s: %+v, %d connections", modelPatience, what, m.srv.Stats(), len(m.callers))
		}
	}
}

// checkRuns checks that handlers have run once for each whole request of one sender, with
// the identities that the kernel must have given, and for nothing else.
func (m *model) checkRuns() {
	m.mu.Lock()
	defer m.mu.Unlock()
	want := make(map[run]int)
	for _, c := range m.callers {
		if c.verdict == handled {
			want[run{c.payload, c.sender, c.who.Credentials}]++
		}
	}
	for r := range want {
		if m.runs[r] != want[r] {
			m.t.Fatalf("%d handlers saw %.40q of %v, connected by %v; there were %d such calls", m.runs[r], r.payload, r.sender, r.peer, want[r])
		}
	}
	for r, n := range m.runs {
		if want[r] == 0 {
			m.t.Fatalf("%d handlers saw %.40q of %v, connected by %v; there was no such call", n, r.payload, r.sender, r.peer)
		}
	}
}

// checkStats compares the counters with what became of the callers.
func (m *model) checkStats() {
	s := m.srv.Stats()
	want := Stats{Accepted: uint64(len(m.callers)), Refused: make(map[Reason]uint64)}
	var handledCalls, received, told uint64
	for _, c := range m.callers {
		told += uint64(len(c.told))
		switch c.verdict {
		case empty:
			want.Empty++
		case refused:
			want.Refused[c.reason]++
		case handled:
			handledCalls++
			received += uint64(frame.HeaderSize + len(c.payload))
			_, err := modelAnswer(c.payload)
			if errors.Is(err, errInternal) {
				want.Panics++
			}
			switch {
			case err != nil && c.whole:
				want.Failed++
			case c.whole:
				want.Answered++
			}
		}
	}
	if s.Accepted != want.Accepted || s.Empty != want.Empty || !maps.Equal(s.Refused, want.Refused) || s.Panics != want.Panics ||
		s.Timeouts != 0 || s.InFlight != 0 || s.Accepted != ended(s) || s.Answered+s.Failed+s.Dropped != handledCalls {
		m.t.Fatalf("counted %+v, want %+v and %d handled", s, want, handledCalls)
	}
	if s.Answered < want.Answered || s.Failed < want.Failed || s.BytesIn < received || s.BytesOut < told {
		m.t.Fatalf("counted %+v, want at least %d answered, %d failed, %d bytes in, %d out", s, want.Answered, want.Failed, received, told)
	}
}
