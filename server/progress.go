package server

import "context"

// A question asks a loop whether its leader goes round. Whoever asks puts it into the
// loop; the leader takes it out at the beginning of its next round and closes answered.
type question struct {
	answered chan struct{}
}

// Progress waits until every event loop has gone round, which takes microseconds where
// all is well, also under full load and while handlers block, unless they promised not
// to ([Server.HandlerOnLoop]). It is what feeds a watchdog: see package
// credrpc/systemd. It may be called until Shutdown is done.
//
// Returns a [*StalledError] if ctx ends before, [ErrNotServing], or [ErrServerClosed]
// if s has ended.
func (s *Server) Progress(ctx context.Context) error {
	s.mu.Lock()
	run, closed := s.serving, s.closed
	s.mu.Unlock()
	switch {
	case run != nil:
		return run.progress(ctx)
	case closed:
		return ErrServerClosed
	}
	return ErrNotServing
}

// progress asks all loops and waits for their answers.
func (s *serving) progress(ctx context.Context) error {
	var open []<-chan struct{}
	for _, l := range s.loops {
		if !l.resting.Load() {
			open = append(open, l.ask())
		}
	}
	for len(open) > 0 {
		select {
		case <-open[0]:
			open = open[1:]
		case <-s.stop:
			return ErrServerClosed
		case <-ctx.Done():
			if n := unanswered(open); n > 0 {
				return &StalledError{Loops: len(s.loops), Stalled: n, Err: ctx.Err()}
			}
			return nil // they were in time
		}
	}
	return nil
}

// unanswered counts the open ones of answers.
func unanswered(answers []<-chan struct{}) (n int) {
	for _, answered := range answers {
		select {
		case <-answered:
		default:
			n++
		}
	}
	return n
}

// ask returns a channel that is closed when the leader has gone round since. Where
// somebody else has asked and got no answer yet, that answer will do.
func (l *loop) ask() <-chan struct{} {
	q := &question{answered: make(chan struct{})}
	for {
		if l.question.CompareAndSwap(nil, q) {
			l.wake()
			return q.answered
		}
		if other := l.question.Load(); other != nil {
			return other.answered
		}
	}
}

// beat answers if somebody has asked. Only the leader calls it: when it begins a round,
// and after it has taken back a wake, which may have been the asker's.
func (l *loop) beat() {
	if l.question.Load() == nil {
		return
	}
	close(l.question.Swap(nil).answered)
}
