package server

import (
	_ "credrpc/internal/gnetenv" // before gnet is initialised

	"errors"
	"sync"
	"sync/atomic"

	"credrpc/internal/sys"

	"github.com/panjf2000/gnet/v2/pkg/netpoll"

	// ErrEngineShutdown is the only error of a callback that makes Polling
	// return, besides ErrAcceptSocket.
	neterrors "github.com/panjf2000/gnet/v2/pkg/errors"
)

// A worker is a goroutine that leads a loop, runs handlers, or rests until it is
// woken to lead. Its plain fields are its own, except where a claim hands them
// to the claimant (see turn).
type worker struct {
	run     *serving
	loop    *loop      // the loop that it leads or led last
	wake    chan *loop // capacity 1: which loop to lead; closed: end
	leading bool       // w.loop.leader is w
	wary    bool       // as of the last tick
	busy    bool       // more calls wait for w, as far as it knows
	now     int64      // as of the last tick, on the server's clock

	scratch    *[scratchSize]byte // set from taking the lead to resting
	readyCount int                // connections enqueued and not yet run
	received   sys.Received

	// turn is odd while w is in a handler, and changes with every handler.
	// Who makes an odd turn even has claimed it: w itself when its handler
	// returns, or, in watch.claim, whoever puts the call under watch first. A
	// claimant owns the fields below, and may read leading and loop, as long as
	// it holds watch.mu.
	turn    atomic.Uint64
	conn    *conn
	call    Call
	context *callContext
	done    done // empty once claimed
	deposed bool // the claimant took the lead away

	seen uint64 // turn at the last look; the overseer's
}

// scratches holds the buffers that leaders receive into.
var scratches = sync.Pool{New: func() any { return new([scratchSize]byte) }}

// errLeave makes the poller return to a worker that leads no longer.
var errLeave = neterrors.ErrEngineShutdown

// main is the worker's goroutine.
func (w *worker) main() {
	defer w.run.workerEnds(w)
	defer w.closeDone() // of a goroutine that something has ended
	for l := range w.wake {
		l.waking.Store(false)
		if l.leader.CompareAndSwap(nil, w) {
			w.lead(l)
		}
		if !w.run.rest(w) {
			return
		}
	}
}

// lead polls l until w is deposed or the server stops.
func (w *worker) lead(l *loop) {
	w.loop, w.leading = l, true
	w.scratch = scratches.Get().(*[scratchSize]byte)
	defer func() {
		w.leading = false
		scratches.Put(w.scratch)
		w.scratch = nil
	}()
	if l.anyReady() {
		w.runReady()
	}
	if w.leading && !l.retired {
		w.acceptAll() // the leader before may have left the listener to us
	}
	if w.leading {
		l.usePoller()
		if err := l.poller.Polling(w.handle); !errors.Is(err, errLeave) {
			w.run.fail(err)
		}
	}
	// If w leads still, the server stops: the loop's leader stays set and nobody
	// leads it again.
}

// handle is called by the poller for each descriptor that is ready. The events
// themselves do not matter: what to do follows from what the descriptor is, and
// the next system call tells what holds.
func (w *worker) handle(fd int, _ netpoll.IOEvent, _ netpoll.IOFlags) error {
	l := w.loop
	switch fd {
	case l.listener:
		if !l.retired {
			w.acceptAll()
		}
	case l.wakeup:
		w.obey()
	default:
		if c := l.take(fd); c != nil {
			w.resume(c)
		}
		if w.leading && w.readyCount == 0 && !l.retired && l.waiting.Load() == 0 {
			w.acceptAll() // nothing is left that needs the poller
		}
	}
	if w.readyCount > 0 {
		w.runReady()
	}
	if w.leading {
		l.usePoller()
	}
	if !w.leading || w.run.stopping.Load() {
		return errLeave
	}
	return nil
}

// resume goes on with c, which was parked.
func (w *worker) resume(c *conn) {
	w.tick()
	if c.mode == sys.Yield {
		w.enqueue(c) // the next system call may take as long as the caller likes
		return
	}
	w.proceed(c)
}

// proceed takes the step with c that its state names.
func (w *worker) proceed(c *conn) {
	switch c.state {
	case delayed:
		c.state = receiving
		if w.authorize(c) {
			w.serve(c)
		}
	case receiving:
		w.serve(c)
	case responding:
		c.write()
	case lingering:
		w.loop.drain(c)
	}
}

// tick reads the clock, once for every call or piece of one.
func (w *worker) tick() {
	w.now = w.run.now()
	w.wary = w.now < w.run.waryUntil.Load()
}

// obey does what serving woke the loop for. The wakeup stays set until it is
// done, so that a worker that takes the lead in between starts again.
func (w *worker) obey() {
	l := w.loop
	if w.run.stopping.Load() {
		return // handle makes w leave
	}
	if l.anyReady() { // left by a handler that has called runtime.Goexit
		w.runReady()
	}
	if w.leading && w.run.closing.Load() && !l.retired {
		// Whoever connects after this many belongs to no backlog of ours.
		for range backlog/acceptBatch + 1 {
			left := w.accept()
			if w.readyCount > 0 {
				w.runReady()
			}
			if !w.leading || w.run.stopping.Load() {
				return
			}
			if left == backlogBlocked {
				l.awake() // the end of the pause wakes again
				return
			}
			if left == backlogEmpty {
				break
			}
		}
		if !l.retired { // by somebody who led meanwhile
			l.retire()
		}
	}
	if !w.leading {
		return
	}
	l.awake()
	if w.run.closing.Load() && !l.retired {
		l.wake() // this one came between the look and awake
	}
}

// enqueue puts c into the batch that w runs next.
func (w *worker) enqueue(c *conn) {
	// Another leader would be told again and again of bytes that follow.
	w.loop.unregister(c)
	w.loop.pushReady(c)
	w.readyCount++
}

// runReady gives up the lead and runs the batch, with a worker awake to take the
// lead as soon as a handler blocks, or on another core at once. It takes the
// lead back if nobody else has.
func (w *worker) runReady() {
	l := w.loop
	w.readyCount = 0
	if w.leading { // else w was deposed with a batch in hand
		w.leading = false
		l.leader.Store(nil)
	}
	w.busy = true
	for c := l.popReady(); c != nil; c = l.popReady() {
		w.run.summon(l)
		w.tick() // the one before may have taken long
		w.closeLate()
		if c.mode == sys.Yield {
			w.closeDone() // the next system call may take as long as the caller likes
			w.proceed(c)
		} else {
			w.dispatch(c, c.kept())
		}
	}
	w.rested()
	w.leading = l.leader.CompareAndSwap(nil, w)
}

// rested notes that no call waits for w, as far as it knows.
func (w *worker) rested() {
	w.busy = false
	w.closeDone()
}
