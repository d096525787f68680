package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"credrpc/accessdb"

	"golang.org/x/sys/unix"
)

// ends collects what a server says of its calls.
type ends struct {
	mu      sync.Mutex
	records []CallRecord // guarded by mu
}

func (e *ends) add(r CallRecord) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.records = append(e.records, r)
}

// next waits for the nth record, counted from 0.
func (e *ends) next(t *testing.T, n int) (r CallRecord) {
	t.Helper()
	eventually(t, fmt.Sprintf("record %d", n), func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		if len(e.records) <= n {
			return false
		}
		r = e.records[n]
		return true
	})
	return r
}

// obedient does what the request says.
var obedient = HandlerFunc(func(ctx context.Context, dst []byte, call *Call) ([]byte, error) {
	switch string(call.Payload) {
	case "fail":
		return nil, errors.New("no")
	case "panic":
		panic("as told")
	case "late":
		<-ctx.Done()
	case "slow":
		time.Sleep(20 * time.Millisecond)
	}
	return append(dst, call.Payload...), nil
})

// TestEnded checks what is told of calls that end in different ways, one after the
// other, and that it adds up to what Stats counts.
func TestEnded(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			var all ends
			var allowed atomic.Bool
			allowed.Store(true)
			rule := accessdb.Result{Decision: accessdb.Allow, Key: accessdb.Key{Kind: accessdb.KeyUIDDefault}}
			srv := &Server{
				Handler: obedient, HandlerOnLoop: kind.onLoop, CallTimeout: 100 * time.Millisecond, MaxRequest: 100,
				Access: checkFunc(func(uint32, uint32) (accessdb.Result, error) {
					if !allowed.Load() {
						return accessdb.Result{Decision: accessdb.Deny, Key: rule.Key}, nil
					}
					return rule, nil
				}),
				Ended: all.add, MeasureLatency: true,
			}
			path := start(t, srv)
			const before = 1
			if first := all.next(t, 0); first.Outcome != OutcomeEmpty { // by which start knows that it listens
				t.Fatalf("first of all: %+v", first)
			}
			rows := []struct {
				name    string
				send    []byte // and then the caller stops sending
				outcome Outcome
				reason  Reason
				late    bool
				out     int
			}{
				{"answered", request([]byte("hello")), OutcomeAnswered, 0, false, 8 + 5},
				{"slow", request([]byte("slow")), OutcomeAnswered, 0, false, 8 + 4},
				{"an error", request([]byte("fail")), OutcomeFailed, 0, false, 4 + 2},
				{"a panic", request([]byte("panic")), OutcomeFailed, 0, false, 4 + len("internal error")},
				{"too late", request([]byte("late")), OutcomeFailed, 0, true, 4 + len(timeoutText)},
				{"nothing", nil, OutcomeEmpty, 0, false, 0},
				{"half a request", request([]byte("half"))[:6], OutcomeRefused, RefusedTruncated, false, 4 + len(RefusedTruncated.text())},
				{"too large", []byte{0, 0, 1, 0}, OutcomeRefused, RefusedTooLarge, false, 4 + len(RefusedTooLarge.text())},
				{"not allowed", nil, OutcomeRefused, RefusedAccess, false, 4 + len(accessText)},
			}
			for i, row := range rows {
				allowed.Store(row.reason != RefusedAccess)
				begin := time.Now()
				c := dial(t, path)
				c.Write(row.send)
				c.CloseWrite()
				response(c)
				took := time.Since(begin)
				c.Close()
				r := all.next(t, before+i)
				who := NewCredentials(os.Getpid(), uint32(os.Getuid()), uint32(os.Getgid()))
				var sender Credentials
				if row.send != nil {
					sender = who
				}
				want := CallRecord{
					Peer: who, Sender: sender, Access: rule, Outcome: row.outcome, Reason: row.reason, TimedOut: row.late,
					BytesIn: len(row.send), BytesOut: row.out, Duration: r.Duration,
				}
				if !allowed.Load() {
					want.Access.Decision = accessdb.Deny
				}
				if fmt.Sprint(r) != fmt.Sprint(want) {
					t.Errorf("%s: got %+v, want %+v", row.name, r, want)
				}
				// What comes before the accept is the caller's and not the server's.
				if least := map[string]time.Duration{"slow": 20 * time.Millisecond, "too late": 100 * time.Millisecond}[row.name]; r.Duration < least || r.Duration > took+time.Second {
					t.Errorf("%s: took %v, the caller waited %v", row.name, r.Duration, took)
				}
			}
			stats := srv.Stats()
			got := []uint64{stats.Accepted, stats.Answered + stats.Failed, stats.Refused[RefusedTruncated], stats.Refused[RefusedTooLarge], stats.Refused[RefusedAccess], stats.Empty, stats.Latency.Count()}
			if want := []uint64{before + 9, 5, 1, 1, 1, before + 1, 5}; !slices.Equal(got, want) {
				t.Errorf("counted %v, want %v", got, want)
			}
			if q := stats.Latency.Quantile(1); q < 100*time.Millisecond || stats.Latency.Sum < 120*time.Millisecond {
				t.Errorf("the slowest of all took %v, all together %v", q, stats.Latency.Sum)
			}
			var loops LoopStats
			for _, l := range stats.Loops {
				loops.Accepted += l.Accepted
				loops.Refused += l.Refused
			}
			if loops.Accepted != before+9 || loops.Refused != 3 {
				t.Errorf("the loops have counted %+v", stats.Loops)
			}
		})
	}
}

// TestEndedNamesOtherSenders checks that it is told who sent what was refused because
// somebody else had connected, or had sent the piece before.
func TestEndedNamesOtherSenders(t *testing.T) {
	needRoot(t)
	var all ends
	srv := &Server{Handler: echo, Ended: all.add}
	path := start(t, srv)
	all.next(t, 0)
	self, other := ucred(nil), ucred(func(u *unix.Ucred) { u.Uid, u.Gid = 1000, 1001 })
	for i, row := range []struct {
		first, second *unix.Ucred
		sender        Credentials
		reason        Reason
		received      int
	}{
		{other, nil, NewCredentials(os.Getpid(), 1000, 1001), RefusedSenderMismatch, 0},
		{self, other, NewCredentials(os.Getpid(), 1000, 1001), RefusedSenderChanged, 5},
	} {
		c := dial(t, path)
		if err := sendAs(c, row.first, request([]byte("hello"))[:5]); err != nil {
			t.Fatal(err)
		}
		if row.second != nil {
			eventually(t, "the first piece is received", func() bool { return srv.Stats().BytesIn == 10 })
			if err := sendAs(c, row.second, request([]byte("hello"))[5:8]); err != nil {
				t.Fatal(err)
			}
		}
		c.CloseWrite()
		response(c)
		if r := all.next(t, 1+i); r.Sender != row.sender || r.Reason != row.reason || r.Outcome != OutcomeRefused || r.BytesIn != row.received {
			t.Errorf("%v: told of %+v", row.reason, r)
		}
	}
}

// TestEndedPanics checks that a hook that panics ends nothing.
func TestEndedPanics(t *testing.T) {
	var told atomic.Int32
	path := start(t, &Server{Handler: echo, Ended: func(CallRecord) {
		told.Add(1)
		panic("in the hook")
	}})
	for range 3 {
		if got, err := call(t, path, []byte("hello")); err != nil || string(got) != "hello" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	eventually(t, "it is told of three calls", func() bool { return told.Load() >= 3 })
}

// TestLatencyBuckets checks that the buckets adjoin and are as narrow as they should be,
// and what quantiles come of them.
func TestLatencyBuckets(t *testing.T) {
	lower := time.Duration(0)
	for i := range latencyBuckets {
		upper := latencyBound(i)
		for _, d := range []time.Duration{lower, upper - 1} {
			if got := latencyBucket(d); got != i {
				t.Fatalf("%d ns are in bucket %d, not in %d, from %d to %d", d, got, i, lower, upper)
			}
		}
		if i < latencyBuckets-1 && upper-lower > max(64, lower/latencySteps) {
			t.Fatalf("bucket %d from %v is %v wide", i, lower, upper-lower)
		}
		lower = upper
	}
	if got := latencyBucket(-1); got != 0 {
		t.Errorf("-1 is in bucket %d", got)
	}
	var none Latency
	if none.Count() != 0 || none.Quantile(0.5) != 0 {
		t.Error("no calls have a quantile")
	}
	var counted latencies
	for d := range 1000 {
		counted.add(time.Duration(d+1) * time.Microsecond)
	}
	var l Latency
	counted.addTo(&l)
	earlier := l
	for q, want := range map[float64]time.Duration{0: time.Microsecond, 0.5: 500 * time.Microsecond, 0.99: 990 * time.Microsecond, 1: time.Millisecond} {
		if got := l.Quantile(q); got < want || got > want+max(64, want/latencySteps) {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
	counted.add(time.Hour)
	l = Latency{}
	counted.addTo(&l)
	if got := l.Quantile(1); got < 130*time.Second || got > 140*time.Second {
		t.Errorf("an hour reads as %v", got)
	}
	l.Quantile(math.NaN()) // does not panic
	since := l.Sub(earlier)
	n := 0
	for bound, count := range since.Buckets() {
		if n++; bound < time.Hour || count != 1 {
			t.Errorf("since then: %v %d", bound, count)
		}
	}
	if n != 1 || since.Count() != 1 || since.Sum != time.Hour || earlier.Count() != 1000 {
		t.Errorf("since then %d buckets, %d calls, %v", n, since.Count(), since.Sum)
	}
}

// TestEndedCloses has the hook close the server, also when that is closing already and
// tells it of the calls that this ends.
func TestEndedCloses(t *testing.T) {
	var srv *Server
	var told atomic.Int32
	srv = &Server{Handler: obedient, Ended: func(r CallRecord) {
		if told.Add(1); r.Outcome != OutcomeEmpty {
			srv.Close()
		}
	}}
	path := start(t, srv)
	c := dial(t, path)
	c.Write(request(nil)[:3])
	eventually(t, "half a request is received", func() bool { return srv.Stats().BytesIn == 3 })
	closed := make(chan struct{})
	go func() {
		srv.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatal("Close does not return") // nor will what follows the test
	}
	<-running(srv).stopped
	if stats := srv.Stats(); stats.Refused[RefusedClosing] != 1 || uint64(told.Load()) != stats.Accepted {
		t.Errorf("told of %d: %+v", told.Load(), stats)
	}
}

// TestEndedExits has the hook end the goroutine that calls it, which is that of a leader,
// a deposed worker, or a timer: the server ends, and says why.
func TestEndedExits(t *testing.T) {
	for _, payload := range []string{"x", "slow", "late"} {
		srv := &Server{Handler: obedient, CallTimeout: 50 * time.Millisecond, Loops: 1, Ended: func(r CallRecord) {
			if r.Outcome != OutcomeEmpty {
				runtime.Goexit()
			}
		}}
		path := socketPath(t)
		served := make(chan error, 1)
		go func() { served <- srv.ListenAndServe(path) }()
		awaitListening(t, path, served)
		half := dial(t, path) // what stopping ends
		half.Write(request([]byte(payload))[:3])
		eventually(t, "half a request is received", func() bool { return srv.Stats().BytesIn == 3 })
		c := dial(t, path)
		c.Write(request([]byte(payload)))
		select {
		case err := <-served:
			if err != errEndedExited {
				t.Errorf("%s: Serve returns %v", payload, err)
			}
			<-running(srv).stopped
		case <-time.After(patience):
			t.Fatalf("%s: the server goes on without its leader", payload)
		}
		if _, err := response(c); err == io.EOF {
			t.Errorf("%s: no answer", payload)
		}
		response(half)
		if n := srv.Stats().InFlight; n != 0 {
			t.Errorf("%s: %d calls in flight", payload, n)
		}
	}
}
