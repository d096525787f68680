package server

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"credrpc/accessdb"
)

// An AccessChecker decides whether a user and a group may call. A
// [*accessdb.DB] is one.
//
// Check is called on the event loops, by several goroutines at once, and holds up
// every other call while it runs. Whatever comes with an error is a refusal, and
// so is a panic.
type AccessChecker interface {
	Check(uid, gid uint32) (accessdb.Result, error)
}

var _ AccessChecker = (*accessdb.DB)(nil)

// An AccessDecision is one answer of [Server.Access].
type AccessDecision struct {
	// Peer says who connected. Its effective user and group were looked up.
	Peer Credentials

	// Result names the rule that decided.
	Result accessdb.Result

	// Err is why deciding failed, or nil.
	Err error
}

// Allowed reports whether the caller may call: the rules say so, and nothing
// failed.
func (d *AccessDecision) Allowed() bool {
	return d.Err == nil && d.Result.Decision == accessdb.Allow
}

// errAccessPanicked stands for a decision that was never made.
var errAccessPanicked = errors.New("server: Access or Audit panicked")

// errAccessExited ends the server, whose leader has ended.
var errAccessExited = errors.New("server: Access or Audit called runtime.Goexit")

// authorize asks Access about the caller of c, whose request is not looked at
// before that. It refuses c and returns false unless the answer is to allow it.
func (w *worker) authorize(c *conn) (allowed bool) {
	if w.run.access == nil {
		return true
	}
	decision := w.decide(c)
	c.access = decision.Result
	if decision.Allowed() {
		return true
	}
	if decision.Err == nil {
		w.loop.refuse(c, RefusedAccess)
		return false
	}
	w.run.logAccessError(&decision)
	w.loop.refuse(c, RefusedAccessError)
	return false
}

// decide returns what Access answers, after Audit was told. What they panic with
// becomes an error.
func (w *worker) decide(c *conn) (d AccessDecision) {
	d.Peer = c.peer
	returned := false
	defer func() {
		if returned {
			return
		}
		p := recover()
		if p == nil { // this goroutine ends
			w.loop.refuse(c, RefusedAccessError)
			w.run.fail(errAccessExited)
			return
		}
		w.run.logPanic("Access or Audit panicked", "panic", fmt.Sprint(p), "peer", d.Peer.String(), "stack", string(debug.Stack()))
		d.Result, d.Err = accessdb.Result{}, errAccessPanicked
	}()
	d.Result, d.Err = w.run.access.Check(c.peer.UID(), c.peer.GID())
	if w.run.audit != nil {
		w.run.audit(d)
	}
	returned = true
	return d
}

// accessLogInterval is the least time between two log lines about decisions that
// failed. Callers can cause them; Stats counts all.
const accessLogInterval = time.Minute

func (s *serving) logAccessError(d *AccessDecision) {
	last, now := s.accessLog.Load(), s.now()
	if (last == 0 || now-last > int64(accessLogInterval)) && s.accessLog.CompareAndSwap(last, now) {
		s.log.Error("deciding who may call fails; such callers are refused", "error", d.Err, "peer", d.Peer.String())
	}
}
