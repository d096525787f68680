package callers

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"
	"time"
	"unicode"

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
	conn    Conn
	payload []byte
	number  uint64 // of the next call

	counts    load.Counts
	latency   *hdrhistogram.Histogram
	failures  int    // calls in a row without any answer
	firstFail string // what happened to the first call that was not answered right
	kinds     map[string]uint64
}

// newCaller returns caller number i.
func newCaller(c Conn, i, payload int) *caller {
	// Callers can share a connection, so their calls differ in the upper bits.
	made := &caller{conn: c, payload: make([]byte, payload), number: uint64(i) << 40, latency: newHistogram(), kinds: map[string]uint64{}}
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

// run makes calls until until is over since began, and at least one that counts, or
// until ctx ends; calls wait for their answers until answers ends. Those that begin
// before from do not count.
func (c *caller) run(ctx, answers context.Context, began time.Time, from, until time.Duration) {
	for c.failures < giveUp && ctx.Err() == nil {
		if len(c.payload) >= numberEnd {
			binary.LittleEndian.PutUint64(c.payload[1:], c.number)
		}
		c.number++
		started := time.Since(began)
		answer, err := c.conn.Echo(answers, c.payload)
		ended := time.Since(began)
		if err != nil {
			c.failures++
		} else {
			c.failures = 0
		}
		if started >= from {
			c.count(answer, err, ended-started)
		}
		if ended >= until && started >= from {
			return
		}
	}
}

// count counts a call, what was answered, and how long that took.
func (c *caller) count(answer []byte, err error, took time.Duration) {
	switch {
	case err != nil:
		c.counts.Failed++
		c.note(err.Error())
	case !bytes.Equal(answer, c.payload):
		c.counts.Wrong++
		c.note("the answer is not the payload")
	default:
		c.counts.Calls++
		c.latency.RecordValue(int64(took)) // beyond a minute is counted as a call only
	}
}

const (
	// maxKinds is the largest number of kinds of errors that are told apart, as in
	// package load, and otherKind is the text of all others.
	maxKinds  = 16
	otherKind = "others"
)

// note keeps what happened to a call that was not answered right.
func (c *caller) note(what string) {
	// Systems quote what servers say, or not: what could command a terminal goes.
	what = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, what)
	if c.firstFail == "" {
		c.firstFail = what
	}
	if _, known := c.kinds[what]; !known && len(c.kinds) >= maxKinds {
		what = otherKind
	}
	c.kinds[what]++
}
