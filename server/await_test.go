package server

import (
	"context"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"credrpc/internal/sys"
)

// restingLoops counts the loops whose leaders leave the listener to others.
func restingLoops(s *serving) (n int) {
	for _, l := range s.loops {
		if l.resting.Load() {
			n++
		}
	}
	return n
}

// TestLoopsRest has all loops but one rest when nobody calls, also after they had
// something to do: a connection parked on each.
func TestLoopsRest(t *testing.T) {
	for _, onLoop := range []bool{false, true} {
		srv := &Server{Handler: echo, HandlerOnLoop: onLoop, Loops: 4, RequestTimeout: patience}
		path := start(t, srv)
		eventually(t, "it serves", func() bool { return running(srv) != nil })
		run := running(srv)
		for range 3 {
			eventually(t, "three loops rest", func() bool { return restingLoops(run) == 3 && run.watchers.Load() == 1 })
			var parked []net.Conn
			for range 20 {
				parked = append(parked, dial(t, path))
			}
			eventually(t, "they are parked", func() bool {
				n := 0
				for _, l := range run.loops {
					n += int(l.waiting.Load())
				}
				return n == len(parked)
			})
			for _, c := range parked {
				if answer, err := call(t, path, []byte("x")); err != nil || string(answer) != "x" {
					t.Fatalf("%q, %v", answer, err)
				}
				c.Close()
			}
		}
	}
}

// TestLoopsHelp has callers who keep one loop busy until another helps: then two
// handlers are running, which one loop alone cannot do.
func TestLoopsHelp(t *testing.T) {
	var inside, together atomic.Int32
	met := make(chan struct{})
	slow := HandlerFunc(func(ctx context.Context, dst []byte, _ *Call) ([]byte, error) {
		if inside.Add(1) >= 2 && together.Add(1) == 1 {
			close(met)
		}
		time.Sleep(time.Millisecond)
		inside.Add(-1)
		return dst, nil
	})
	srv := &Server{Handler: slow, HandlerOnLoop: true, Loops: 3}
	path := start(t, srv)
	eventually(t, "it serves", func() bool { return running(srv) != nil })
	run := running(srv)
	eventually(t, "two loops rest", func() bool { return restingLoops(run) == 2 })
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
				select {
				case <-met:
					return
				default:
				}
				if _, err := call(t, path, nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
	select {
	case <-met:
	default:
		t.Error("no resting loop helped")
	}
	eventually(t, "two loops rest again", func() bool { return restingLoops(run) == 2 })
}

// TestLoopsEnd shuts servers down whose loops rest, or are woken for help at the
// same moment.
func TestLoopsEnd(t *testing.T) {
	for round := range 50 {
		srv := &Server{Handler: echo, HandlerOnLoop: round%2 == 0, Loops: 4}
		path := socketPath(t)
		served := make(chan error, 1)
		go func() { served <- srv.ListenAndServe(path) }()
		awaitListening(t, path, served)
		eventually(t, "it serves", func() bool { return running(srv) != nil })
		run := running(srv)
		if round%3 == 0 {
			eventually(t, "three loops rest", func() bool { return restingLoops(run) == 3 })
		}
		helped := make(chan struct{})
		go func() {
			defer close(helped)
			for range 4 {
				run.callHelp()
			}
		}()
		stop(t, srv, served)
		<-helped
	}
}

// TestSpin checks when a leader spins: callers have come quickly, none is there
// now, and it has not been long.
func TestSpin(t *testing.T) {
	run := &serving{epoch: time.Now().Add(-time.Hour)}
	l := &loop{run: run, gap: int64(gapLimit)}
	w := &worker{run: run, loop: l}
	now := run.now()
	l.idleSince = now
	if w.spins() {
		t.Error("spins though callers come slowly")
	}
	calls := 0
	for l.gap > int64(spinBelow) {
		l.idleSince = 1
		l.noteCaller(1 + int64(spinBelow)/2)
		calls++
	}
	if calls < 10 || calls > 100 {
		t.Errorf("it took %d quick calls", calls)
	}
	l.idleSince = 0
	if !w.spins() || l.idleSince == 0 {
		t.Error("does not spin though callers come quickly")
	}
	l.idleSince -= int64(spinFor) + 1
	if w.spins() {
		t.Error("spins without end")
	}
	l.noteCaller(l.idleSince + int64(time.Hour))
	if most := int64(spinBelow) + int64(gapLimit)/8; l.gap > most {
		t.Errorf("a quiet hour makes the average %d, more than %d", l.gap, most)
	}
	l.idleSince = 0
	l.waiting.Store(1)
	l.gap = 0
	if w.spins() {
		t.Error("spins though connections are parked")
	}
}

func TestLoopsFor(t *testing.T) {
	for processors, want := range map[int]int{1: 1, 2: 2, 4: 2, 16: 2, 24: 3, 64: 8} {
		if n := loopsFor(processors); n != want {
			t.Errorf("%d loops for %d processors, want %d", n, processors, want)
		}
	}
}

// TestContention counts samples of a leader that kept its processor, or lost it again and
// again, or served one caller at a time.
func TestContention(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const often = contentionSample / contentionPerSwitch
	// What the kernel does to this thread meanwhile would count too.
	run := func(s *contention, samples, switches int, paused bool) (contended int) {
		for range samples {
			for i := range contentionSample {
				if i == contentionSample-1 {
					_, now := sys.ThreadSwitches()
					s.switches = now - switches
				}
				if s.note(paused) {
					contended++
				}
			}
		}
		return contended
	}
	for name, tt := range map[string]struct {
		switches int
		paused   bool
		want     int
	}{
		"no processor": {switches: often, want: 4},
		"a processor":  {switches: often / 2},
		"lone callers": {switches: often, paused: true},
	} {
		if got := run(new(contention), 4*contentionStreak, tt.switches, tt.paused); got != tt.want {
			t.Errorf("%s: contended %d times, want %d", name, got, tt.want)
		}
	}
	s := new(contention)
	if run(s, contentionStreak-1, often, false)+run(s, 1, 0, false)+run(s, contentionStreak-1, often, false) != 0 {
		t.Error("contended after an interrupted streak")
	}
	s = new(contention)
	run(s, contentionStreak-1, often, false)
	for range contentionSample - 1 {
		s.note(false)
	}
	s.thread++ // the leader has moved
	s.switches -= often
	if s.note(false) {
		t.Error("contended by what another thread has suffered")
	}
}
