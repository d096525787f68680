package server

import "credrpc/internal/sys"

const (
	// contentionSample is after how many callers a leader looks how often it was put
	// aside.
	contentionSample = 128

	// contentionPerSwitch is how many callers there may be for each time that a leader
	// was put aside for another thread, for processors to count as contended. Measured
	// on two cores, in samples of one loop: one caller with 8 to 256 calls in flight has
	// as many switches in 1 to 4 % of them, and 4, 16 and 64 callers in 91, 99 and 99 %.
	contentionPerSwitch = 8

	// contentionStreak is how many samples in a row must say so. With one caller none
	// of 6,456 samples was the fourth of them, with 4, 16 and 64 callers 90, 98 and 95 %
	// were.
	contentionStreak = 4
)

// A contention finds out whether callers and a leader compete for processors: then
// the kernel puts the leader aside again and again, often for a caller whom it has just
// answered. One thread for all callers gets too small a share of the processors, and a
// second loop serves them sooner; where they do not compete, it would take the processor
// that a caller has. A processor that the host takes from a virtual machine does not
// count. It looks only while one loop watches the listener, since two compete with each
// other. Only the leader touches it.
type contention struct {
	streak    int // samples in a row that found contention
	calls     int // in this sample
	stretches int // of calls without a pause between them
	thread    int // of the leader when the sample began
	switches  int // of that thread until then
}

// note counts a caller, who came after a pause or found the leader busy. It returns
// true if processors are contended: once a sample, at most.
func (s *contention) note(paused bool) bool {
	if s.calls == 0 {
		s.thread, s.switches = sys.ThreadSwitches()
	}
	s.calls++
	if paused {
		s.stretches++
	}
	if s.calls < contentionSample {
		return false
	}
	thread, switches := sys.ThreadSwitches()
	switch {
	case thread != s.thread: // nothing is known of a thread that the leader has moved to
	case s.stretches <= s.calls/2 && (switches-s.switches)*contentionPerSwitch >= s.calls:
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
