package server

import (
	"fmt"
	"sync/atomic"
)

// A Reason says why a caller was refused.
type Reason uint8

// The reasons, roughly in the order in which a call meets them.
const (
	// RefusedOverload: as many calls in flight as [Server.MaxCalls] allows.
	RefusedOverload Reason = iota
	// RefusedOverloadUID: as many calls in flight for one user as
	// [Server.MaxCallsPerUID] allows.
	RefusedOverloadUID
	// RefusedBytesUID: the requests and answers of one user take more than
	// [Server.MaxBytesPerUID].
	RefusedBytesUID
	// RefusedShare: more than half of [Server.MaxCalls] in flight, and of this user
	// as many as his share of the rest is.
	RefusedShare
	// RefusedRate: further over [Server.RatePerUID] than a call can wait for.
	RefusedRate
	// RefusedNoCredentials: the kernel gave no credentials, or credentials that
	// name no process, or an id that this user namespace does not know.
	RefusedNoCredentials
	// RefusedAccess: [Server.Access] did not allow the user and group that
	// connected.
	RefusedAccess
	// RefusedAccessError: [Server.Access] failed to decide.
	RefusedAccessError
	// RefusedDescriptors: the caller passed descriptors.
	RefusedDescriptors
	// RefusedSenderChanged: pieces of the request came from different senders.
	RefusedSenderChanged
	// RefusedSenderMismatch: sender and connector are different users or groups.
	RefusedSenderMismatch
	// RefusedTooLarge: the request is over [Server.MaxRequest].
	RefusedTooLarge
	// RefusedTruncated: the caller stopped sending within the request.
	RefusedTruncated
	// RefusedTimeout: the request was not whole after [Server.RequestTimeout].
	RefusedTimeout
	// RefusedClosing: the server was closed before the request was whole.
	RefusedClosing

	reasons int = iota
)

// reasonTexts holds for each Reason its name in statistics, and what the caller
// is told.
var reasonTexts = [reasons]struct{ name, text string }{
	RefusedOverload:       {"overload", "server overloaded, try again later"},
	RefusedOverloadUID:    {"overload_uid", "too many calls in flight for this user, try again later"},
	RefusedBytesUID:       {"bytes_uid", "too much data in flight for this user, try again later"},
	RefusedShare:          {"share", "server nearly full and this user has his share of it, try again later"},
	RefusedRate:           {"rate", "too many calls a second for this user, try again later"},
	RefusedNoCredentials:  {"no_credentials", "no valid credentials came with the request"},
	RefusedAccess:         {"access", accessText},
	RefusedAccessError:    {"access_error", accessText},
	RefusedDescriptors:    {"descriptors", "descriptors are not accepted"},
	RefusedSenderChanged:  {"sender_changed", "the request came from more than one sender"},
	RefusedSenderMismatch: {"sender_mismatch", "the request was sent by another user or group than connected"},
	RefusedTooLarge:       {"too_large", "request too large"},
	RefusedTruncated:      {"truncated", "the request is cut short"},
	RefusedTimeout:        {"timeout", "the request did not arrive in time"},
	RefusedClosing:        {"closing", "server is closing"},
}

// accessText tells nothing about the rules.
const accessText = "access denied"

// String returns the reason's name in statistics, such as "too_large".
func (r Reason) String() string {
	if int(r) >= reasons {
		return fmt.Sprintf("Reason(%d)", uint8(r))
	}
	return reasonTexts[r].name
}

// Reasons returns all reasons there are.
func Reasons() []Reason {
	all := make([]Reason, reasons)
	for r := range all {
		all[r] = Reason(r)
	}
	return all
}

// text returns what the caller is told.
func (r Reason) text() string { return reasonTexts[r].text }

// Stats is a snapshot of a server's counters. Accepted equals Answered + Failed
// + Dropped + the sum of Refused + Empty + InFlight, apart from calls that were
// under way while the snapshot was taken. A call that has timed out is in Failed
// at once, and in InFlight too until its handler returns; one whose answer is over 64 KiB
// is in Answered or Dropped at once, and in InFlight too until the caller has read it.
type Stats struct {
	Accepted uint64            // connections taken off the backlog
	Answered uint64            // calls whose answer the kernel took whole
	Failed   uint64            // calls answered by an error: the handler's, a panic, a timeout, an answer over the limit
	Dropped  uint64            // calls whose answer could not be delivered: the caller was gone, or did not read it in time
	Refused  map[Reason]uint64 // calls that no handler saw
	Empty    uint64            // connections that ended before their first byte, without one of these reasons
	Panics   uint64            // handlers that panicked; they are in Failed too
	Timeouts uint64            // calls that ran into CallTimeout; they are in Failed too
	Delayed  uint64            // calls that have waited because their user was over RatePerUID; they are counted among the others too
	Deposed  uint64            // leaders that lost their loop to a handler that took long
	Paused   uint64            // pauses of accepting, because the process or the system had run out of something
	InFlight int64             // accepted, admitted and not ended
	BytesIn  uint64            // received, headers included
	BytesOut uint64            // written, headers included
	Latency  Latency           // how long the calls in Answered and Failed took; without [Server.MeasureLatency] it has none
	Loops    []LoopStats       // each event loop's part of it
}

// LoopStats is what one event loop has done. The loop that accepted a call counts it.
type LoopStats struct {
	Accepted, Answered, Failed, Dropped, Refused, Empty uint64 // as in [Stats], Refused for all reasons

	Resting bool // it is not needed at the moment and leaves the listener to others
}

// counters are what Stats is made of. Each loop has its own, so that loops do
// not contend for them; the padding keeps them off the line of what follows.
type counters struct {
	accepted, answered, failed, dropped, empty atomic.Uint64
	panics, timeouts, delayed, deposed, paused atomic.Uint64
	bytesIn, bytesOut                          atomic.Uint64
	refused                                    [reasons]atomic.Uint64
	_                                          [64]byte
}

// add counts an outcome.
func (c *counters) add(o Outcome, r Reason) {
	switch o {
	case OutcomeAnswered:
		c.answered.Add(1)
	case OutcomeFailed:
		c.failed.Add(1)
	case OutcomeDropped:
		c.dropped.Add(1)
	case OutcomeRefused:
		c.refused[r].Add(1)
	case OutcomeEmpty:
		c.empty.Add(1)
	}
}

// addTo adds the counters to s, and their loop to its loops.
func (c *counters) addTo(s *Stats) {
	of := LoopStats{
		Accepted: c.accepted.Load(),
		Answered: c.answered.Load(),
		Failed:   c.failed.Load(),
		Dropped:  c.dropped.Load(),
		Empty:    c.empty.Load(),
	}
	for r := range c.refused {
		if n := c.refused[r].Load(); n > 0 {
			s.Refused[Reason(r)] += n
			of.Refused += n
		}
	}
	s.Loops = append(s.Loops, of)
	s.Accepted += of.Accepted
	s.Answered += of.Answered
	s.Failed += of.Failed
	s.Dropped += of.Dropped
	s.Empty += of.Empty

	s.Panics += c.panics.Load()
	s.Timeouts += c.timeouts.Load()
	s.Delayed += c.delayed.Load()
	s.Deposed += c.deposed.Load()
	s.Paused += c.paused.Load()
	s.BytesIn += c.bytesIn.Load()
	s.BytesOut += c.bytesOut.Load()
}
