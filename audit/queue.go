package audit

import (
	"sync/atomic"
	"time"

	"credrpc/accessdb"
	"credrpc/server"
)

// An entry is what the queue holds of a call.
type entry struct {
	ended             time.Time
	took              time.Duration
	peer, sender      server.Credentials
	rule              accessdb.Key
	outcome           server.Outcome
	reason            server.Reason
	timedOut          bool
	bytesIn, bytesOut int
}

// A queue is a ring with room for a power of two of entries, for many who put and one who
// takes. Nobody waits: put fails when there is no room. It is the bounded queue of
// D. Vyukov (1024cores.net) with a single consumer.
//
// A slot's turn says whose it is: n for the put of place n, n+1 for the take of place n,
// and n+len for the put of the next round.
type queue struct {
	slots []slot
	mask  uint64
	_     [64]byte // keeps who puts off the line of what nobody changes
	tail  atomic.Uint64
	_     [64]byte
	head  uint64 // the taker's
}

type slot struct {
	turn  atomic.Uint64
	entry entry
}

// newQueue makes a queue of at least n slots.
func newQueue(n int) *queue {
	size := 1
	for size < n {
		size *= 2
	}
	q := &queue{slots: make([]slot, size), mask: uint64(size - 1)}
	for i := range q.slots {
		q.slots[i].turn.Store(uint64(i))
	}
	return q
}

// put adds e, or returns false if there is no room.
func (q *queue) put(e *entry) bool {
	for {
		place := q.tail.Load()
		s := &q.slots[place&q.mask]
		switch turn := s.turn.Load(); {
		case turn == place:
			if q.tail.CompareAndSwap(place, place+1) {
				s.entry = *e
				s.turn.Store(place + 1)
				return true
			}
		case turn < place: // not taken since the round before
			return false
		}
	}
}

// take removes the oldest entry into e, or returns false if there is none that is
// complete.
func (q *queue) take(e *entry) bool {
	if !q.ready() {
		return false
	}
	s := &q.slots[q.head&q.mask]
	*e = s.entry
	s.turn.Store(q.head + uint64(len(q.slots)))
	q.head++
	return true
}

// ready reports whether there is something to take.
func (q *queue) ready() bool { return q.slots[q.head&q.mask].turn.Load() == q.head+1 }
