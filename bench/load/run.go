package load

import (
	"errors"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

var (
	// ErrStuck reports callers that did not end long after the end of a run.
	ErrStuck = errors.New("load: callers still wait for an answer")

	// ErrParts reports a run that one process cannot make.
	ErrParts = errors.New("load: other users and hostile callers need processes of their own")
)

// Setting is what GODEBUG should contain when a process that calls [Run] starts:
// the scheduler then sends no signals to callers that wait in the kernel.
const Setting = "asyncpreemptoff=1"

const (
	// grace is how long after the end of a run callers may wait for the answers
	// to their last calls, before those count as failed.
	grace = 10 * time.Second

	// interruptedGrace is the same after an interruption, when somebody waits.
	interruptedGrace = 2 * time.Second

	// lastGrace is how long callers may take to end when their calls were ended.
	lastGrace = 5 * time.Second
)

// Run makes the load and says what became of it. Calls that fail are counted,
// and are no error of Run. The process must be free of other work: see the
// package's documentation.
//
// It returns what is wrong with config, as [Config.Validate] does, or that the
// load needs more descriptors than are allowed; [ErrParts] if only [Distribute]
// can make the load; and [ErrStuck] if a caller has not ended long after the end.
// Then its goroutine still runs, and the process is good for nothing but to exit.
func Run(config Config) (*Result, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if len(config.UIDs) > 0 || len(config.Hostile) > 0 {
		return nil, ErrParts
	}
	g, err := newGenerator(&share{Config: config, Parts: 1})
	if err != nil {
		return nil, err
	}
	h, err := g.run(0, nil)
	if err != nil {
		return nil, err
	}
	return newResult(&config, []*harvest{h})
}

// A share is what one part does of a run.
type share struct {
	Config  Config // with its own callers
	Part    int    // of Parts
	Parts   int
	Callers int  // of the parts before it
	Hostile bool // it has the hostile callers, else measured ones
}

// A generator makes the load of one part.
type generator struct {
	plan
	measured, sleepers []*caller
}

// newGenerator returns a generator that has made everything ready.
func newGenerator(s *share) (*generator, error) {
	c := &s.Config
	if err := c.fits(); err != nil {
		return nil, err
	}
	address, ok := sys.MakeAddress(c.Path)
	if !ok {
		return nil, ErrPath
	}
	request, answer := c.sizes().Max()
	g := &generator{plan: plan{
		address:  address,
		warmUp:   c.WarmUp,
		steps:    1,
		stream:   makeStream(max(request, answer)),
		pieces:   max(1, c.Pieces),
		pause:    c.Pause,
		phases:   c.Phases,
		identify: c.Identify,
	}}
	if c.Arrivals != nil {
		g.schedule = newSchedule(c.Arrivals, c.WarmUp, c.Seed, s.Part, s.Parts)
		g.steps = len(c.Arrivals.Steps)
	}
	g.until.Store(int64(c.WarmUp + c.Length()))
	g.abandon.Store(math.MaxInt64)
	g.measured = make([]*caller, c.Load.Callers)
	first := byte(awake)
	if c.Identify {
		first = identified
	}
	for i := range g.measured {
		g.measured[i] = newCaller(&g.plan, c.sizes(), c.Load.Batch, first, c.Seed, s.Callers+i)
		g.measured[i].users = identitiesOf(c, i, c.Load.Callers)
	}
	g.sleepers = make([]*caller, c.Sleepers)
	for i := range g.sleepers {
		g.sleepers[i] = newCaller(&g.plan, c.sizes(), 1, Sleeping, c.Seed, MaxCallers+i)
	}
	return g, nil
}

// run makes the load, from a time of the monotonic clock on, or from now if start
// is 0, until its end or until stop is closed, and returns what came of it.
func (g *generator) run(start int64, stop <-chan struct{}) (*harvest, error) {
	percent := debug.SetGCPercent(-1)
	before := runtime.GOMAXPROCS(len(g.measured) + len(g.sleepers) + 2)
	for sys.Monotonic() < start {
		sys.SleepUntil(start)
	}
	if start == 0 {
		start = sys.Monotonic()
	}
	g.clock = clockAt(start)
	h := &harvest{}
	if err := g.await(g.begin(h), stop, h); err != nil {
		return nil, err // the world cannot be stopped any more, so nothing is restored
	}
	runtime.GOMAXPROCS(before)
	debug.SetGCPercent(percent)

	tallies := g.sum(g.measured)
	g.drain(tallies)
	h.Window = time.Duration(g.until.Load())
	h.Tallies = tallies[1:]
	if len(g.sleepers) > 0 {
		h.Sleepers = g.sum(g.sleepers)[1]
	}
	return h, nil
}

// begin starts all callers at once. The channel is closed when all have ended; h
// then says when that was.
func (g *generator) begin(h *harvest) <-chan struct{} {
	begin := make(chan struct{})
	var measured, sleepers sync.WaitGroup
	for _, c := range g.measured {
		measured.Go(func() {
			if c.users.count > 0 {
				runtime.LockOSThread() // which ends with the goroutine
			}
			<-begin
			if c.schedule != nil {
				c.follow()
			} else {
				c.loop()
			}
		})
	}
	for _, c := range g.sleepers {
		sleepers.Go(func() { <-begin; c.loop() })
	}
	close(begin)
	ended := make(chan struct{})
	go func() {
		measured.Wait()
		h.Ended = g.now()
		h.User, h.System = processTime()
		sleepers.Wait()
		h.SleepersEnded = g.now()
		close(ended)
	}()
	return ended
}

// await waits until all callers have ended. When stop is closed no call begins
// any more, and when the end is long over, calls that still wait are ended.
func (g *generator) await(ended, stop <-chan struct{}, h *harvest) error {
	user, system := processTime()
	warm := time.After(g.warmUp)
	over := time.NewTimer(time.Duration(g.until.Load()) + grace)
	for {
		select {
		case <-warm:
			if g.warmUp > 0 {
				user, system = processTime()
			}
		case <-stop:
			stop = nil
			if now := int64(g.now()); now < g.until.Load() {
				g.until.Store(now)
				h.Interrupted = true
			}
			over.Reset(interruptedGrace)
		case <-over.C:
			if err := g.giveUp(ended); err != nil {
				return err
			}
		case <-ended:
			h.User, h.System = h.User-user, h.System-system
			return nil
		}
	}
}

// giveUp ends the calls that wait for an answer. It returns [ErrStuck] if callers
// still do not end.
func (g *generator) giveUp(ended <-chan struct{}) error {
	g.abandon.Store(int64(g.now()))
	for deadline := time.Now().Add(lastGrace); time.Now().Before(deadline); {
		shutSockets()
		select {
		case <-ended:
			return nil
		case <-time.After(50 * time.Millisecond):
		}
	}
	return ErrStuck
}

// shutSockets ends what this process reads from and writes to its sockets, but
// for the standard streams. The connections of calls are all that it has, and a
// caller that waits in the kernel is woken by this and by nothing else. See
// shutdown(2).
func shutSockets() {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			unix.Shutdown(fd, unix.SHUT_RDWR) // ENOTSOCK for what is none
		}
	}
}

// sum adds up the tallies of callers, of the warm-up and of each step.
func (g *generator) sum(callers []*caller) []*tally {
	all := make([]*tally, 1+g.steps)
	for i := range all {
		all[i] = new(tally)
		if i > 0 { // arrivals may be added that no caller has begun
			all[i] = newTally(g.schedule != nil, g.phases)
		}
		for _, c := range callers {
			if t := c.tallies[i]; t != nil {
				all[i].merge(t)
			}
		}
	}
	return all
}

// drain counts the arrivals that were due and that no caller has taken. If there
// are others, all callers have given up, and the run ends now.
func (g *generator) drain(tallies []*tally) {
	if g.schedule == nil {
		return
	}
	for now, until := g.now(), time.Duration(g.until.Load()); ; {
		due, ok := g.schedule.take()
		if !ok || due.at >= until {
			return
		}
		if due.at > now {
			g.until.Store(int64(now))
			return
		}
		tallies[due.step].unstarted(now - due.at)
	}
}

// processTime returns the processor time of this process. See getrusage(2).
func processTime() (user, system time.Duration) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, 0 // it fails for bad arguments only
	}
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
}
