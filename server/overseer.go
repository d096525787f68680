package server

import (
	"sync/atomic"
	"time"
)

const (
	// overseerTick is how often the overseer looks at the workers, and so how
	// long a handler may keep a leader before that is deposed: once to twice.
	overseerTick = time.Millisecond

	// overseerRest is how many looks without any progress send the overseer
	// to sleep.
	overseerRest = 100

	// wariness is how long leaders stay wary after one was deposed.
	wariness = time.Second
)

// An overseer finds the workers whose handler takes long. It sleeps while no
// calls come.
type overseer struct {
	run    *serving
	awake  atomic.Bool
	roused chan struct{} // capacity 1
}

// rouse makes sure that the overseer looks. Workers call it at each turn.
func (o *overseer) rouse() {
	if !o.awake.Load() && o.awake.CompareAndSwap(false, true) {
		o.roused <- struct{}{}
	}
}

// main is the overseer's goroutine.
func (o *overseer) main() {
	defer o.run.goroutines.Done()
	for {
		select {
		case <-o.roused:
		case <-o.run.stop:
			return
		}
		for resting := false; !resting; {
			o.work()
			if o.run.stopping.Load() {
				return
			}
			// A worker that begins a turn now finds awake unset and rouses;
			// one that began before is seen by inspect.
			o.awake.Store(false)
			if busy, _ := o.inspect(); !busy {
				resting = true
			} else if !o.awake.CompareAndSwap(false, true) {
				resting = true // roused already
			}
		}
	}
}

// work looks at the workers every tick until none has made progress for a
// while.
func (o *overseer) work() {
	for idle := 0; idle < overseerRest; idle++ {
		time.Sleep(overseerTick)
		if o.run.stopping.Load() {
			return
		}
		if _, progress := o.inspect(); progress {
			idle = 0
		}
	}
}

// inspect claims the turns that last since the look before. It reports whether
// any turn is open and unclaimed, and whether any worker has made progress.
func (o *overseer) inspect() (busy, progress bool) {
	for _, w := range o.run.everyWorker() {
		turn := w.turn.Load()
		if turn != w.seen {
			progress = true
		} else if turn&1 == 1 && o.run.watch.claim(w, turn) {
			o.run.beWary()
			turn = 0 // the claim is progress
		}
		busy = busy || turn&1 == 1
		w.seen = turn
	}
	return busy, progress
}
