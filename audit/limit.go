package audit

import (
	"sync/atomic"
	"time"
)

// shares is how many buckets users have; it is a power of two.
const shares = 64

// A limiter bounds the records a second: in all, and for the users of one bucket to half
// of that. Taking a token is two atomic additions and no look at the clock, since the
// writer refills the buckets.
type limiter struct {
	rate, burst float64
	all         bucket
	users       [shares]bucket
	refilled    time.Time // the writer's
	owed        float64   // part of a token, of all; the writer's
}

// newLimiter makes full buckets.
func newLimiter(rate, burst float64, now time.Time) *limiter {
	l := &limiter{rate: rate, burst: burst, refilled: now}
	l.all.fill(int64(burst), int64(burst))
	for i := range l.users {
		l.users[i].fill(l.half(), l.half())
	}
	return l
}

// half is what one bucket of users holds, at least one.
func (l *limiter) half() int64 { return max(1, int64(l.burst/2)) }

// admit takes a token for a user.
func (l *limiter) admit(uid uint32) bool {
	return l.users[uid%shares].take() && l.all.take()
}

// refill adds what the time since the last refill brings. Only the writer calls it. The
// buckets of users get half of what the common one gets, rounded up.
func (l *limiter) refill(now time.Time) {
	l.owed = min(l.owed+l.rate*now.Sub(l.refilled).Seconds(), l.burst)
	l.refilled = now
	whole := int64(l.owed)
	if whole <= 0 {
		return
	}
	l.owed -= float64(whole)
	l.all.fill(whole, int64(l.burst))
	for i := range l.users {
		l.users[i].fill((whole+1)/2, l.half())
	}
}

// A bucket holds tokens. Less than none is none.
type bucket struct{ tokens atomic.Int64 }

func (b *bucket) take() bool { return b.tokens.Load() > 0 && b.tokens.Add(-1) >= 0 }

// fill adds n tokens, up to most.
func (b *bucket) fill(n, most int64) {
	for {
		had := b.tokens.Load()
		if b.tokens.CompareAndSwap(had, min(max(had, 0)+n, most)) {
			return
		}
	}
}
