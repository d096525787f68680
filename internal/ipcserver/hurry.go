package ipcserver

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// hurryTick is how often closings are looked at, and so how long one may take: once
// to twice.
const hurryTick = 5 * time.Millisecond

// A hurrier cuts closings short. A close that drops a socket with SO_LINGER waits as
// long as its sender has arranged, but not when a signal is pending for the thread
// (the kernel's sk_stream_wait_close; TestFreeze shows it). One signal is enough for
// everything that one close drops, since it is delivered only after that.
type hurrier struct {
	awake  atomic.Bool
	roused chan struct{} // capacity 1

	mu      sync.Mutex
	closers []*closer // guarded by mu
}

// A closer is a thread that closes. It belongs to the goroutine that is locked to
// the thread.
type closer struct {
	hurrier *hurrier
	thread  int
	turn    atomic.Uint64 // odd while it closes
	seen    uint64        // turn at the last look; the hurrier's
}

func newHurrier() *hurrier { return &hurrier{roused: make(chan struct{}, 1)} }

// closer returns a closer for the calling goroutine, which is locked to its thread
// for good.
func (h *hurrier) closer() *closer {
	c := &closer{hurrier: h, thread: unix.Gettid()}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closers = append(h.closers, c)
	return c
}

// begin says that the thread is about to close something.
func (c *closer) begin() {
	c.turn.Add(1)
	if h := c.hurrier; !h.awake.Load() && h.awake.CompareAndSwap(false, true) {
		h.roused <- struct{}{}
	}
}

// end says that it is closed.
func (c *closer) end() { c.turn.Add(1) }

// main looks at the closers as long as the process lives. It sleeps while none of
// them closes anything.
func (h *hurrier) main() {
	for range h.roused {
		for {
			time.Sleep(hurryTick)
			// Who begins from here on finds awake unset, or is seen by look.
			h.awake.Store(false)
			if !h.look() || !h.awake.CompareAndSwap(false, true) {
				break // nobody closes, or somebody has roused already
			}
		}
	}
}

// look signals the threads that have been closing since the look before, and
// reports whether any thread closes. The signal is the one that Go's runtime sends
// to its own threads and is prepared for.
func (h *hurrier) look() (busy bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.closers {
		turn := c.turn.Load()
		if turn&1 == 1 {
			busy = true
			if turn == c.seen {
				unix.Tgkill(os.Getpid(), c.thread, unix.SIGURG)
			}
		}
		c.seen = turn
	}
	return busy
}
