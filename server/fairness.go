package server

// places decide who gets in when many calls are in flight. A user gets in
//
//   - while less than half of MaxCalls is taken, whoever he is;
//   - else if he has fewer calls in flight than his share, which is 1/(n*(n+1)) of the
//     other half if he is one of n users with calls in flight;
//   - always if he is privileged, as long as reserved places on top of MaxCalls are
//     free. These are taken by privileged users first, so that root does not crowd out
//     others either before it has used them up.
//
// So whatever others do, one of n users can have 1/(n*(n+1)) of half of MaxCalls in
// flight, as long as that is one call or more: with 4096 calls up to the 44th user.
// Why they cannot take it: sort the users who have come in by their share, by when
// they last did. The i-th was one of at least i users then, and so has no more than
// 1/(i*(i+1)) of that half, and the sum of these over n users is n/(n+1) of it. The
// users who last came in by the first rule have no more than the first half together,
// since that is what was taken when the last of them came.
//
// No user needs to be told to give back what he has, and with fewer users more of
// the places can be used. A single user can have half.
type places struct {
	calls     int // MaxCalls
	perUID    int // MaxCallsPerUID
	unshared  int // for whoever comes first
	reserved  int // on top, for privileged users
	taken     int // by everybody; this and what follows is guarded by accounts.mu
	ordinary  int // of those, by users who are not privileged
	ordinaryN int // users who are not privileged and have calls in flight
}

func newPlaces(lim limits) places {
	return places{
		calls:    lim.maxCalls,
		perUID:   min(lim.maxCallsPerUID, 1<<30),
		unshared: lim.maxCalls - lim.maxCalls/2,
		reserved: reservedCalls(lim.maxCalls),
	}
}

// reservedCalls returns how many places there are on top of MaxCalls.
func reservedCalls(maxCalls int) int { return max(1, maxCalls/64) }

// admit says whether a is let in for one more call, or why not.
func (p *places) admit(a *account) (r Reason, ok bool) {
	// What privileged users take counts for others once the reserve is used up.
	taken := max(p.ordinary, p.taken-p.reserved)
	switch {
	case int(a.calls) >= p.perUID:
		return RefusedOverloadUID, false
	case a.privileged && p.taken < p.calls+p.reserved:
		return 0, true
	case a.privileged || taken >= p.calls:
		return RefusedOverload, false
	case taken >= p.unshared && int(a.calls) >= p.share(a):
		return RefusedShare, false
	}
	return 0, true
}

// share returns how many calls a can have when more than half is taken.
func (p *places) share(a *account) int {
	n := p.ordinaryN
	if a.calls == 0 {
		n++
	}
	return max(1, (p.calls-p.unshared)/(n*(n+1)))
}

// enter counts a call of a.
func (p *places) enter(a *account) {
	p.taken++
	if a.calls++; !a.privileged {
		p.ordinary++
		if a.calls == 1 {
			p.ordinaryN++
		}
	}
}

// leave takes back an enter.
func (p *places) leave(a *account) {
	p.taken--
	if a.calls--; !a.privileged {
		p.ordinary--
		if a.calls == 0 {
			p.ordinaryN--
		}
	}
}
