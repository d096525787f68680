package server

import (
	"sync"
	"sync/atomic"
)

// accounts keep what each user has in flight: calls, and bytes in buffers. There
// are no more accounts than calls in flight.
type accounts struct {
	maxBytes int64  // of one user
	self     uint32 // the server's user

	mu     sync.Mutex
	places places              // guarded by mu
	open   map[uint32]*account // by uid; guarded by mu
	spare  []*account          // closed, to be opened for others; guarded by mu
}

// An account is open as long as its user has a call in flight.
type account struct {
	uid        uint32
	privileged bool         // root or the server's user
	calls      int32        // > 0 while open; guarded by accounts.mu
	bytes      atomic.Int64 // what the calls' buffers take
}

// privileged reports whether uid is root or the server's user, who can do as they
// like with the server anyway.
func (s *accounts) privileged(uid uint32) bool { return uid == 0 || uid == s.self }

// acquire counts a call of uid and returns the account, or nil and why the call is
// not let in.
func (s *accounts) acquire(uid uint32) (a *account, r Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, open := s.open[uid]
	if !open {
		a = s.nextLocked()
		a.uid, a.privileged = uid, s.privileged(uid)
	}
	r, ok := s.places.admit(a)
	if !ok {
		return nil, r
	}
	if !open {
		s.open[uid] = a
		s.spare = s.spare[:len(s.spare)-1]
	}
	s.places.enter(a)
	return a, 0
}

// nextLocked returns the account that is opened next. It stays among the spare ones.
func (s *accounts) nextLocked() *account {
	if len(s.spare) == 0 {
		s.spare = append(s.spare, new(account))
	}
	return s.spare[len(s.spare)-1]
}

// release ends the counting of one call. Its bytes are credited before.
func (s *accounts) release(a *account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.places.leave(a); a.calls == 0 {
		delete(s.open, a.uid)
		s.spare = append(s.spare, a)
	}
}

// loads returns what the users with open accounts have in flight.
func (s *accounts) loads() []UserLoad {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]UserLoad, 0, len(s.open))
	for uid, a := range s.open {
		list = append(list, UserLoad{UID: uid, Calls: int(a.calls), Bytes: a.bytes.Load()})
	}
	return list
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
	c.account.bytes.Add(more)
	return c.fits(0)
}

// fits reports whether c's user may take n bytes more than he is charged. Answers that
// he has read just now count no longer.
func (c *conn) fits(n int) bool {
	run := c.loop.run
	if c.account.bytes.Load()+int64(n) <= run.accounts.maxBytes {
		return true
	}
	run.lobby.makeRoom()
	return c.account.bytes.Load()+int64(n) <= run.accounts.maxBytes
}

// credit takes back what c was charged.
func (c *conn) credit() {
	if c.charged != 0 {
		c.account.bytes.Add(-int64(c.charged))
		c.charged = 0
	}
}
