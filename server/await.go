package server

import (
	"time"

	"credrpc/internal/sys"
)

const (
	// freshPatience is for how many milliseconds a connection that nothing has
	// arrived on stays out of epoll. Callers send microseconds after they have
	// connected.
	freshPatience = 1 // ms

	// spinBelow is how long callers may have been awaited lately, on average, for
	// a leader to look for the next one over and over before it sleeps: about
	// what sleeping and being woken costs server and caller together.
	spinBelow = 40 * time.Microsecond

	// spinFor is for how long it then looks.
	spinFor = 50 * time.Microsecond

	// gapLimit is the most that one wait counts for in that average, so that a
	// quiet night is forgotten within some thirty calls.
	gapLimit = time.Millisecond

	// helpAfter is for how long a leader may not have seen the backlog empty
	// before it wakes a resting loop. A burst of 256 calls takes 3 ms.
	helpAfter = 10 * time.Millisecond

	// helpLasts is for how long no loop rests after processors were found to be
	// contended. Then one of them does, and it shows whether they still are.
	helpLasts = 250 * time.Millisecond
)

// acceptAll takes connections off the backlog and serves them. As long as no
// connection is parked it also waits for the next ones: then the listener, the
// wakeup and perhaps one fresh connection are all that can be ready, and waiting
// for these takes one system call, where the poller takes two and a detour
// through the scheduler that wakes a second thread. While calls come quickly it
// spins before it waits.
func (w *worker) acceptAll() {
	l := w.loop
	for {
		l.beat()
		backlog := w.accept()
		if w.leading && l.fresh != nil {
			c := l.fresh
			l.fresh = nil
			w.tick()
			w.serve(c)
		}
		if w.readyCount > 0 {
			w.runReady()
		}
		switch {
		case !w.leading || w.run.closing.Load() || backlog == backlogBlocked:
			return
		case backlog == backlogUnknown && l.waiting.Load() > 0:
			return
		case backlog == backlogUnknown:
		case w.spins():
		case !l.awaitCallers():
			return
		}
	}
}

// noteCaller notes that a connection was taken off the backlog, and reports whether that
// was empty before. It calls for help if the backlog has not been empty for long, or if
// processors are contended.
func (l *loop) noteCaller(now int64) (paused bool) {
	paused = l.idleSince != 0
	if paused {
		gap := min(now-l.idleSince, int64(gapLimit))
		l.gap += (gap - l.gap) / 8
		l.idleSince, l.busySince = 0, now
	}
	contended := false
	if l.run.watchers.Load() > 1 {
		l.contention = contention{}
	} else {
		contended = l.contention.note(paused)
	}
	if contended {
		l.run.helpUntil.Store(now + int64(helpLasts))
	}
	if contended || now-l.busySince > int64(helpAfter) {
		l.busySince = now
		l.run.callHelp()
	}
	return paused
}

// spins lets callers have the processor for a moment and returns true if the
// leader should look for them again.
func (w *worker) spins() bool {
	l := w.loop
	w.now = w.run.now()
	if l.idleSince == 0 {
		l.idleSince = w.now
	}
	if l.gap > int64(spinBelow) || w.now-l.idleSince > int64(spinFor) || l.waiting.Load() > 0 || w.run.surplus(w.now) {
		return false
	}
	sys.YieldProcessor()
	return true
}

// awaitCallers waits until there is a connection in the backlog, or the fresh
// connection can be read, or, if another loop awaits callers too, until the loop
// is needed. It returns false if the poller has to be asked, because something
// else is or may become ready.
func (l *loop) awaitCallers() bool {
	l.direct.Store(true) // from here on, who parks a connection wakes
	if l.retired || l.waiting.Load() > 0 {
		l.direct.Store(false)
		return false
	}
	if !l.unlisted {
		// Callers would pay for telling the epoll set of every connection.
		l.poller.Delete(l.listener)
		l.unlisted = true
	}
	listener := l.listener
	fresh := -1 // poll(2) ignores it
	timeout := -1
	began := l.run.now()
	switch {
	case l.fresh != nil:
		fresh, timeout = l.fresh.fd, freshPatience
	case began < l.run.helpUntil.Load():
		timeout = int(helpLasts / time.Millisecond) // and then it may rest
	case l.run.mayRest(l):
		listener = -1
	}
	ready, woken, errno := sys.PollThree(l.wakeup, listener, fresh, timeout)
	l.direct.Store(false)
	if listener < 0 {
		return l.roused()
	}
	if ready == 0 && l.fresh != nil {
		l.usePoller()
	}
	return errno == 0 && !woken
}

// mayRest makes l rest if another loop goes on watching the listener, so that a
// caller wakes one loop and not all of them.
func (s *serving) mayRest(l *loop) bool {
	for {
		n := s.watchers.Load()
		if n <= 1 {
			return false
		}
		if s.watchers.CompareAndSwap(n, n-1) {
			l.resting.Store(true)
			return true
		}
	}
}

// surplus reports whether a loop that has nothing to do is to rest.
func (s *serving) surplus(now int64) bool {
	return s.watchers.Load() > 1 && now >= s.helpUntil.Load()
}

// callHelp wakes a resting loop, if there is one.
func (s *serving) callHelp() {
	if int(s.watchers.Load()) == len(s.loops) {
		return
	}
	for _, l := range s.loops {
		if l.resting.CompareAndSwap(true, false) {
			s.watchers.Add(1)
			l.wake()
			return
		}
	}
}

// roused ends l's rest, in which it was woken for help, or like any loop. It
// returns false if the poller has to be asked.
func (l *loop) roused() bool {
	if l.resting.CompareAndSwap(true, false) {
		l.run.watchers.Add(1)
	}
	l.gap, l.idleSince = 0, 0 // callers are waiting
	l.awake()
	// Whoever sets one of these wakes after it, so nothing is missed.
	if l.waiting.Load() > 0 || l.run.closing.Load() || l.run.stopping.Load() || l.anyReady() {
		l.wake()
		return false
	}
	return true
}

// usePoller makes the poller report everything that the leader has waited for by
// itself. Only the leader calls it, before it polls.
func (l *loop) usePoller() {
	if l.unlisted && !l.retired {
		l.unlisted = false
		if err := l.list(); err != nil {
			l.pauseAccepting(err)
		}
	}
	if c := l.fresh; c != nil {
		l.fresh = nil
		l.park(c, receiving, readable)
	}
}
