package server

import (
	"sync"
	"sync/atomic"
)

// accounts keep what each user has in flight: calls, and bytes in buffers. There
// are no more accounts than calls in flight.
type accounts struct {
	maxCalls int32 // of one user
	maxBytes int64 // of one user

	mu    sync.Mutex
	open  map[uint32]*account // by uid; guarded by mu
	spare []*account          // closed, to be opened for others; guarded by mu
}

// An account is open as long as its user has a call in flight.
type account struct {
	uid   uint32
	calls int32        // > 0 while open; guarded by accounts.mu
	bytes atomic.Int64 // what the calls' buffers take
}

// acquire counts a call of uid and returns the account, or nil if the user is at
// the limit.
func (s *accounts) acquire(uid uint32) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.open[uid]
	switch {
	case a == nil:
		a = s.newLocked()
		a.uid = uid
		s.open[uid] = a
	case a.calls >= s.maxCalls:
		return nil
	}
	a.calls++
	return a
}

func (s *accounts) newLocked() *account {
	last := len(s.spare) - 1
	if last < 0 {
		return new(account)
	}
	a := s.spare[last]
	s.spare = s.spare[:last]
	return a
}

// release ends the counting of one call. Its bytes are credited before.
func (s *accounts) release(a *account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.calls--; a.calls == 0 {
		delete(s.open, a.uid)
		s.spare = append(s.spare, a)
	}
}

// charge makes c's buffers count as what its user takes. It returns false if that
// is more than a user may take.
func (c *conn) charge() bool {
	taken := 0
	if c.request != nil {
		taken = cap(c.request.B)
	}
	if c.answer != nil {
		taken += cap(c.answer.B)
	}
	more := int64(taken) - int64(c.charged)
	if more <= 0 {
		return true
	}
	c.charged += int32(more)
	return c.account.bytes.Add(more) <= c.loop.run.accounts.maxBytes
}

// credit takes back what c was charged.
func (c *conn) credit() {
	if c.charged != 0 {
		c.account.bytes.Add(-int64(c.charged))
		c.charged = 0
	}
}
