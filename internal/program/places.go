package program

import (
	"context"
	"slices"
	"sync"
)

// places are how many programs may run at once. Who waits for one waits in the queue
// of his user, and the users take turns: however many calls one of them makes, he is
// one among the users when a place becomes free. Nor may one user have all places,
// since his programs may run for a long time: three in four, where there are four.
type places struct {
	perUser int // most places of one user

	mu      sync.Mutex
	free    int                 // guarded by mu
	running map[uint32]int      // places of each user, > 0; guarded by mu
	waiting map[uint32][]*place // by user, in the order in which they came; guarded by mu
	turns   []uint32            // users with somebody waiting, the next one first; guarded by mu
}

// A place is what a call waits for.
type place struct {
	given chan struct{} // closed when it may run
}

func newPlaces(n int) *places {
	return &places{
		perUser: (3*n + 3) / 4,
		free:    n,
		running: make(map[uint32]int),
		waiting: make(map[uint32][]*place),
	}
}

// enter waits for a place for a call of uid. It returns the context's error if that
// ends first.
func (s *places) enter(ctx context.Context, uid uint32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p := &place{given: make(chan struct{})}
	s.mu.Lock()
	if len(s.waiting[uid]) == 0 {
		s.turns = append(s.turns, uid)
	}
	s.waiting[uid] = append(s.waiting[uid], p)
	s.giveLocked()
	s.mu.Unlock()
	select {
	case <-p.given:
		return nil
	case <-ctx.Done():
		s.giveUp(uid, p)
		return ctx.Err()
	}
}

// giveUp takes p out of the queue, or back if it was given meanwhile.
func (s *places) giveUp(uid uint32, p *place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting[uid], p)
	if i < 0 {
		s.leaveLocked(uid)
		return
	}
	s.waiting[uid] = slices.Delete(s.waiting[uid], i, i+1)
	if len(s.waiting[uid]) == 0 {
		delete(s.waiting, uid)
		s.turns = slices.DeleteFunc(s.turns, func(other uint32) bool { return other == uid })
	}
}

// leave gives the place of a call of uid to whoever is next.
func (s *places) leave(uid uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaveLocked(uid)
}

func (s *places) leaveLocked(uid uint32) {
	s.free++
	if s.running[uid]--; s.running[uid] == 0 {
		delete(s.running, uid)
	}
	s.giveLocked()
}

// giveLocked gives the free places to those whose turn it is, passing over users who
// have as many as they may.
func (s *places) giveLocked() {
	for i := 0; s.free > 0 && i < len(s.turns); {
		uid := s.turns[i]
		if s.running[uid] >= s.perUser {
			i++
			continue
		}
		queue := s.waiting[uid]
		close(queue[0].given)
		s.free--
		s.running[uid]++
		s.turns = slices.Delete(s.turns, i, i+1)
		if len(queue) == 1 {
			delete(s.waiting, uid)
		} else {
			s.waiting[uid] = queue[1:]
			s.turns = append(s.turns, uid)
		}
	}
}
