package server

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"credrpc/internal/idspace"
	"golang.org/x/sys/unix"
)

// restingWorkers is how many workers may wait to be woken. More end when they
// have nothing to do; a goroutine is cheap to start, its grown stack less so.
const restingWorkers = 64

// A serving is what a [Server] runs: the loops, the workers and what they share.
type serving struct {
	handler  Handler
	access   AccessChecker        // nil: whoever can connect may call
	audit    func(AccessDecision) // nil: nobody is told
	tellEnd  func(CallRecord)     // nil: nobody is told
	observed bool                 // somebody wants to know how calls end
	limits   limits
	log      *slog.Logger
	ln       *listener
	ids      idspace.Space
	epoch    time.Time // of the server's clock
	loops    []*loop
	watch    *watch
	overseer *overseer // nil if handlers run on the loop
	conns    sync.Pool // of *conn
	buffers  buffers
	answers  answerSize

	waryUntil atomic.Int64 // on the server's clock
	helpUntil atomic.Int64 // no loop rests before, on the server's clock
	inFlight  atomic.Int64
	lingering atomic.Int64
	paused    atomic.Int32 // loops that have paused accepting
	panicLog  atomic.Int64 // likewise for handlers that panicked
	accessLog atomic.Int64 // likewise for decisions that failed
	pauseLog  atomic.Int64 // when a pause of accepting was last logged, on the server's clock
	accounts  accounts
	rates     *rates // nil: no limit
	lobby     *lobby

	closing  atomic.Bool   // no new connections
	stopping atomic.Bool   // no new work; everybody ends
	stop     chan struct{} // closed when stopping is set
	ended    chan struct{} // closed when Serve returns; failure is set before
	failure  error
	endOnce  sync.Once

	watchers  atomic.Int32  // loops that do not rest: there is always one
	unretired atomic.Int32  // loops that still accept
	retired   chan struct{} // closed when none does
	drained   chan struct{} // closed when nothing is accepted and nothing in flight
	drainOnce sync.Once
	stopped   chan struct{} // closed when every goroutine has ended

	goroutines sync.WaitGroup

	mu      sync.Mutex
	workers []*worker // guarded by mu; replaced, never changed in place
	resting []*worker // guarded by mu
	noMore  bool      // no worker may be started; guarded by mu
}

func newServing(srv *Server, lim limits, ln *listener) (*serving, error) {
	s := &serving{
		handler: srv.Handler, access: srv.Access, audit: srv.Audit,
		tellEnd: srv.Ended, observed: srv.Ended != nil || srv.MeasureLatency,
		limits: lim, log: srv.logger(), ln: ln,
		ids:   idspace.Read(),
		epoch: time.Now(),
		conns: sync.Pool{New: func() any { return new(conn) }},
		accounts: accounts{
			maxBytes: lim.maxBytesPerUID,
			self:     uint32(os.Geteuid()),
			places:   newPlaces(lim),
			open:     make(map[uint32]*account),
		},
		stop:    make(chan struct{}),
		ended:   make(chan struct{}),
		retired: make(chan struct{}),
		drained: make(chan struct{}),
		stopped: make(chan struct{}),
	}
	s.checkDescriptors()
	s.lobby = newLobby(s)
	if lim.ratePerUID > 0 {
		s.rates = newRates(lim.ratePerUID, lim.burstPerUID)
	}
	var err error
	if s.watch, err = newWatch(s); err != nil {
		return nil, fmt.Errorf("server: make the watch: %w", err)
	}
	for range lim.loops {
		l, err := newLoop(s)
		if err != nil {
			s.closePollers()
			return nil, fmt.Errorf("server: make an event loop: %w", err)
		}
		if srv.MeasureLatency {
			l.latency = new(latencies)
		}
		s.loops = append(s.loops, l)
	}
	if !lim.onLoop {
		s.overseer = &overseer{run: s, roused: make(chan struct{}, 1)}
	}
	return s, nil
}

// checkDescriptors warns when the process may run out of descriptors before it
// runs out of calls.
func (s *serving) checkDescriptors() {
	var limit unix.Rlimit
	const others = 64 // loops, files of the program
	need := uint64(s.limits.maxCalls + reservedCalls(s.limits.maxCalls) + maxLingering + doneBatch*s.limits.loops + others)
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil && limit.Cur < need {
		s.log.Warn("RLIMIT_NOFILE is below what MaxCalls may need", "limit", limit.Cur, "need", need)
	}
}

// logPanic logs what a handler did, at most once a second: callers may be able to
// cause it. Stats counts all.
func (s *serving) logPanic(text string, args ...any) {
	last, now := s.panicLog.Load(), s.now()
	if (last == 0 || now-last > int64(time.Second)) && s.panicLog.CompareAndSwap(last, now) {
		s.log.Error(text, args...)
	}
}

// start lets everything run.
func (s *serving) start() {
	s.watchers.Store(int32(len(s.loops)))
	s.unretired.Store(int32(len(s.loops)))
	s.goroutines.Add(1)
	go s.watch.main()
	if s.overseer != nil {
		s.goroutines.Add(1)
		go s.overseer.main()
	}
	if s.ln.offers() {
		s.goroutines.Add(1)
		go s.awaitSuccessor()
	}
	for _, l := range s.loops {
		s.summon(l)
	}
}

// wait waits until Serve is to return, and with what.
func (s *serving) wait() error {
	<-s.ended
	return s.failure
}

// end makes Serve return err, if it has not been told anything yet.
func (s *serving) end(err error) {
	s.endOnce.Do(func() {
		s.failure = err
		close(s.ended)
	})
}

// fail ends the server because of err.
func (s *serving) fail(err error) {
	s.log.Error("serving failed", "error", err)
	s.end(err)
	s.stopAll()
}

// stopAccepting gives up the socket file and retires.
func (s *serving) stopAccepting() {
	s.closing.Store(true)
	s.ln.withdraw()
	s.retire(ErrServerClosed)
}

// retire makes the loops retire from accepting and Serve return err.
func (s *serving) retire(err error) {
	s.closing.Store(true)
	s.end(err)
	for _, l := range s.loops {
		l.wake()
	}
	s.lobby.hurry()
}

// loopRetired notes that a loop no longer accepts. The last one ends the
// listener.
func (s *serving) loopRetired() {
	if s.unretired.Add(-1) == 0 {
		close(s.retired)
		s.ln.end(s.loops[0].wakeup)
		s.noteDrained()
	}
}

// noteDrained looks whether Shutdown has what it waits for.
func (s *serving) noteDrained() {
	if s.closing.Load() && s.unretired.Load() <= 0 && s.inFlight.Load() == 0 && s.lingering.Load() == 0 {
		s.drainOnce.Do(func() { close(s.drained) })
	}
}

// stopAll ends everything: waiting connections are closed, calls in handlers
// are abandoned, goroutines end as soon as they have no handler to return from.
func (s *serving) stopAll() {
	s.closing.Store(true)
	if s.stopping.Swap(true) {
		return // by somebody else, or this is a hook that stopping calls
	}
	close(s.stop)
	s.end(ErrServerClosed)
	s.ln.end(s.loops[0].wakeup)

	s.mu.Lock()
	s.noMore = true
	resting := s.resting
	s.resting = nil
	s.mu.Unlock()
	for _, w := range resting {
		close(w.wake)
	}
	for _, l := range s.loops {
		l.wake()
		l.shut()
	}
	s.lobby.shut()
	s.watch.shut()
	for _, w := range s.everyWorker() {
		if turn := w.turn.Load(); turn&1 == 1 {
			s.watch.claim(w, turn)
		}
	}
	go func() {
		s.goroutines.Wait()
		for _, l := range s.loops {
			// What leaders left that were deposed last of all.
			l.usePoller()
			for c := l.popReady(); c != nil; c = l.popReady() {
				l.giveUp(c, RefusedClosing)
			}
		}
		s.ln.close()
		s.closePollers()
		close(s.stopped)
	}()
}

func (s *serving) closePollers() {
	s.watch.poller.Close()
	for _, l := range s.loops {
		l.close()
	}
}

// now returns the server's clock: nanoseconds since epoch.
func (s *serving) now() int64 { return int64(time.Since(s.epoch)) }

// beWary makes leaders wary for a while.
func (s *serving) beWary() { s.waryUntil.Store(s.now() + int64(wariness)) }

// summon makes sure that l is led: if nobody does, a worker is woken for it.
func (s *serving) summon(l *loop) {
	if l.leader.Load() != nil || !l.waking.CompareAndSwap(false, true) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.resting); n > 0 {
		w := s.resting[n-1]
		s.resting = s.resting[:n-1]
		w.wake <- l
		return
	}
	if s.noMore {
		return
	}
	w := &worker{run: s, wake: make(chan *loop, 1)}
	s.workers = append(slices.Clip(s.workers), w)
	s.goroutines.Add(1)
	w.wake <- l
	go w.main()
}

// rest puts w among the workers that wait to be woken, and returns false if it
// should end instead.
func (s *serving) rest(w *worker) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noMore || len(s.resting) >= restingWorkers {
		return false
	}
	s.resting = append(s.resting, w)
	return true
}

// workerEnds forgets w.
func (s *serving) workerEnds(w *worker) {
	s.mu.Lock()
	s.workers = slices.DeleteFunc(slices.Clone(s.workers), func(other *worker) bool { return other == w })
	s.mu.Unlock()
	s.goroutines.Done()
}

// everyWorker returns the workers there are. The slice does not change.
func (s *serving) everyWorker() []*worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.workers
}

// enter admits a call of uid to an account, or says why not.
func (s *serving) enter(uid uint32) (a *account, r Reason) {
	if a, r = s.accounts.acquire(uid); a == nil {
		s.lobby.makeRoom()
		a, r = s.accounts.acquire(uid)
	}
	if a != nil {
		s.inFlight.Add(1) // this loop accepts, so that Shutdown cannot be done
	}
	return a, r
}

// leave ends what enter began. c keeps nothing from here on.
func (s *serving) leave(c *conn) {
	c.release()
	c.creditUnread()
	s.accounts.release(c.account)
	if s.inFlight.Add(-1) == 0 {
		s.noteDrained()
	}
}

// leaveLingering ends the counting of a lingering connection.
func (s *serving) leaveLingering() {
	if s.lingering.Add(-1) == 0 {
		s.noteDrained()
	}
}

// addStats adds the counters to stats.
func (s *serving) addStats(stats *Stats) {
	for _, l := range s.loops {
		l.count.addTo(stats)
		stats.Loops[len(stats.Loops)-1].Resting = l.resting.Load()
		if l.latency != nil {
			l.latency.addTo(&stats.Latency)
		}
	}
	stats.InFlight = s.inFlight.Load()
}
