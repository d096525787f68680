package load

import (
	"encoding/binary"
	"math"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// constant is an open loop of one rate.
func constant(rate float64, d time.Duration) *Arrivals {
	return &Arrivals{Steps: Steps{{rate, d}}}
}

// serveInTurn starts a server that answers one call after another and calls before
// before each. It returns its path.
func serveInTurn(t *testing.T, before func()) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		request := make([]byte, 1000)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(time.Minute))
			n, err := conn.Read(request) // one send, so one piece
			if err == nil {
				before()
				conn.Write(right(request[:n]))
			}
			conn.Close()
		}
	}()
	return path
}

// count returns how many values of a histogram are at least least, give or take
// its three digits.
func count(t *testing.T, text string, least time.Duration) (n uint64) {
	t.Helper()
	h, err := hdrhistogram.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, bar := range h.Distribution() {
		if bar.From >= int64(least)*999/1000 {
			n += uint64(bar.Count)
		}
	}
	return n
}

// decoded returns a histogram.
func decoded(t *testing.T, text string) *hdrhistogram.Histogram {
	t.Helper()
	h, err := hdrhistogram.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// checkArrivals checks that all arrivals are accounted for, one by one.
func checkArrivals(t *testing.T, r *Result, want uint64) {
	t.Helper()
	o := r.Offered
	if o == nil {
		t.Fatal("nothing was offered")
	}
	if o.Scheduled != want || r.Calls+r.Errors()+o.Unstarted != want {
		t.Errorf("%d arrivals, want %d: %d calls, %d errors (%s), %d unstarted", o.Scheduled, want, r.Calls, r.Errors(), r.FirstError, o.Unstarted)
	}
	latencies, waits := decoded(t, r.Histogram).TotalCount(), decoded(t, o.CallerWaitHistogram).TotalCount()
	if uint64(latencies) != r.Calls+o.Unstarted || uint64(waits) != want || uint64(decoded(t, o.PacingHistogram).TotalCount()) != want-o.Unstarted {
		t.Errorf("%d latencies and %d waits of %d calls and %d unstarted", latencies, waits, r.Calls, o.Unstarted)
	}
}

// TestOpenKnownLatency measures a server that takes 20 ms for each call and has
// room for all. Latency is the sum of its parts.
func TestOpenKnownLatency(t *testing.T) {
	const latency = 20 * time.Millisecond
	path := serve(t, func(request []byte) [][]byte {
		time.Sleep(latency)
		return [][]byte{right(request)}
	})
	r := generate(t, Config{Path: path, Load: Load{1, 16}, Payload: 32, Arrivals: constant(200, 500*time.Millisecond)})
	checkArrivals(t, r, 100)
	if n := count(t, r.ServiceHistogram, latency); n != r.Calls {
		t.Errorf("%d of %d calls took at least %v", n, r.Calls, latency)
	}
	if r.Latency.P50 < r.ServiceTime.P50 || r.Latency.Max < r.ServiceTime.Max {
		t.Errorf("latency %+v, service time %+v", r.Latency, r.ServiceTime)
	}
	checkParts(t, r)
	checkShare(t, r.ServiceHistogram, 16, r.Seconds)
	if r.CallsPerSecond > 100/r.Seconds || math.Abs(r.Offered.PerSecond-200) > 0.001 {
		t.Errorf("%v calls/s of %v offered", r.CallsPerSecond, r.Offered.PerSecond)
	}
}

// checkParts checks that latency is the sum of its parts, if all arrivals were begun
// and answered right.
func checkParts(t *testing.T, r *Result) {
	t.Helper()
	if r.Offered.Unstarted > 0 || r.Errors() > 0 {
		return
	}
	parts := decoded(t, r.ServiceHistogram).Mean() + decoded(t, r.Offered.PacingHistogram).Mean() + decoded(t, r.Offered.CallerWaitHistogram).Mean()
	if mean := decoded(t, r.Histogram).Mean(); math.Abs(mean-parts) > mean/100 {
		t.Errorf("a mean latency of %v is not the sum of its parts, %v", mean, parts)
	}
}

// TestStall has a server that stops once for 200 ms. Every arrival of that time is
// charged with what was left of it, and the service time of those that were sent
// later is not.
func TestStall(t *testing.T) {
	const stall = 200 * time.Millisecond
	calls := 0
	path := serveInTurn(t, func() {
		if calls++; calls == 100 {
			time.Sleep(stall)
		}
	})
	const callers = 4
	r := generate(t, Config{Path: path, Load: Load{1, callers}, Payload: 32, Arrivals: constant(1000, time.Second)})
	checkArrivals(t, r, 1000)
	// Those of the first half waited for at least the other half.
	late, slow := count(t, r.Histogram, stall/2), count(t, r.ServiceHistogram, stall/2)
	if late < 100 {
		t.Errorf("only %d arrivals have a latency of %v, %d a service time", late, stall/2, slow)
	}
	// Each is charged with its own share: the 50 that were scheduled in the second
	// quarter of the stall waited for less than those of the first.
	if most := count(t, r.Histogram, 3*stall/4); late < most+25 {
		t.Errorf("%d arrivals have a latency of %v, and %d of %v", most, 3*stall/4, late, stall/2)
	}
	checkParts(t, r)
	checkShare(t, r.ServiceHistogram, callers, r.Seconds)
	// Callers that were in a call; a busy machine may add some.
	if slow == 0 || slow > late/2 {
		t.Errorf("%d calls have a service time of %v, and %d that latency", slow, stall/2, late)
	}
	// A busy machine may make callers late too, which is told apart.
	if n := count(t, r.Offered.CallerWaitHistogram, stall/4); n < 25 {
		t.Errorf("only %d of %d arrivals waited for a caller", n, late)
	}
}

// TestOverload offers twice what callers can do. What is not begun at the end is
// counted, and its age is a latency.
func TestOverload(t *testing.T) {
	const latency = 10 * time.Millisecond
	path := serve(t, func(request []byte) [][]byte {
		time.Sleep(latency)
		return [][]byte{right(request)}
	})
	r := generate(t, Config{Path: path, Load: Load{1, 2}, Payload: 32, Arrivals: &Arrivals{Steps: Steps{{400, 200 * time.Millisecond}, {100, 100 * time.Millisecond}}}})
	checkArrivals(t, r, 90)
	if most := uint64(2 * (r.Seconds/latency.Seconds() + 1)); r.Calls > most {
		t.Errorf("%d calls in %v s; %d can be", r.Calls, r.Seconds, most)
	}
	if r.Offered.Unstarted == 0 {
		t.Errorf("two callers began all of %d calls", r.Calls)
	}
	// The last that were begun had waited for about half of the run.
	if n := count(t, r.Histogram, 50*time.Millisecond); n == 0 {
		t.Errorf("latency %+v", r.Latency)
	}
	if len(r.Steps) != 2 || r.Steps[0].Scheduled != 80 || r.Steps[1].Scheduled != 10 || r.Steps[1].Rate != 100 {
		t.Errorf("steps %+v", r.Steps)
	}
	for _, s := range r.Steps {
		if most := 2/latency.Seconds() + 2/s.Seconds; s.CallsPerSecond > most {
			t.Errorf("%v calls/s in a step; %v can be", s.CallsPerSecond, most)
		}
	}
}

// TestWarmUp makes calls that are not counted, in both loops.
func TestWarmUp(t *testing.T) {
	var seen atomic.Uint64
	path := serve(t, func(request []byte) [][]byte {
		seen.Add(1)
		return [][]byte{right(request)}
	})
	r := generate(t, Config{Path: path, Load: Load{1, 4}, Payload: 32, WarmUp: 100 * time.Millisecond, Arrivals: constant(500, 100*time.Millisecond)})
	checkArrivals(t, r, 50)
	if n := seen.Load(); n+r.Offered.Unstarted < 50 || n > 100 || r.WarmUp != 0.1 {
		t.Errorf("the server saw %d calls", n)
	}
	if r.Offered.Unstarted == 0 && seen.Load() != 100 {
		t.Errorf("the server saw %d calls", seen.Load())
	}
	seen.Store(0)
	c := short(path, Load{2, 2})
	c.WarmUp = 50 * time.Millisecond
	r = generate(t, c)
	if r.Calls == 0 || r.Calls >= seen.Load() || uint64(decoded(t, r.Histogram).TotalCount()) != r.Calls {
		t.Errorf("%d calls count of %d", r.Calls, seen.Load())
	}
}

// TestPayloadsApart mixes sizes. The server makes the answers as package load
// wants them.
func TestPayloadsApart(t *testing.T) {
	var echo Echo
	path := serve(t, func(request []byte) [][]byte {
		answer := echo.Append(make([]byte, 2*headerSize), request[headerSize:], 0, 0)
		binary.BigEndian.PutUint32(answer[headerSize:], uint32(len(answer)-2*headerSize))
		return [][]byte{answer}
	})
	sizes, err := ParseSizes("0-100:4,13-50/0-70:4,32/600K,300K/13,200K-300K")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []Load{{1, 2}, {4, 1}} {
		r := generate(t, Config{Path: path, Load: l, Sizes: sizes, Duration: 100 * time.Millisecond, Phases: true})
		if r.Calls == 0 || r.Errors() != 0 || r.RequestBytes == 0 || r.AnswerBytes == 0 || r.BytesPerSecond == 0 || r.Payload != 300<<10 {
			t.Errorf("%v: %+v %s, %d and %d bytes", l, r.Counts, r.FirstError, r.RequestBytes, r.AnswerBytes)
		}
		checkPhases(t, r)
	}
}

// checkPhases checks that the means of the phases add up to that of service time.
func checkPhases(t *testing.T, r *Result) {
	t.Helper()
	p := r.Phases
	if p == nil {
		t.Fatal("no phases")
	}
	sum := p.Connect.Mean + p.Send.Mean + p.Wait.Mean + p.Receive.Mean
	service, err := r.DecodeService()
	if err != nil {
		t.Fatal(err)
	}
	if mean := service.Mean() / 1000; math.Abs(sum-mean) > mean/100+0.2 { // the lowest time is 64 ns
		t.Errorf("phases %+v of %v µs", p, mean)
	}
}

// TestWrongFarBehind changes one byte of a large answer.
func TestWrongFarBehind(t *testing.T) {
	for _, place := range []int{2*headerSize + 10, 100_000, 299_999} {
		path := serve(t, func(request []byte) [][]byte {
			answer := right(request)
			answer[place]++
			return [][]byte{answer}
		})
		c := short(path, Load{1, 1})
		c.Payload = 300_000
		if r := generate(t, c); r.Calls != 0 || r.Wrong == 0 || r.Wrong != r.Errors() {
			t.Errorf("byte %d: %+v %s", place, r.Counts, r.FirstError)
		}
	}
}

// TestPhases has a server that sleeps before the first byte, and between it and the
// others. Pieces of the request come with pauses, which is the time of sending.
func TestPhases(t *testing.T) {
	const before, between, pause = 10 * time.Millisecond, 20 * time.Millisecond, 15 * time.Millisecond
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var pieces atomic.Int64
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(time.Minute))
			request := make([]byte, 36)
			got := 0
			for got < len(request) && err == nil {
				var n int
				n, err = conn.Read(request[got:])
				got += n
				pieces.Add(1)
			}
			answer := right(request)
			time.Sleep(before)
			conn.Write(answer[:1])
			drained(conn)
			time.Sleep(between)
			conn.Write(answer[1:])
			conn.Close()
		}
	}()
	c := short(path, Load{1, 1})
	c.Phases, c.Pieces, c.Pause, c.Duration = true, 3, pause, 300*time.Millisecond
	r := generate(t, c)
	if r.Calls == 0 || r.Errors() != 0 {
		t.Fatalf("%+v %s", r.Counts, r.FirstError)
	}
	checkPhases(t, r)
	p := r.Phases
	// A caller that has to wait for a core notes the end of a phase late, and the
	// next is shorter by that. The longest of several calls tell what they are.
	for name, phase := range map[string]struct {
		got   float64
		least time.Duration
	}{
		"send": {p.Send.Mean, 2 * pause}, "wait": {p.Wait.P99, before}, "receive": {p.Receive.P99, between},
		"all but connect": {p.Send.Mean + p.Wait.Mean + p.Receive.Mean, 2*pause + before + between},
	} {
		if phase.got < float64(phase.least)/1000*0.995 {
			t.Errorf("%s took %v µs, and %v at least", name, phase.got, phase.least)
		}
	}
	if p.Connect.P99 <= 0 {
		t.Errorf("connect %+v", p.Connect)
	}
	// A server that wakes late finds two pieces at once.
	if n := pieces.Load(); n < int64(r.Calls) || n > 3*int64(r.Calls) {
		t.Errorf("%d calls came in %d pieces", r.Calls, n)
	}
	if c.Phases = false; generate(t, c).Phases != nil {
		t.Error("phases that nobody asked for")
	}
}

// drained waits until the peer has read everything that was written to conn.
func drained(conn net.Conn) {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		for {
			// See unix(7), SIOCOUTQ, which is TIOCOUTQ.
			if n, err := unix.IoctlGetInt(int(fd), unix.TIOCOUTQ); n == 0 || err != nil {
				return
			}
			time.Sleep(10 * time.Microsecond)
		}
	})
}

// TestAwait tells the parts of a delay apart.
func TestAwait(t *testing.T) {
	c := newTestCaller(t, "/x", fixed(32))
	c.schedule = newSchedule(constant(1, time.Hour), 0, 1, 0, 1)
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	tests := []struct {
		name      string
		late, ago time.Duration // of the call before, and the arrival's age
		pacing    time.Duration // at most the age
	}{
		{"a caller that was on time had a call that took long", 0, ms(30), 0},
		{"a caller that was late is still late", ms(20), ms(30), ms(20)},
		{"a caller that was late and has caught up in part", ms(40), ms(30), ms(30)},
	}
	for _, tt := range tests {
		c.late = tt.late
		k := &call{tally: newTally(true, false), at: c.now() - tt.ago}
		if !c.await(k) || k.begun < k.at+tt.ago {
			t.Errorf("%s: begun at %v", tt.name, k.begun)
		}
		pacing, wait := time.Duration(k.tally.Pacing.Max()), time.Duration(k.tally.CallerWait.Max())
		if pacing < tt.pacing || c.late < tt.pacing || tt.late <= tt.ago && pacing > tt.pacing+tt.pacing/100+lowestTime {
			t.Errorf("%s: a pacing error of %v", tt.name, pacing)
		}
		if pacing+wait < (k.begun-k.at)*999/1000 {
			t.Errorf("%s: %v and %v are not %v", tt.name, pacing, wait, k.begun-k.at)
		}
	}
	k := &call{tally: newTally(true, false), at: c.now() + ms(2)}
	if !c.await(k) || k.begun < k.at || c.late != k.begun-k.at || k.tally.CallerWait.Max() > lowestTime {
		t.Errorf("begun %v of %v, late %v", k.begun, k.at, c.late)
	}
	c.until.Store(int64(c.now()))
	for age, want := range map[time.Duration]uint64{ms(5): 1, -time.Hour: 0} {
		k := &call{tally: newTally(true, false), at: c.now() - age}
		if c.await(k) || k.tally.Unstarted != want || uint64(k.tally.Latency.TotalCount()) != want {
			t.Errorf("after the end, an arrival of %v ago: %+v", age, k.tally.Unstarted)
		}
	}
}

// TestNobodyListensOpen ends although the run is long, and says what was not begun.
func TestNobodyListensOpen(t *testing.T) {
	r := generate(t, Config{Path: filepath.Join(t.TempDir(), "s"), Load: Load{1, 2}, Payload: 32, Arrivals: constant(100_000, 100*time.Millisecond)})
	if r.Failed == 0 || r.Failed > 2*giveUp || r.Failed+r.Offered.Unstarted != r.Offered.Scheduled || r.Offered.Scheduled > 10_000 || !strings.Contains(r.FirstError, "connect") {
		t.Errorf("%+v %q, %d unstarted", r.Counts, r.FirstError, r.Offered.Unstarted)
	}
}
