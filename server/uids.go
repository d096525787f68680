package server

import "sync"

// callsByUID counts the calls in flight of each user. It holds no more users
// than there are calls in flight.
type callsByUID struct {
	limit int32
	mu    sync.Mutex
	calls map[uint32]int32 // > 0; guarded by mu
}

// acquire counts a call of uid, unless the user is at the limit.
func (u *callsByUID) acquire(uid uint32) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := u.calls[uid]
	if n >= u.limit {
		return false
	}
	u.calls[uid] = n + 1
	return true
}

// release ends the counting of one call of uid.
func (u *callsByUID) release(uid uint32) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if n := u.calls[uid]; n > 1 {
		u.calls[uid] = n - 1
	} else {
		delete(u.calls, uid)
	}
}
