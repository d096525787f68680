package peers

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
	System      string // a name; required
	Path        string // of the socket; required
	Callers     int    // at least 1, at most load.MaxCallers
	Connections int    // that the callers share, at most one each; 0 is one each
	Payload     int    // bytes of a call's payload
	Duration    time.Duration
	WarmUp      time.Duration // before Duration, whose calls are made and not counted

	// Begin and End are told that the part that counts begins, and that all callers
	// have ended. They may be nil. If the run ends in its warm-up there is no begin.
	Begin, End func()
}

// A Result is what a run found, in the terms of package load.
type Result struct {
	System      string `json:"system"`
	Connections int    `json:"connections"` // 0: one a call
	load.Result
}

// Run makes the load and says what became of it. Calls that fail in the run are
// counted, and are no error of Run; those that are made before it, one for each
// connection, are. If ctx ends, calls begin no more and the result has what there
// is. It returns [ErrSystem] for a name that is none, and errors about the numbers
// in config.
func Run(ctx context.Context, config Config) (*Result, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	conns, err := config.connect(ctx)
	defer closeAll(conns)
	if err != nil {
		return nil, err
	}
	callers := make([]*caller, config.Callers)
	for i := range callers {
		callers[i] = newCaller(conns[i%len(conns)], i, config.Payload)
	}
	r := &Result{System: config.System, Connections: len(conns), Result: load.Result{
		Load: load.Load{Batch: 1, Callers: config.Callers}, Payload: config.Payload, WarmUp: config.WarmUp.Seconds()}}
	if config.System == Credrpc {
		r.Connections = 0
	}
	config.call(ctx, callers, conns, r)
	r.Interrupted = ctx.Err() != nil
	r.Group, err = summarise(callers, config.Payload, r.Seconds)
	return r, err
}

// call has the callers make their calls, and sets how long that took.
func (config *Config) call(ctx context.Context, callers []*caller, conns []conn, r *Result) {
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

// validate reports what cannot be, and sets what was left out.
func (config *Config) validate() error {
	if err := (load.Load{Batch: 1, Callers: config.Callers}).Validate(); err != nil {
		return err
	}
	if config.Connections == 0 {
		config.Connections = config.Callers
	}
	if config.System == Credrpc {
		config.Connections = 1 // a client for all callers; every call connects
	}
	if config.Connections < 1 || config.Connections > config.Callers {
		return fmt.Errorf("peers: %d connections are not in 1 to %d, the number of callers", config.Connections, config.Callers)
	}
	most := load.MaxPayload
	if config.System == TTRPC {
		most = ttrpcPayload
	}
	if config.WarmUp < 0 || config.Duration < 0 {
		return fmt.Errorf("peers: a run of %v after a warm-up of %v", config.Duration, config.WarmUp)
	}
	if config.Payload < 0 || config.Payload > most {
		return fmt.Errorf("peers: a payload of %d bytes is not in 0 to %d, which %s takes", config.Payload, most, config.System)
	}
	return nil
}

// connect makes the connections and a call over each. What it returns must be
// closed, also if there is an error.
func (config *Config) connect(ctx context.Context) (conns []conn, err error) {
	for i := range config.Connections {
		c, err := dial(config.System, config.Path)
		if err != nil {
			return conns, fmt.Errorf("peers: connection %d of %d: %w", i+1, config.Connections, err)
		}
		conns = append(conns, c)
		first, cancel := context.WithTimeout(ctx, grace)
		stop := context.AfterFunc(first, func() { c.Close() })
		_, err = c.echo(first, []byte("ready?"))
		stop()
		cancel()
		if err != nil {
			return conns, fmt.Errorf("peers: first call over connection %d of %d: %w", i+1, config.Connections, err)
		}
	}
	return conns, nil
}

func closeAll(conns []conn) {
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
		return g, fmt.Errorf("peers: histogram: %w", err)
	}
	// A closed loop: latency is service time, and so is its histogram.
	g.Latency, g.Histogram = load.LatencyOf(all), string(encoded)
	g.ServiceTime = g.Latency
	return g, nil
}
