package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
)

// room is what newPlaces makes of MaxCalls.
func room(maxCalls int) *accounts {
	lim := limits{maxCalls: maxCalls, maxCallsPerUID: maxCalls}
	return &accounts{maxBytes: 1, self: NoID, places: newPlaces(lim), open: make(map[uint32]*account)}
}

// TestSharesAgainstGreed has one user after the other take all that he can get.
// Each one finds his share.
func TestSharesAgainstGreed(t *testing.T) {
	for _, maxCalls := range []int{1, 2, 3, 10, 100, 4096} {
		s := room(maxCalls)
		for n := 1; n*(n+1) <= maxCalls/2; n++ {
			share := maxCalls / 2 / (n * (n + 1))
			got := 0
			for {
				if a, _ := s.acquire(uint32(n)); a == nil {
					break
				}
				got++
			}
			if got < share {
				t.Errorf("of %d places user %d gets %d, his share is %d", maxCalls, n, got, share)
			}
			if n == 1 && got > maxCalls-maxCalls/2 {
				t.Errorf("of %d places the first user gets %d", maxCalls, got)
			}
		}
	}
}

// TestSharesAnyOrder has users come and go at random and, each in phases, greedily.
// Whoever has less than his share gets in.
func TestSharesAnyOrder(t *testing.T) {
	const maxCalls, users = 200, 14
	random := rand.New(rand.NewPCG(1, 2))
	s := room(maxCalls)
	held := make([][]*account, users)
	refused := 0
	for range 300_000 {
		uid := random.IntN(users)
		if random.IntN(1000) == 0 { // everybody but one gives back
			for i := range held {
				for i != uid && len(held[i]) > 0 {
					s.release(held[i][0])
					held[i] = held[i][1:]
				}
			}
		}
		if random.IntN(3) == 0 && len(held[uid]) > 0 {
			s.release(held[uid][0])
			held[uid] = held[uid][1:]
			continue
		}
		n, taken := 0, 0
		for i := range held {
			if taken += len(held[i]); len(held[i]) > 0 || i == uid {
				n++
			}
		}
		a, reason := s.acquire(uint32(uid) + 1)
		switch {
		case a != nil:
			held[uid] = append(held[uid], a)
		case n*(n+1) <= maxCalls/2 && len(held[uid]) < maxCalls/2/(n*(n+1)), taken < maxCalls/2:
			t.Fatalf("one of %d users, who has %d of %d calls, is refused: %v", n, len(held[uid]), taken, reason)
		default:
			refused++
		}
	}
	if refused == 0 {
		t.Error("nobody was ever refused")
	}
	for i := range held {
		for _, a := range held[i] {
			s.release(a)
		}
	}
	if p := s.places; p.taken != 0 || p.ordinary != 0 || p.ordinaryN != 0 || len(s.open) != 0 {
		t.Errorf("afterwards: %+v", p)
	}
}

// TestReserve fills all places and has root come then.
func TestReserve(t *testing.T) {
	const maxCalls = 256
	s := room(maxCalls)
	full := 0
	for uid := uint32(1); full < maxCalls; uid++ {
		for {
			a, reason := s.acquire(uid)
			if a == nil {
				if reason != RefusedShare && reason != RefusedOverload {
					t.Fatalf("user %d is refused for %v", uid, reason)
				}
				break
			}
			full++
		}
	}
	if _, reason := s.acquire(5000); reason != RefusedOverload {
		t.Errorf("a user too many: %v", reason)
	}
	root := 0
	for a, _ := s.acquire(0); a != nil; a, _ = s.acquire(0) {
		root++
	}
	if root != reservedCalls(maxCalls) || root != 4 {
		t.Errorf("root has %d places", root)
	}

	// Alone, root takes the reserve first, and leaves everything else to others.
	s = room(maxCalls)
	for range 4 {
		s.acquire(0)
	}
	for full = 0; ; full++ {
		if a, _ := s.acquire(uint32(full) + 1); a == nil {
			break
		}
	}
	if full != maxCalls {
		t.Errorf("beside root there is room for %d", full)
	}
}

// TestFairnessOfUsers fills a server with the calls of other users, of whom each
// holds what he can get.
func TestFairnessOfUsers(t *testing.T) {
	needRoot(t)
	leave := make(chan struct{})
	srv := &Server{MaxCalls: 16, Mode: 0o666, CallTimeout: 2 * patience,
		Handler: HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
			if string(call.Payload) == "gone" {
				<-leave
			}
			return append(dst, call.Payload...), nil
		})}
	path := publicPath(t)
	startAt(t, srv, path)
	probeGone(t, srv)
	// Half is for whoever comes first; then the second user has a sixth of the
	// other half, and each further one the least that there is.
	for i, want := range []int64{8, 9, 10, 11, 12, 13, 14, 15, 16, 16} {
		refused := srv.Stats().Refused
		before := refused[RefusedShare] + refused[RefusedOverload]
		a := startActor(t, []string{"calls", path, fmt.Sprint(1000 + i), "20"})
		if line := a.line(); line != "sent" {
			t.Fatal(line)
		}
		eventually(t, fmt.Sprintf("after user %d there are %d calls in flight", i, want), func() bool {
			s := srv.Stats()
			had := int64(0)
			if i > 0 {
				had = min(16, int64(7+i))
			}
			return s.InFlight == want && int64(s.Refused[RefusedShare]+s.Refused[RefusedOverload]-before) == 20-(want-had)
		})
	}
	if line := startActor(t, []string{"call", path, "0", "0"}).line(); line != "who am I" {
		t.Errorf("root: %s", line)
	}
	if line := startActor(t, []string{"call", path, "2000", "2000"}).line(); line != "error: "+RefusedOverload.text() {
		t.Errorf("another user: %s", line)
	}
	close(leave)
	eventually(t, "all have ended", func() bool { return srv.Stats().InFlight == 0 })
	checkAccounts(t, srv)
}
