package server

import (
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// rateSets and rateWays are how many users the limiter remembers: as many
	// slots as calls can be served in half a second, one MiB. See rates.
	rateSets = 8192
	rateWays = 8

	// maxDelay is how long a call may wait for its time, and how long one waits
	// that would have to wait longer, and is then refused.
	maxDelay = time.Second

	// tooLate is what take returns instead of a longer delay than maxDelay.
	tooLate = -1
)

// rates says when each user may call next. It is the generic cell rate algorithm:
// what is remembered of a user is one time, when all of his calls so far are paid
// for, at one interval each. A call whose user is at most a burst ahead of that goes
// on at once, one that is further ahead waits until he no longer is, so that in any
// T seconds no more than burst + rate*T calls of a user go on.
//
// # Users who are forgotten
//
// The times stand in a table of fixed size, in sets of slots of which the hash of
// the uid chooses one. The hash has a seed of its own in every process, so that
// nobody can choose users who meet in a set. A slot whose time has passed is as good
// as free, so that a call keeps a slot for one interval: if the server takes 100,000
// calls a second, no more than 100,000/rate of the 65,536 slots are in use.
//
// A user whose set has no slot free takes the one whose time is earliest, and that
// time with it. So nobody is ever let in more often than the rate allows: of
// whomever has no slot in a set, what he owes is no more than what any slot there
// says. And nobody owes for others unless eight of them who are in his set by chance
// are ahead of time at the same moment; then he owes as much as the least of these.
//
// # Concurrency
//
// The time of a slot only grows, and its user changes only while the time is claimed.
// So whoever has read time and user, in this order, and replaces the time by compare
// and swap, charges the user whom he has read. That is all that a call takes, without
// a lock, whose user has a slot; whoever takes one does so under mu, for no user to
// take two.
type rates struct {
	interval int64 // nanoseconds that a call costs
	burst    int64 // nanoseconds that a user may be ahead of time
	seed     maphash.Seed

	mu   sync.Mutex // who takes a slot
	sets []rateSet
}

type rateSet [rateWays]rateSlot

type rateSlot struct {
	time atomic.Int64  // when the user's calls are paid for, on the server's clock; or claimed
	user atomic.Uint64 // uid + 1, 0: nobody; written under rates.mu, while time is claimed
}

// claimed is the time of a slot whose user is being replaced.
const claimed = math.MinInt64

func newRates(perSecond float64, burst int) *rates {
	// Rounded up: nobody gets more than the rate.
	interval := int64(math.Ceil(float64(time.Second) / perSecond))
	return &rates{
		interval: interval,
		burst:    int64(burst-1) * interval,
		seed:     maphash.MakeSeed(),
		sets:     make([]rateSet, rateSets),
	}
}

// take takes uid's next turn and returns how long after now that is, or takes none
// and returns tooLate.
func (r *rates) take(uid uint32, now int64) (delay int64) {
	set := r.set(uid)
	for {
		slot, paid := set.find(uid)
		if slot == nil {
			if delay, ok := r.takeOver(set, uid, now); ok {
				return delay
			}
			continue
		}
		delay, next := r.charge(paid, now)
		if delay == tooLate || slot.time.CompareAndSwap(paid, next) {
			return delay
		}
	}
}

func (r *rates) set(uid uint32) *rateSet {
	return &r.sets[maphash.Comparable(r.seed, uid)%uint64(len(r.sets))]
}

// find returns the slot of uid and its time, or nil if uid has none.
func (set *rateSet) find(uid uint32) (slot *rateSlot, paid int64) {
	for i := range set {
		slot := &set[i]
		paid := slot.time.Load()
		if slot.user.Load() == uint64(uid)+1 && paid != claimed {
			return slot, paid
		}
	}
	return nil, 0
}

// charge returns when the next call may go on of somebody whose calls are paid for at
// the time paid, and when that one is paid for.
func (r *rates) charge(paid, now int64) (delay, next int64) {
	delay = max(0, paid-r.burst-now)
	if delay > int64(maxDelay) {
		return tooLate, 0
	}
	return delay, max(paid, now) + r.interval
}

// takeOver is take for a user who has no slot in set. It returns false if somebody
// was quicker.
func (r *rates) takeOver(set *rateSet, uid uint32, now int64) (delay int64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slot, _ := set.find(uid); slot != nil {
		return 0, false
	}
	slot, paid := &set[0], set[0].time.Load()
	for i := range set[1:] {
		if t := set[1+i].time.Load(); t < paid {
			slot, paid = &set[1+i], t
		}
	}
	delay, next := r.charge(paid, now)
	if delay == tooLate {
		return delay, true
	}
	if !slot.time.CompareAndSwap(paid, claimed) {
		return 0, false // its user has called
	}
	slot.user.Store(uint64(uid) + 1)
	slot.time.Store(next)
	return delay, true
}
