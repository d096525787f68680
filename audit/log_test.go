package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"credrpc/accessdb"
	"credrpc/server"
)

// TestRecord has the whole of a line.
func TestRecord(t *testing.T) {
	e := entry{
		ended: time.Date(2026, 1, 2, 3, 4, 5, 678, time.FixedZone("east", 3600)), took: 1500 * time.Microsecond,
		peer: server.NewCredentials(7, 1000, 50), sender: server.NewCredentials(8, 1000, 51),
		rule: accessdb.Key{Kind: accessdb.KeyGID, ID: 50}, outcome: server.OutcomeAnswered, bytesIn: 9, bytesOut: 13,
	}
	r := e.record()
	r.Hint = &Hint{Executable: "/bin/a\n{\"event\":\"call\"}\x1b[31m\xff\u2028", Unit: "a.service"}
	r.Sample, r.Dropped = 0.01, 3
	want := `{"time":"2026-01-02T02:04:05.000000678Z","event":"call","outcome":"answered","rule":"gid/50",` +
		`"peer":{"pid":7,"uid":1000,"gid":50},"sender":{"pid":8,"uid":1000,"gid":51},"bytes_in":9,"bytes_out":13,"seconds":0.0015,` +
		`"hint":{"exe":"/bin/a\n{\"event\":\"call\"}\u001b[31m\ufffd\u2028","unit":"a.service"},"sample":0.01,"dropped":3}` + "\n"
	if got := string(r.line()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	e = entry{ended: time.Unix(0, 0), outcome: server.OutcomeRefused, reason: server.RefusedNoCredentials}
	want = `{"time":"1970-01-01T00:00:00Z","event":"call","outcome":"refused","reason":"no_credentials","bytes_in":0,"bytes_out":0,"seconds":0}` + "\n"
	if got := string(e.record().line()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestTerminal writes down a program whose path would tell a terminal what to do: nothing
// in the line does, and whoever parses it gets the path.
func TestTerminal(t *testing.T) {
	const path = "/tmp/\x1b[2J\u009b2J\u007f\u202e\u2028\U000e0001 ä"
	text := (&Record{Event: EventCall, Hint: &Hint{Executable: path}}).line()
	for _, r := range strings.TrimSuffix(string(text), "\n") {
		if !unicode.IsPrint(r) {
			t.Errorf("%q has %U", text, r)
		}
	}
	var r Record
	if err := json.Unmarshal(text, &r); err != nil || r.Hint.Executable != path {
		t.Errorf("%v, %q", err, r.Hint)
	}
}

// TestCalls checks which calls are written.
func TestCalls(t *testing.T) {
	for _, tt := range []struct {
		calls Calls
		want  []string
	}{
		{Denied, []string{"refused"}},
		{All, []string{"answered", "failed", "dropped", "refused", "empty"}},
	} {
		sink, path := open(t, 0)
		l := start(t, sink, Options{Calls: tt.calls})
		for outcome := server.OutcomeAnswered; outcome <= server.OutcomeEmpty; outcome++ {
			l.Ended(server.CallRecord{Outcome: outcome})
		}
		finish(t, l)
		var got []string
		for _, r := range of(EventCall, records(t, read(t, path))) {
			got = append(got, r.Outcome)
		}
		if !reflect.DeepEqual(got, tt.want) || l.Stats() != (Stats{Written: uint64(len(tt.want))}) {
			t.Errorf("%v: %v, %+v", tt.calls, got, l.Stats())
		}
	}
}

// TestSample checks that about the right share of calls is written, of refused ones all,
// and that records say so.
func TestSample(t *testing.T) {
	const calls = 5000
	sink, path := open(t, 0)
	l := start(t, sink, Options{Calls: All, Sample: 0.1, Rate: 1e6, Queue: 2 * calls, WithoutHints: true})
	for i := range calls {
		l.Ended(server.CallRecord{Outcome: server.OutcomeAnswered, Peer: server.NewCredentials(1, uint32(i), 1)})
	}
	for i := range 100 {
		l.Ended(refusedBy(uint32(i)))
	}
	finish(t, l)
	sampled, refused := 0, 0
	for _, r := range of(EventCall, records(t, read(t, path))) {
		if r.Outcome == "refused" {
			refused++
			if r.Sample != 0 {
				t.Fatalf("%+v", r)
			}
			continue
		}
		sampled++
		if r.Sample != 0.1 {
			t.Fatalf("%+v", r)
		}
	}
	// Ten standard deviations: sqrt(5000 * 0.1 * 0.9) is 21.
	if refused != 100 || math.Abs(float64(sampled)-0.1*calls) > 210 {
		t.Errorf("%d of %d, and %d of 100 refused", sampled, calls, refused)
	}
}

// TestRate floods a log: the flooding user gets half of it, another one his share, and
// everything is written or counted.
func TestRate(t *testing.T) {
	const flood = 5000
	sink, path := open(t, 0)
	l := start(t, sink, Options{Rate: 100, WithoutHints: true})
	for range flood {
		l.Ended(refusedBy(1))
	}
	for range 10 {
		l.Ended(refusedBy(2))
	}
	finish(t, l)
	all := records(t, read(t, path))
	byUser := make(map[uint32]int)
	for _, r := range of(EventCall, all) {
		byUser[r.Peer.UID]++
	}
	stats := l.Stats()
	if byUser[1] < 50 || byUser[1] > 500 || byUser[2] != 10 {
		t.Errorf("records by user: %v", byUser)
	}
	if stats.Written+stats.Dropped() != flood+10 || stats.Limited != stats.Dropped() || stats.Written != uint64(byUser[1]+byUser[2]) {
		t.Errorf("%+v", stats)
	}
	if end := all[len(all)-1]; end.Event != EventEnd || end.Dropped != stats.Dropped() {
		t.Errorf("the last record: %+v, %+v", end, stats)
	}
}

// TestLimiter has the writer's clock.
func TestLimiter(t *testing.T) {
	now := time.Unix(1000, 0)
	l := newLimiter(10, 10, now)
	take := func(uid uint32) (n int) {
		for l.admit(uid) {
			n++
		}
		return n
	}
	for _, step := range []struct {
		after time.Duration
		uid   uint32
		want  int
	}{
		{0, 1, 5}, {0, 1, 0}, {0, 2, 5}, {0, 3, 0},
		{50 * time.Millisecond, 3, 0}, // half a token
		{50 * time.Millisecond, 3, 1},
		{time.Hour, 1, 5}, {0, 1 + shares, 0}, {0, 2, 5},
	} {
		now = now.Add(step.after)
		l.refill(now)
		if got := take(step.uid); got != step.want {
			t.Errorf("after %v user %d gets %d, want %d", step.after, step.uid, got, step.want)
		}
	}
}

// TestDropped checks that records tell of those that are missing, and that one comes for
// that if no other does.
func TestDropped(t *testing.T) {
	sink, path := open(t, 0)
	l := start(t, sink, Options{Rate: 1, WithoutHints: true})
	l.Ended(refusedBy(1))
	eventually(t, "a record", func() bool { return l.Stats().Written == 1 })
	for range 4 {
		l.Ended(refusedBy(1)) // one of them may be written, if this takes a second
	}
	told := func() (n uint64) {
		for _, r := range records(t, read(t, path)) {
			n += r.Dropped
		}
		return n
	}
	eventually(t, "records tell of what is missing", func() bool { return l.Stats().Written+told() == 5 })
	finish(t, l)
	all := records(t, read(t, path))
	if end := all[len(all)-1]; len(of(EventDropped, all)) != 1 || end.Dropped != l.Stats().Dropped() || end.Dropped < 3 {
		t.Errorf("%+v", all)
	}
}

// TestSlowSink checks that nobody waits for a sink that takes nothing, that what does not
// fit is counted, and that closing is bounded.
func TestSlowSink(t *testing.T) {
	g := newGate()
	const calls, queue = 3 * batchSize, 8
	l, err := New(Stream(g), Options{Queue: queue, WithoutHints: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range calls {
		l.Ended(refusedBy(uint32(i)))
	}
	// The batch that the sink does not take may have been filled meanwhile.
	if n := l.Stats().Overflowed; n < calls-batchSize-queue {
		t.Errorf("%d overflowed", n)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := l.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}
	close(g.opened)
	finish(t, l)
	if stats := l.Stats(); stats.Written+stats.Dropped() != calls || len(of(EventCall, records(t, g.Bytes()))) != int(stats.Written) {
		t.Errorf("%+v", stats)
	}
}

// TestFullDisk fills the disk in the middle of a line: what is lost is counted, the logger
// hears of it once, and after there is room again every line is whole.
func TestFullDisk(t *testing.T) {
	var said bytes.Buffer
	d := &disk{room: 1000}
	l := start(t, Stream(d), Options{WithoutHints: true, Logger: logTo(&said)})
	// Each is written for itself, so that several fail.
	for i := range 20 {
		l.Ended(refusedBy(uint32(i)))
		eventually(t, "a record that is written or lost", func() bool { s := l.Stats(); return s.Written+s.Failed == uint64(i+1) })
	}
	lost := l.Stats().Failed
	d.add(1 << 20)
	l.Ended(refusedBy(99))
	eventually(t, "a record after the disk has room", func() bool { return l.Stats().Written == 21-lost })
	finish(t, l)
	torn := 0
	var next Record
	for _, text := range bytes.Split(bytes.TrimSpace(d.text), []byte("\n")) {
		var r Record
		if err := json.Unmarshal(text, &r); err != nil {
			torn++
		} else if r.Peer != nil && r.Peer.UID == 99 {
			next = r
		}
	}
	if torn > 1 || lost == 0 || next.Dropped != lost {
		t.Errorf("%d lines torn, %d lost, then %+v: %s", torn, lost, next, d.text)
	}
	if n := bytes.Count(said.Bytes(), []byte("audit records are lost")); n != 1 || !bytes.Contains(said.Bytes(), []byte(errFullDisk.Error())) {
		t.Errorf("the logger hears %d times: %s", n, &said)
	}
}

// TestConcurrent has many who call, and a rate and a queue that do not limit.
func TestConcurrent(t *testing.T) {
	const callers, calls = 8, 300
	sink, path := open(t, 0)
	l := start(t, sink, Options{Rate: 1e6, Queue: 2 * callers * calls, WithoutHints: true})
	var wait sync.WaitGroup
	for uid := range uint32(callers) {
		wait.Go(func() {
			for i := range calls {
				r := refusedBy(uid)
				r.BytesIn = i
				l.Ended(r)
			}
		})
	}
	wait.Wait()
	finish(t, l)
	next := make(map[uint32]int)
	for _, r := range of(EventCall, records(t, read(t, path))) {
		if r.BytesIn != next[r.Peer.UID] {
			t.Fatalf("user %d: call %d instead of %d", r.Peer.UID, r.BytesIn, next[r.Peer.UID])
		}
		next[r.Peer.UID]++
	}
	for uid := range uint32(callers) {
		if next[uid] != calls {
			t.Errorf("user %d: %d of %d calls", uid, next[uid], calls)
		}
	}
}

// TestOptions has what makes no sense.
func TestOptions(t *testing.T) {
	for _, o := range []Options{
		{Calls: 2}, {Sample: -1}, {Sample: 1.5}, {Sample: math.NaN()}, {Rate: 0.5}, {Rate: -1}, {Rate: math.NaN()}, {Rate: 1e7}, {Queue: -1}, {Queue: 1 << 21},
	} {
		if l, err := New(Stream(new(bytes.Buffer)), o); err == nil {
			t.Errorf("%+v is taken", o)
			finish(t, l)
		}
	}
}

// TestEndedAllocates checks that telling the log of a call makes nothing for the garbage
// collector, written or not.
func TestEndedAllocates(t *testing.T) {
	g := newGate()
	l := start(t, Stream(g), Options{Queue: 64, WithoutHints: true})
	defer close(g.opened)
	l.Ended(refusedBy(0))
	<-g.entered
	i := uint32(0)
	record := refusedBy(0)
	if n := testing.AllocsPerRun(1000, func() {
		record.Peer = server.NewCredentials(1, i, 1)
		l.Ended(record)
		i++
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if s := l.Stats(); s.Limited == 0 && s.Overflowed == 0 {
		t.Errorf("%+v", s)
	}
}

// BenchmarkEnded is what a call costs on the event loop: one that is not chosen, one over
// the rate, and one that is written.
func BenchmarkEnded(b *testing.B) {
	for _, bb := range []struct {
		name   string
		rate   float64
		record server.CallRecord
	}{
		{"not-chosen", 1000, server.CallRecord{Outcome: server.OutcomeAnswered}},
		{"limited", 1, refusedBy(1)},
		{"queued", 1e6, refusedBy(1)},
	} {
		b.Run("call="+bb.name, func(b *testing.B) {
			l, err := New(Stream(new(bytes.Buffer)), Options{Rate: bb.rate, Queue: 1 << 20, WithoutHints: true})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				l.Ended(bb.record)
			}
			l.Close(context.Background())
		})
	}
}
