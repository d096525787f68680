package server

import "credrpc/internal/sys"

const (
	// contentionSample is after how many callers a leader looks how long it had to
	// wait for a processor.
	contentionSample = 128

	// contentionShare is the share of the time in which a leader had something to
	// do and no processor, from which on processors are contended. Measured on two
	// cores: with one caller and 32 or 256 calls in flight 6 to 7 % of the samples
	// say so, with 4, 16 and 64 callers 95 to 98 %.
	contentionShare = 0.2

	// contentionStreak is how many samples in a row must say so. With one caller 3
	// of 5,277 samples were the fourth of them by chance, with 64 callers 0.94 of
	// series are that long.
	contentionStreak = 4
)

// A contention finds out whether callers and a leader compete for processors. Then
// one thread for all callers gets too small a share, and a second loop serves them
// sooner; where they do not, it would take the processor that a caller has. It looks
// only while one loop watches the listener, since two compete with each other. Only
// the leader touches it.
type contention struct {
	streak    int   // samples in a row that found contention
	calls     int   // in this sample
	stretches int   // of calls without a pause between them
	slept     int64 // time in which the leader waited for callers, in ns
	thread    int   // of the leader when the sample began
	began     int64 // on the server's clock
	cpu       int64 // of the thread at that time, in ns
}

// note counts a caller, who came after a pause or found the leader busy. It returns
// true if processors are contended: once a sample, at most.
func (s *contention) note(now int64, paused bool) bool {
	if s.calls == 0 {
		s.began, s.slept = now, 0
		s.thread, s.cpu = sys.ThreadTime()
	}
	s.calls++
	if paused {
		s.stretches++
	}
	if s.calls < contentionSample {
		return false
	}
	thread, cpu := sys.ThreadTime()
	awake := now - s.began - s.slept
	switch {
	case thread != s.thread: // nothing is known of a thread that the leader has moved to
	case s.stretches <= s.calls/2 && float64(awake-(cpu-s.cpu)) > contentionShare*float64(awake):
		s.streak++
	default: // also for one caller at a time, who needs no other leader beside
		s.streak = 0
	}
	contended := s.streak == contentionStreak
	if contended {
		s.streak = 0
	}
	s.calls, s.stretches = 0, 0
	return contended
}
