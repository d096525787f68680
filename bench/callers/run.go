package callers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"credrpc/bench/load"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// grace is how long after the end of a run callers may wait for the answers to
// their last calls. Then their connections are closed.
const grace = 10 * time.Second

// interruptedGrace is the same after an interruption, when somebody waits.
const interruptedGrace = 2 * time.Second

// A Config says what [Run] does.
type Config struct {
	Callers  int // at least 1, at most load.MaxCallers
	Payload  int // bytes of a call's payload
	Duration time.Duration
	WarmUp   time.Duration // before Duration, whose calls are made and not counted

	// Begin and End are told that the part that counts begins, and that all callers
	// have ended. They may be nil. If the run ends in its warm-up there is no begin.
	Begin, End func()
}

// Validate reports what cannot be.
func (config *Config) Validate() error {
	if err := (load.Load{Batch: 1, Callers: config.Callers}).Validate(); err != nil {
		return err
	}
	if config.WarmUp < 0 || config.Duration < 0 {
		return fmt.Errorf("callers: a run of %v after a warm-up of %v", config.Duration, config.WarmUp)
	}
	if config.Payload < 0 || config.Payload > load.MaxPayload {
		return fmt.Errorf("callers: a payload of %d bytes is not in 0 to %d", config.Payload, load.MaxPayload)
	}
	return nil
}

// A Conn is what callers call. It is safe for concurrent use.
type Conn interface {
	// Echo sends payload and returns the answer, which does not overlap it.
	Echo(ctx context.Context, payload []byte) ([]byte, error)
	Close() error
}

// Run makes the load, with callers that share conns, and says what became of it. Calls
// that fail are counted, and are no error of Run. If ctx ends, calls begin no more and
// the result has what there is. conns are closed where calls are not answered. It
// returns what is wrong with config, as [Config.Validate] does.
func Run(ctx context.Context, config Config, conns ...Conn) (*load.Result, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	callers := make([]*caller, config.Callers)
	for i := range callers {
		callers[i] = newCaller(conns[i%len(conns)], i, config.Payload)
	}
	r := &load.Result{Load: load.Load{Batch: 1, Callers: config.Callers}, Payload: config.Payload, WarmUp: config.WarmUp.Seconds()}
	config.call(ctx, callers, conns, r)
	r.Interrupted = ctx.Err() != nil
	var err error
	r.Group, err = summarise(callers, config.Payload, r.Seconds)
	return r, err
}

// call has the callers make their calls, and sets how long that took.
func (config *Config) call(ctx context.Context, callers []*caller, conns []Conn, r *load.Result) {
	// A call that is not answered must not last for ever. Package rpc does not
	// look at the context, package client has nothing to close.
	answers, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer time.AfterFunc(config.WarmUp+config.Duration+grace, giveUp).Stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(interruptedGrace, giveUp) })()
	defer context.AfterFunc(answers, func() { closeAll(conns) })()

	began := time.Now()
	ended := make(chan struct{})
	go func() {
		var running sync.WaitGroup
		for _, c := range callers {
			running.Go(func() { c.run(ctx, answers, began, config.WarmUp, config.WarmUp+config.Duration) })
		}
		running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	case <-time.After(config.WarmUp - time.Since(began)):
	}
	if time.Since(began) < config.WarmUp {
		<-ended
		tell(config.End)
		return
	}
	user, system := processTime()
	tell(config.Begin)
	<-ended
	userEnd, systemEnd := processTime()
	r.Seconds = (time.Since(began) - config.WarmUp).Seconds()
	r.UserSeconds, r.SystemSeconds = (userEnd - user).Seconds(), (systemEnd - system).Seconds()
	tell(config.End)
}

// tell calls a function that may be nil.
func tell(f func()) {
	if f != nil {
		f()
	}
}

func closeAll(conns []Conn) {
	for _, c := range conns {
		c.Close() // an error says that it has been closed already
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

// summarise adds up what callers did in seconds, 0 if it was nothing.
func summarise(callers []*caller, payload int, seconds float64) (load.Group, error) {
	g := load.Group{Callers: len(callers)}
	all := newHistogram()
	kinds := map[string]uint64{}
	for _, c := range callers {
		g.Counts.Add(c.counts)
		all.Merge(c.latency)
		if g.FirstError == "" {
			g.FirstError = c.firstFail
		}
		for what, n := range c.kinds {
			kinds[what] += n
		}
	}
	for what, n := range kinds {
		g.ErrorKinds = append(g.ErrorKinds, load.ErrorKind{What: what, Count: n})
	}
	slices.SortFunc(g.ErrorKinds, func(a, b load.ErrorKind) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.What, b.What))
	})
	g.RequestBytes, g.AnswerBytes = g.Calls*uint64(payload), g.Calls*uint64(payload)
	if seconds > 0 {
		g.CallsPerSecond = float64(g.Calls) / seconds
		g.BytesPerSecond = float64(g.RequestBytes+g.AnswerBytes) / seconds
	}
	encoded, err := all.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return g, fmt.Errorf("callers: histogram: %w", err)
	}
	// A closed loop: latency is service time, and so is its histogram.
	g.Latency, g.Histogram = load.LatencyOf(all), string(encoded)
	g.ServiceTime = g.Latency
	return g, nil
}
