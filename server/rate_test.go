package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"credrpc/accessdb"
)

// turns are when a user's calls have gone on, on a virtual clock.
type turns []int64

// checkTurns fails if in any interval more calls have gone on than the rate allows.
func checkTurns(t *testing.T, name string, all turns, perSecond float64, burst int) {
	t.Helper()
	slices.Sort(all)
	for i := range all {
		for j := i; j < len(all); j++ {
			allowed := float64(burst) + perSecond*float64(all[j]-all[i])/1e9
			if n := j - i + 1; float64(n) > allowed+1e-6 {
				t.Fatalf("%s: %d calls in %v, %.3f are allowed", name, n, time.Duration(all[j]-all[i]), allowed)
			}
		}
	}
}

// TestRateExact has a user call at random times, now and then without a pause, and
// looks at every interval between two of his turns.
func TestRateExact(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, perSecond := range []float64{MinRatePerUID, 0.7, 3, 97, 1000, 30_011, MaxRatePerUID} {
		for _, burst := range []int{1, 2, 50} {
			r := newRates(perSecond, burst)
			var all turns
			now := int64(0)
			for range 1000 {
				if delay := r.take(7, now); delay != tooLate {
					all = append(all, now+delay)
				}
				if random.IntN(4) > 0 {
					now += random.Int64N(1 + int64(1e9/perSecond))
				}
			}
			checkTurns(t, fmt.Sprintf("%v a second, %d at once", perSecond, burst), all, perSecond, burst)
		}
	}
}

// TestRateGivesAll checks that nobody waits who keeps to the rate, and that who asks
// without a pause gets as much as is allowed.
func TestRateGivesAll(t *testing.T) {
	r := newRates(250, 5)
	for i := range int64(1000) {
		if delay := r.take(1, i*r.interval); delay != 0 {
			t.Fatalf("call %d at the rate waits for %v", i, time.Duration(delay))
		}
	}
	now, got := int64(0), 0
	for now < 10e9 {
		delay := r.take(2, now)
		now += delay
		got++
	}
	if want := 5 + 250*10; got < want || got > want+1 {
		t.Errorf("%d turns in ten seconds, want %d", got, want)
	}
	for got = 0; r.take(3, 0) != tooLate; got++ {
	}
	if want := 5 + 250; got != want {
		t.Errorf("%d calls at once are let in or wait, want %d", got, want)
	}
}

// TestRateOthers has as many users in one set as it has slots: each is treated as if
// he were alone.
func TestRateOthers(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	crowd := newRates(100, 3)
	crowd.sets = crowd.sets[:1]
	alone := make([]*rates, rateWays)
	for i := range alone {
		alone[i] = newRates(100, 3)
	}
	for now := int64(0); now < 20e9; now += random.Int64N(3e6) {
		uid := min(random.IntN(2*rateWays), rateWays-1) // the last one calls most
		if got, want := crowd.take(uint32(uid), now), alone[uid].take(uint32(uid), now); got != want {
			t.Fatalf("at %v user %d waits for %d, alone he waits for %d", time.Duration(now), uid, got, want)
		}
	}
}

// TestRateCrowd has many more users in one set than it has slots. None gets more than
// the rate, and nobody waits longer than the one of eight others who waits least.
func TestRateCrowd(t *testing.T) {
	const users = 50
	random := rand.New(rand.NewPCG(5, 6))
	r := newRates(100, 3)
	r.sets = r.sets[:1]
	var all [users]turns
	owed := make([]int64, users) // until when, if each had slots of his own and what he took over
	for now := int64(0); now < 20e9; now += random.Int64N(1e6) {
		uid := random.IntN(users)
		others := make([]int64, 0, users)
		for i, until := range owed {
			if i != uid {
				others = append(others, max(0, until-r.burst-now))
			}
		}
		slices.Sort(others)
		eighth := others[len(others)-rateWays] // the least of the eight who wait longest
		own := max(0, owed[uid]-r.burst-now)
		delay := r.take(uint32(uid), now)
		if delay == tooLate {
			delay = int64(maxDelay) + 1
		} else {
			all[uid] = append(all[uid], now+delay)
			owed[uid] = now + delay + r.burst + r.interval
		}
		if delay > max(own, eighth)+r.interval {
			t.Fatalf("user %d waits for %v, for his own calls it were %v, the eighth other waits for %v",
				uid, time.Duration(delay), time.Duration(own), time.Duration(eighth))
		}
	}
	for uid := range all {
		checkTurns(t, fmt.Sprint("user ", uid), all[uid], 100, 3)
	}
}

// TestRateNeighbours saturates a thousand users. Of a hundred thousand others nobody
// notices.
func TestRateNeighbours(t *testing.T) {
	r := newRates(100, 3)
	for uid := range uint32(1000) {
		for r.take(uid, 0) != tooLate {
		}
	}
	for uid := range uint32(100_000) {
		// Their times are far enough apart for slots to become free.
		if delay := r.take(1000+uid, int64(uid)*1000); delay != 0 {
			t.Fatalf("user %d waits for %v", 1000+uid, time.Duration(delay))
		}
	}
}

// TestRateConcurrent has goroutines call for the same few users, in one set that is
// too small for them, while time goes on.
func TestRateConcurrent(t *testing.T) {
	const goroutines, users, calls = 8, 11, 3000
	r := newRates(1000, 10)
	r.sets = r.sets[:1]
	var clock atomic.Int64
	var mu sync.Mutex
	var all [users]turns
	var group sync.WaitGroup
	for g := range goroutines {
		group.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(g)))
			for range calls {
				uid := random.IntN(users)
				now := clock.Add(random.Int64N(20_000))
				if delay := r.take(uint32(uid), now); delay != tooLate {
					mu.Lock()
					all[uid] = append(all[uid], now+delay)
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	for uid := range all {
		slices.Sort(all[uid])
		// Clocks of goroutines differ by what the others do between a reading and its use.
		first, last := all[uid][0], all[uid][len(all[uid])-1]
		if n, allowed := len(all[uid]), 10+float64(last-first)/1e6; float64(n) > allowed {
			t.Errorf("user %d: %d calls in %v, %.3f are allowed", uid, n, time.Duration(last-first), allowed)
		}
	}

	// With the clock standing still the count is exact.
	r = newRates(1000, 10)
	var let, waiting atomic.Int64
	for range goroutines {
		group.Go(func() {
			for range calls {
				switch r.take(99, 1) {
				case 0:
					let.Add(1)
				case tooLate:
				default:
					waiting.Add(1)
				}
			}
		})
	}
	group.Wait()
	if let.Load() != 10 || waiting.Load() != 1000 {
		t.Errorf("%d are let in and %d wait, want 10 and 1000", let.Load(), waiting.Load())
	}
}

// A countingAccess allows everybody and counts.
type countingAccess struct{ asked atomic.Int64 }

func (a *countingAccess) Check(uint32, uint32) (accessdb.Result, error) {
	a.asked.Add(1)
	return accessdb.Result{Decision: accessdb.Allow}, nil
}

// TestRateDelays has another user call without a pause: his calls are answered, as
// slowly as the rate says.
func TestRateDelays(t *testing.T) {
	needRoot(t)
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			srv := &Server{Handler: echo, HandlerOnLoop: kind.onLoop, Mode: 0o666, RatePerUID: 10, BurstPerUID: 3}
			path := publicPath(t)
			startAt(t, srv, path)
			begin := time.Now()
			a := startActor(t, []string{"repeat", path, "1000", "6"})
			if line := a.line(); line != "6 answered" {
				t.Error(line)
			}
			if took := time.Since(begin); took < 300*time.Millisecond {
				t.Errorf("6 calls took %v", took)
			}
			delayed := srv.Stats().Delayed
			for range 20 {
				if _, err := call(t, path, nil); err != nil {
					t.Errorf("root: %v", err)
				}
			}
			if n := srv.Stats().Delayed - delayed; n != 0 {
				t.Errorf("root was delayed %d times", n)
			}
		})
	}
}

// TestRateRefuses has another user call who has used up his calls for an hour. He is
// told so, not at once, and before rules are asked.
func TestRateRefuses(t *testing.T) {
	needRoot(t)
	access := new(countingAccess)
	srv := &Server{Handler: echo, Mode: 0o666, Access: access, RatePerUID: MinRatePerUID}
	path := publicPath(t)
	startAt(t, srv, path)
	if line := startActor(t, []string{"call", path, "1000", "1000"}).line(); line != "who am I" {
		t.Fatal(line)
	}
	asked := access.asked.Load()
	begin := time.Now()
	if line := startActor(t, []string{"call", path, "1000", "1000"}).line(); line != "error: "+RefusedRate.text() {
		t.Error(line)
	}
	if took := time.Since(begin); took < maxDelay {
		t.Errorf("was refused after %v", took)
	}
	if n := access.asked.Load() - asked; n != 0 {
		t.Errorf("the rules were asked %d times", n)
	}
	if n := srv.Stats().Refused[RefusedRate]; n != 1 {
		t.Errorf("%d are counted", n)
	}
	if line := startActor(t, []string{"call", path, "1001", "1001"}).line(); line != "who am I" {
		t.Errorf("another user: %s", line)
	}
}

// TestRateEnds ends a server while callers wait for their turns. Shutdown waits with
// them, Close tells them.
func TestRateEnds(t *testing.T) {
	needRoot(t)
	for _, tt := range []struct {
		name string
		end  func(*Server) error
		want string
	}{
		{"Shutdown", func(s *Server) error {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			return s.Shutdown(ctx)
		}, "who am I"},
		{"Close", (*Server).Close, "error: " + RefusedClosing.text()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := &Server{Handler: echo, Mode: 0o666, RatePerUID: 1.5, BurstPerUID: 1}
			path := publicPath(t)
			startAt(t, srv, path)
			if line := startActor(t, []string{"call", path, "1000", "1000"}).line(); line != "who am I" {
				t.Fatal(line)
			}
			a := startActor(t, []string{"call", path, "1000", "1000"})
			for srv.Stats().Delayed == 0 && srv.Stats().Answered < 2 {
				time.Sleep(time.Millisecond)
			}
			if err := tt.end(srv); err != nil {
				t.Error(err)
			}
			if line := a.line(); line != tt.want && srv.Stats().Delayed > 0 {
				t.Errorf("who waited: %s", line)
			}
		})
	}
}

// BenchmarkRate measures what the limit costs a call.
func BenchmarkRate(b *testing.B) {
	for _, users := range []uint32{1, 1000, 1_000_000} {
		b.Run(fmt.Sprintf("users=%d", users), func(b *testing.B) {
			r := newRates(MaxRatePerUID, MaxBurstPerUID)
			now := int64(0)
			for uid := uint32(0); b.Loop(); uid++ {
				now += 1000
				r.take(uid%users, now)
			}
		})
	}
}
