package peers

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"credrpc/bench/load"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// numberEnd is where the number of a call ends in its payload: behind the
	// first byte, as a uint64.
	numberEnd = 9

	// giveUp is the number of calls in a row that fail before a caller stops:
	// the server is gone. Nobody tuned it.
	giveUp = 1000
)

// A caller makes calls one after the other. It belongs to one goroutine, and to
// whoever reads its counters once that has ended.
type caller struct {
	conn    conn
	payload []byte
	number  uint64 // of the next call

	counts    load.Counts
	latency   *hdrhistogram.Histogram
	failures  int    // calls in a row without any answer
	firstFail string // what happened to the first call that was not answered right
}

// newCaller returns caller number i.
func newCaller(c conn, i, payload int) *caller {
	// Callers can share a connection, so their calls differ in the upper bits.
	made := &caller{conn: c, payload: make([]byte, payload), number: uint64(i) << 40, latency: newHistogram()}
	for i := range made.payload {
		made.payload[i] = byte(i * 7)
	}
	return made
}

// newHistogram returns an empty histogram as package load has them: of
// nanoseconds, from 64 ns to one minute with three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(64, int64(time.Minute), 3)
}

// run makes calls until until is over since began, and at least one.
func (c *caller) run(ctx context.Context, began time.Time, until time.Duration) {
	for c.failures < giveUp && ctx.Err() == nil {
		if len(c.payload) >= numberEnd {
			binary.LittleEndian.PutUint64(c.payload[1:], c.number)
		}
		c.number++
		started := time.Since(began)
		answer, err := c.conn.echo(ctx, c.payload)
		ended := time.Since(began)
		switch {
		case err != nil:
			c.counts.Failed++
			c.failures++
			c.note(err.Error())
		case !bytes.Equal(answer, c.payload):
			c.counts.Wrong++
			c.failures = 0
			c.note("the answer is not the payload")
		default:
			c.counts.Calls++
			c.failures = 0
			c.latency.RecordValue(int64(ended - started)) // beyond a minute is counted as a call only
		}
		if ended >= until {
			return
		}
	}
}

// note keeps what happened to the first call that was not answered right.
func (c *caller) note(what string) {
	if c.firstFail == "" {
		c.firstFail = what
	}
}
