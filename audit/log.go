package audit

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"credrpc/server"
)

// Calls says which calls are written.
type Calls uint8

const (
	Denied Calls = iota // those that were refused, whatever the reason
	All                 // all that ended
)

// Defaults of [Options].
const (
	DefaultRate  = 1000 // records a second, about 400 kB
	DefaultQueue = 4096 // records, of about 200 bytes each
)

// MaxRate is the most that [Options.Rate] may be: far more than any disk takes.
const MaxRate = 1e6 // records a second

// Options say what a [Log] writes. The zero value writes all that were refused, up to a
// thousand a second.
type Options struct {
	// Calls says which calls are written.
	Calls Calls

	// Sample is the share of calls that were not refused that are written, chosen at
	// random, from 0 to 1. 0 is all.
	Sample float64

	// Rate is the most records a second, and how many may come at once after a pause.
	// Calls of one user get at most half of it. At least 1 and at most [MaxRate]; 0 is
	// 1000.
	Rate float64

	// Queue is how many records wait for the writer at most; it is rounded up to a power
	// of two. 0 is 4096.
	Queue int

	// WithoutHints leaves [Record.Hint] out: no files of /proc are read.
	WithoutHints bool

	// Logger hears of sinks that fail, at most once a minute. nil is silent.
	Logger *slog.Logger
}

// check returns an error for options that make no sense, and fills in the others.
func (o *Options) check() error {
	switch {
	case o.Calls > All:
		return fmt.Errorf("audit: Calls: %d is neither Denied nor All", o.Calls)
	case !(o.Sample >= 0 && o.Sample <= 1): // or NaN
		return fmt.Errorf("audit: Sample: %v: want 0 to 1", o.Sample)
	case !(o.Rate == 0 || o.Rate >= 1 && o.Rate <= MaxRate):
		return fmt.Errorf("audit: Rate: %v: want 1 to 1,000,000", o.Rate)
	case o.Queue < 0 || o.Queue > 1<<20:
		return fmt.Errorf("audit: Queue: %d: want 1 to %d", o.Queue, 1<<20)
	}
	if o.Sample == 0 {
		o.Sample = 1
	}
	if o.Rate == 0 {
		o.Rate = DefaultRate
	}
	if o.Queue == 0 {
		o.Queue = DefaultQueue
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// A Log writes records of calls. Its methods may be called concurrently.
type Log struct {
	options Options
	queue   *queue
	limiter *limiter
	sink    Sink // the writer's

	limited, overflowed, failed atomic.Uint64 // records that are not written, and why
	written                     atomic.Uint64

	sleeping atomic.Bool // the writer waits for wake
	wake     chan struct{}
	rotate   chan struct{}
	stop     chan struct{} // closed by Close
	stopOnce sync.Once
	stopped  chan struct{} // closed when the writer has ended; err is set before
	err      error
}

// New returns a log that writes to sink, which belongs to it from then on, also after an
// error. It runs until [Log.Close].
func New(sink Sink, o Options) (*Log, error) {
	if err := o.check(); err != nil {
		sink.close()
		return nil, err
	}
	l := &Log{
		options: o,
		queue:   newQueue(o.Queue),
		limiter: newLimiter(o.Rate, o.Rate, time.Now()),
		sink:    sink,
		wake:    make(chan struct{}, 1),
		rotate:  make(chan struct{}, 1),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
	}
	go l.write()
	return l, nil
}

// Ended notes a call. It is for [server.Server.Ended].
func (l *Log) Ended(r server.CallRecord) {
	if r.Outcome != server.OutcomeRefused && (l.options.Calls == Denied || l.options.Sample < 1 && rand.Float64() >= l.options.Sample) {
		return
	}
	if !l.limiter.admit(r.Peer.UID()) {
		l.limited.Add(1)
	} else if !l.queue.put(&entry{
		ended:    time.Now(),
		took:     r.Duration,
		peer:     r.Peer,
		sender:   r.Sender,
		rule:     r.Access.Key,
		outcome:  r.Outcome,
		reason:   r.Reason,
		timedOut: r.TimedOut,
		bytesIn:  r.BytesIn,
		bytesOut: r.BytesOut,
	}) {
		l.overflowed.Add(1)
	}
	if l.sleeping.Load() && l.sleeping.CompareAndSwap(true, false) {
		select {
		case l.wake <- struct{}{}:
		default: // somebody has before
		}
	}
}

// Stats are the counters of a [Log].
type Stats struct {
	Written    uint64 // records that the sink took
	Limited    uint64 // records not written because there were more than Rate
	Overflowed uint64 // records not written because the writer did not keep up
	Failed     uint64 // records that the sink did not take
}

// Dropped is how many records were not written.
func (s Stats) Dropped() uint64 { return s.Limited + s.Overflowed + s.Failed }

// Stats returns the counters.
func (l *Log) Stats() Stats {
	return Stats{l.written.Load(), l.limited.Load(), l.overflowed.Load(), l.failed.Load()}
}

// Reopen has the writer open the file again, after logrotate(8) has moved it. It does not
// wait for that; the logger hears what came of it.
func (l *Log) Reopen() {
	select {
	case l.rotate <- struct{}{}:
	default: // it will
	}
}

// Close writes what is in the queue and a last record, and closes the sink. If ctx ends
// first, as with a pipe that nobody reads, it returns the context's error. It returns that
// of closing the sink otherwise. Calls that end afterwards are not written.
func (l *Log) Close(ctx context.Context) error {
	l.stopOnce.Do(func() { close(l.stop) })
	select {
	case <-l.stopped:
		return l.err
	case <-ctx.Done():
		return fmt.Errorf("audit: writing what is left: %w", ctx.Err())
	}
}

// share returns what a record says about its sample: nothing if there is none.
func (l *Log) share(outcome server.Outcome) float64 {
	if outcome == server.OutcomeRefused || l.options.Sample == 1 {
		return 0
	}
	return l.options.Sample
}
