package control

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"credrpc/server"
)

// The users with the most calls are found as in "Efficient Computation of Frequent and
// Top-k Elements in Data Streams" (Metwally, Agrawal, El Abbadi, 2005): a user who is
// not in a full table takes the place of the one with the least calls, and inherits
// their number as the most that may have been missed of his own. Here the table is
// cut into sets by a hash of the user, each with a lock of its own, so that loops do
// not contend and a look at eight ids decides. The hash is secret, since whoever has
// many ids (subuid(5)) could otherwise crowd a set.
//
// What follows for each set: a user with more than an eighth of its calls is in it.
const (
	userSets = 64
	userWays = 8

	// MaxUsers is how many users [Users] keeps at once.
	MaxUsers = userSets * userWays
)

// Users counts what the calls of each user came to. Its memory is fixed, some 40 KiB:
// of more users than [MaxUsers] it keeps those with the most calls. Methods may be
// called concurrently.
type Users struct {
	multiplier uint64 // odd
	sets       [userSets]userSet
}

type userSet struct {
	mu   sync.Mutex
	used int                 // guarded by mu, as what follows
	uids [userWays]uint32    // in one cache line with mu
	rows [userWays]UserCalls // of uids
}

// UserCalls are the calls of one user since the time from which they are counted.
type UserCalls struct {
	UID   uint32    // who connected; [server.NoID] if the kernel did not say
	Since time.Time // counted from here on

	Answered, Failed, Dropped, Refused, Empty uint64 // by outcome, as in [server.Stats]

	// Duration is the sum over all calls that were not refused and not empty.
	Duration time.Duration

	// MissedMax is the most that may have ended before Since, while others were
	// counted instead.
	MissedMax uint64
}

// Calls returns how many were counted.
func (c *UserCalls) Calls() uint64 { return c.Answered + c.Failed + c.Dropped + c.Refused + c.Empty }

// weight is by what users are kept.
func (c *UserCalls) weight() uint64 { return c.Calls() + c.MissedMax }

// Mean returns the mean duration of calls that were not refused and not empty.
func (c *UserCalls) Mean() time.Duration {
	n := c.Answered + c.Failed + c.Dropped
	return c.Duration / time.Duration(max(n, 1))
}

// NewUsers returns an empty table.
func NewUsers() *Users { return &Users{multiplier: rand.Uint64() | 1} }

// Ended counts a call. It is for [server.Server.Ended]: it neither blocks nor
// allocates.
func (u *Users) Ended(r server.CallRecord) {
	uid := r.Peer.UID()
	set := u.set(uid)
	set.mu.Lock()
	row := set.rowLocked(uid)
	switch r.Outcome {
	case server.OutcomeAnswered:
		row.Answered++
		row.Duration += r.Duration
	case server.OutcomeFailed:
		row.Failed++
		row.Duration += r.Duration
	case server.OutcomeDropped:
		row.Dropped++
		row.Duration += r.Duration
	case server.OutcomeRefused:
		row.Refused++
	default:
		row.Empty++
	}
	set.mu.Unlock()
}

// set returns the set of uid: the upper bits of a product with a secret odd number.
func (u *Users) set(uid uint32) *userSet {
	return &u.sets[(uint64(uid)+1)*u.multiplier>>(64-6)]
}

// rowLocked returns the row of uid, which may take that of another user.
func (s *userSet) rowLocked(uid uint32) *UserCalls {
	for i := range s.used {
		if s.uids[i] == uid {
			return &s.rows[i]
		}
	}
	i, missed := s.used, uint64(0)
	if i < userWays {
		s.used++
	} else {
		i = s.leastLocked()
		missed = s.rows[i].weight()
	}
	s.uids[i] = uid
	s.rows[i] = UserCalls{UID: uid, Since: time.Now(), MissedMax: missed}
	return &s.rows[i]
}

// leastLocked returns which row has the least weight.
func (s *userSet) leastLocked() (least int) {
	for i := range s.rows {
		if s.rows[i].weight() < s.rows[least].weight() {
			least = i
		}
	}
	return least
}

// All returns the users that are kept, those with the most calls first.
func (u *Users) All() []UserCalls {
	list := make([]UserCalls, 0, MaxUsers)
	for i := range u.sets {
		set := &u.sets[i]
		set.mu.Lock()
		list = append(list, set.rows[:set.used]...)
		set.mu.Unlock()
	}
	slices.SortFunc(list, func(a, b UserCalls) int {
		return cmp.Or(cmp.Compare(b.weight(), a.weight()), cmp.Compare(a.UID, b.UID))
	})
	return list
}
