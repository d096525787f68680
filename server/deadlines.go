package server

import (
	"container/heap"
	"time"
)

// deadlines are connections in the order in which their deadlines pass, and one
// timer for all of them. The zero value is not usable: see newDeadlines. All
// methods need the lock of the owner held.
type deadlines struct {
	conns   connHeap
	timer   *time.Timer
	clock   func() int64
	armed   int64 // when the timer fires, if armed
	isArmed bool
}

// newDeadlines calls expire, on a goroutine of its own, when a deadline may have
// passed. expire locks and calls pop until it returns nil.
func newDeadlines(clock func() int64, expire func()) deadlines {
	timer := time.AfterFunc(time.Hour, expire)
	timer.Stop()
	return deadlines{timer: timer, clock: clock}
}

// add puts c, whose deadline is set, among the deadlines.
func (d *deadlines) add(c *conn) {
	heap.Push(&d.conns, c)
	d.arm()
}

// remove takes c out. The timer stays as it is: when it finds nothing to do, it
// is set for what comes next.
func (d *deadlines) remove(c *conn) {
	if c.heapIndex >= 0 {
		heap.Remove(&d.conns, int(c.heapIndex))
	}
}

// pop takes out and returns a connection whose deadline has passed by now. If
// there is none it sets the timer for the next one and returns nil.
func (d *deadlines) pop(now int64) *conn {
	if len(d.conns) > 0 && d.conns[0].deadline <= now {
		return heap.Pop(&d.conns).(*conn)
	}
	d.isArmed = false
	d.arm()
	return nil
}

// arm sets the timer unless it fires early enough already.
func (d *deadlines) arm() {
	if len(d.conns) == 0 {
		return
	}
	at := d.conns[0].deadline
	if d.isArmed && d.armed <= at {
		return
	}
	d.armed, d.isArmed = at, true
	d.timer.Reset(time.Duration(at - d.clock()))
}

// connHeap is a [heap.Interface] that keeps each connection's index.
type connHeap []*conn

func (h connHeap) Len() int           { return len(h) }
func (h connHeap) Less(i, j int) bool { return h[i].deadline < h[j].deadline }
func (h connHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = int32(i), int32(j)
}

// Push appends x, a *conn.
func (h *connHeap) Push(x any) {
	c := x.(*conn)
	c.heapIndex = int32(len(*h))
	*h = append(*h, c)
}

// Pop removes and returns the last connection.
func (h *connHeap) Pop() any {
	last := len(*h) - 1
	c := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	c.heapIndex = -1
	return c
}
