package program

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"credrpc/server"
)

// TestMaxPrograms has many more callers than places. The programs count how many of
// them run.
func TestMaxPrograms(t *testing.T) {
	const places, callers, calls = 3, 16, 20
	counter := filepath.Join(t.TempDir(), "counter")
	if err := os.WriteFile(counter, make([]byte, 4), 0o600); err != nil {
		t.Fatal(err)
	}
	path := serve(t, &server.Server{}, Config{MaxPrograms: places})
	var mu sync.Mutex
	most := 0
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for range calls {
				got, err := call(t, path, "n"+counter)
				n, bad := strconv.Atoi(got)
				if err != nil || bad != nil {
					t.Errorf("%q, %v", got, err)
					return
				}
				mu.Lock()
				most = max(most, n)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if most != places {
		t.Errorf("at most %d programs at once, want %d", most, places)
	}
	if left, err := os.ReadFile(counter); err != nil || string(left) != "\x00\x00\x00\x00" {
		t.Errorf("at the end %v run, %v", left, err)
	}
}

// TestWaiting checks that calls which wait for a place end at their deadline and when
// their callers hang up, without a program, and that the others go on then.
func TestWaiting(t *testing.T) {
	// starts is a file to which every program that starts adds a byte.
	start := func(t *testing.T, timeout time.Duration) (srv *server.Server, path string, starts func() int64) {
		marks := filepath.Join(t.TempDir(), "starts")
		srv = &server.Server{CallTimeout: timeout}
		path = serve(t, srv, Config{Program: []string{toolPath(t), marks}, MaxPrograms: 1})
		return srv, path, func() int64 {
			info, err := os.Stat(marks)
			if err != nil {
				return 0
			}
			return info.Size()
		}
	}

	t.Run("deadline", func(t *testing.T) {
		srv, path, starts := start(t, 100*time.Millisecond)
		h := srv.Handler.(*Handler)
		if err := h.places.enter(t.Context(), 0); err != nil { // as a call does that goes on for ever
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				if _, err := call(t, path, "e"); remoteText(err) != "the call took too long" {
					t.Errorf("%v", err)
				}
			})
		}
		group.Wait()
		eventually(t, "nobody waits", func() bool { return srv.Stats().InFlight == 0 })
		h.places.leave(0)
		if n := starts(); n != 0 {
			t.Errorf("%d programs started", n)
		}
	})

	t.Run("hang-up", func(t *testing.T) {
		srv, path, starts := start(t, time.Hour)
		ctx, hangUp := context.WithCancel(t.Context())
		defer hangUp()
		waiting, goAway := context.WithCancel(t.Context())
		defer goAway()
		var group sync.WaitGroup
		group.Go(func() { callUntil(ctx, path, "s") })
		eventually(t, "the first runs", func() bool { return starts() == 1 })
		for range 3 {
			group.Go(func() { callUntil(waiting, path, "e") })
		}
		eventually(t, "three wait", func() bool { return srv.Stats().InFlight == 4 })
		goAway()
		eventually(t, "who waited is gone", func() bool { return srv.Stats().InFlight == 1 })
		group.Go(func() {
			if got, err := call(t, path, "elast"); err != nil || got != "last" {
				t.Errorf("the last: %q, %v", got, err)
			}
		})
		eventually(t, "the last waits", func() bool { return srv.Stats().InFlight == 2 })
		hangUp()
		group.Wait()
		if n := starts(); n != 2 {
			t.Errorf("%d programs started, want the first and the last", n)
		}
		nothingLeft(t)
	})
}

// TestFirstComeFirstServed lets calls wait for one place in a known order.
func TestFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPlaces(1)
		if err := s.enter(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		var served []int
		for i := range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				if s.enter(ctx, 7) == nil {
					served = append(served, i)
				}
			}()
			synctest.Wait()
			if i%10 == 0 {
				cancel()
				synctest.Wait()
			}
		}
		for len(served) < 90 {
			before := len(served)
			s.leave(7)
			synctest.Wait()
			if len(served) != before+1 {
				t.Fatalf("one place, and %d calls got it", len(served)-before)
			}
		}
		s.leave(7)
		for i, n := range served {
			if want := i/9*10 + i%9 + 1; n != want {
				t.Fatalf("served %v", fmt.Sprint(served))
			}
		}
	})
}

// TestUsersTakeTurns has one user wait with many calls before another comes with one.
func TestUsersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const flooding, polite = 1000, 1001
		s := newPlaces(4)
		served := make(map[uint32]int)
		enter := func(uid uint32) {
			go func() {
				if s.enter(t.Context(), uid) == nil {
					served[uid]++
				}
			}()
			synctest.Wait()
		}
		for range 100 {
			enter(flooding)
		}
		if served[flooding] != 3 {
			t.Fatalf("one user has %d of 4 places", served[flooding])
		}
		enter(polite)
		if served[polite] != 1 {
			t.Fatal("the place that is kept for others is not given")
		}
		enter(polite)
		enter(polite)
		for range 4 {
			s.leave(flooding)
			synctest.Wait()
		}
		if served[polite] != 3 || served[flooding] != 5 {
			t.Fatalf("users do not take turns: %v", served)
		}
		for len(s.waiting) > 0 {
			uid := uint32(flooding)
			if s.running[flooding] == 0 {
				uid = polite
			}
			s.leave(uid)
			synctest.Wait()
		}
		if served[flooding] != 100 || served[polite] != 3 {
			t.Errorf("served %v", served)
		}
		for uid, n := range s.running {
			for range n {
				s.leave(uid)
			}
		}
		if s.free != 4 || len(s.running)+len(s.waiting)+len(s.turns) != 0 {
			t.Errorf("at the end %+v", s)
		}
	})
}

// TestComplaints checks the rate of the log.
func TestComplaints(t *testing.T) {
	var c complaints
	now := time.Now()
	for _, step := range []struct {
		after   time.Duration
		text    string
		omitted int
		due     bool
	}{
		{0, "a", 0, true}, {1, "a", 0, false}, {2, "b", 0, true}, {complaintInterval - 1, "a", 0, false},
		{complaintInterval, "a", 2, true}, {complaintInterval + 1, "a", 0, false}, {complaintInterval + 1, "b", 0, false},
		{complaintInterval + 2, "b", 1, true}, {2 * complaintInterval, "a", 1, true}, {3 * complaintInterval, "a", 0, true},
	} {
		if omitted, due := c.due(step.text, now.Add(step.after)); omitted != step.omitted || due != step.due {
			t.Errorf("%q after %v: %d, %v", step.text, step.after, omitted, due)
		}
	}
}
