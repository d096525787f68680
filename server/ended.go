package server

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"credrpc/accessdb"
)

// An Outcome is what became of a connection that was accepted.
type Outcome uint8

// The outcomes, one for each counter of [Stats] of that name. The zero Outcome is none
// of them.
const (
	// OutcomeAnswered: the kernel took the handler's answer whole.
	OutcomeAnswered Outcome = iota + 1
	// OutcomeFailed: the caller was answered by an error: the handler's, a panic, a
	// timeout, an answer over the limit.
	OutcomeFailed
	// OutcomeDropped: the answer could not be delivered.
	OutcomeDropped
	// OutcomeRefused: no handler saw the call.
	OutcomeRefused
	// OutcomeEmpty: it ended before its first byte, without a reason to refuse it.
	OutcomeEmpty
)

var outcomeNames = [...]string{
	OutcomeAnswered: "answered",
	OutcomeFailed:   "failed",
	OutcomeDropped:  "dropped",
	OutcomeRefused:  "refused",
	OutcomeEmpty:    "empty",
}

// String returns the outcome's name, such as "answered".
func (o Outcome) String() string {
	if o == 0 || int(o) >= len(outcomeNames) {
		return fmt.Sprintf("Outcome(%d)", uint8(o))
	}
	return outcomeNames[o]
}

// A CallRecord is what [Server.Ended] is told of a call.
type CallRecord struct {
	// Peer says who connected. It is invalid if the kernel did not say.
	Peer Credentials

	// Sender says who sent the request, or, of one that is refused for its senders, the
	// piece that was one too many. It is invalid if nothing was received, or nothing
	// that came with credentials which the server knows.
	Sender Credentials

	// Access is what [Server.Access] decided; zero without Access, and where a call was
	// refused before.
	Access accessdb.Result

	// Outcome says what became of the call, and Reason why it was refused; of other
	// outcomes it means nothing.
	Outcome Outcome
	Reason  Reason

	// TimedOut: the call ran into [Server.CallTimeout].
	TimedOut bool

	// BytesIn and BytesOut are what was received of the request and written to the
	// caller, headers included. What follows the request is not counted, nor a piece
	// that is refused for its sender or for passing descriptors.
	BytesIn, BytesOut int

	// Duration is the time from accepting the connection to the outcome.
	Duration time.Duration
}

// conclude counts what has become of c, and tells whoever wants to know. It comes before
// c is closed. r matters if o is [OutcomeRefused].
func (l *loop) conclude(c *conn, o Outcome, r Reason) {
	l.count.add(o, r)
	l.report(c, o, r)
}

// report tells whoever wants to know what has become of c.
func (l *loop) report(c *conn, o Outcome, r Reason) {
	switch {
	case l.run.tellEnd != nil:
		l.observe(c.record(o, r))
	case l.latency != nil: // which most servers have, and need no record for
		l.measure(o, c.age())
	}
}

// age returns the time since c was accepted.
func (c *conn) age() time.Duration { return time.Duration(c.loop.run.now() - c.accepted) }

// record returns what c is at its end.
func (c *conn) record(o Outcome, r Reason) CallRecord {
	return CallRecord{
		Peer:     c.peer,
		Sender:   c.sender,
		Access:   c.access,
		Outcome:  o,
		Reason:   r,
		BytesIn:  c.decoder.Received(),
		BytesOut: int(c.moved),
		Duration: c.age(),
	}
}

// observe passes a call's end on.
func (l *loop) observe(r CallRecord) {
	l.measure(r.Outcome, r.Duration)
	switch {
	case l.run.tellEnd == nil:
	case l.run.stopping.Load():
		l.run.tellAside(r)
	default:
		l.run.tell(r)
	}
}

// measure counts how long a call took, if that is asked for and it was answered.
func (l *loop) measure(o Outcome, took time.Duration) {
	if l.latency != nil && (o == OutcomeAnswered || o == OutcomeFailed) {
		l.latency.add(took)
	}
}

// tellAside is tell for while the server stops, which goes on even if Ended ends the
// goroutine that calls it.
func (s *serving) tellAside(r CallRecord) {
	var telling sync.WaitGroup
	telling.Go(func() { s.tell(r) })
	telling.Wait()
}

// errEndedExited ends the server, whose leader may have ended.
var errEndedExited = errors.New("server: Ended called runtime.Goexit")

// tell calls Ended. What it panics with is logged: the call has ended.
func (s *serving) tell(r CallRecord) {
	returned := false
	defer func() {
		if returned {
			return
		}
		p := recover()
		if p == nil { // this goroutine ends
			s.fail(errEndedExited)
			return
		}
		s.logPanic("Ended panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	}()
	s.tellEnd(r)
	returned = true
}
