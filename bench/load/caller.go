package load

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"credrpc/internal/sys"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// Sleeping is the first byte of the payload of a sleeping caller's calls. A
// server that takes part sleeps before it answers one.
const Sleeping = 's'

// awake is the first byte of the payload of all other callers' calls.
const awake = 'c'

const (
	headerSize = 4 // a frame header, and the empty error frame

	// numberEnd is where the number of a call ends in its payload: behind the
	// first byte, as a uint64.
	numberEnd = 9

	// giveUp is the number of calls in a row that fail before a caller stops:
	// the server is gone. Nobody tuned it.
	giveUp = 1000

	// backlogPause is how long a caller waits when the backlog is full, about
	// the time in which a server takes some calls from it.
	backlogPause = 50 * time.Microsecond
)

// A caller makes calls one batch at a time. It belongs to one goroutine, and to
// whoever reads its counters once that has ended.
type caller struct {
	address sys.Address
	batch   []inflight
	number  uint64 // of the first call in batch

	// expected is the answer: an empty error frame and the frame of the
	// payload. What lies behind the error frame is also the request.
	expected []byte
	answer   []byte // one byte longer than expected, to see an answer that goes on

	counts    Counts
	latency   *hdrhistogram.Histogram
	failures  int    // calls in a row without any answer
	firstFail string // what happened to the first call that was not answered right
}

// An inflight is a call that was sent.
type inflight struct {
	fd      int           // -1 if the call has failed already
	started time.Duration // since the run began
}

func newCaller(address sys.Address, batch, payload int, first byte) *caller {
	c := &caller{
		address:  address,
		batch:    make([]inflight, batch),
		expected: make([]byte, 2*headerSize+payload),
		answer:   make([]byte, 2*headerSize+payload+1),
		latency:  newHistogram(),
	}
	binary.BigEndian.PutUint32(c.expected[headerSize:], uint32(payload))
	body := c.expected[2*headerSize:]
	for i := range body {
		body[i] = byte(i * 7)
	}
	if payload > 0 {
		body[0] = first
	}
	return c
}

// newHistogram returns an empty histogram of nanoseconds, from 64 ns to one
// minute with three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(64, int64(time.Minute), 3)
}

// run makes calls until until is over, and at least one batch. began is when the
// run began.
func (c *caller) run(began time.Time, until time.Duration) {
	for c.failures < giveUp {
		for i := range c.batch {
			c.batch[i].started = time.Since(began)
			c.batch[i].fd = c.send(uint64(i))
		}
		var now time.Duration
		for i, sent := range c.batch {
			if sent.fd < 0 {
				now = time.Since(began)
				continue
			}
			ok := c.collect(sent.fd, uint64(i))
			now = time.Since(began)
			sys.Close(sent.fd, sys.Raw)
			if ok {
				c.counts.Calls++
				c.latency.RecordValue(int64(now - sent.started)) // beyond a minute is counted as a call only
			}
		}
		c.number += uint64(len(c.batch))
		if now >= until {
			return
		}
	}
}

// send connects and sends call i of the batch. It returns the connection, or -1
// if the call has failed.
func (c *caller) send(i uint64) int {
	fd, errno := sys.Stream()
	if errno != 0 {
		c.failed("socket", errno)
		return -1
	}
	for {
		errno = sys.Connect(fd, &c.address)
		if errno != unix.EAGAIN {
			break
		}
		c.counts.BacklogFull++
		time.Sleep(backlogPause)
	}
	if errno != 0 {
		c.failed("connect", errno)
		sys.Close(fd, sys.Raw)
		return -1
	}
	c.stamp(i)
	// A server that refuses the call may stop reading it; its answer says why.
	if _, errno = sys.WaitingSend(fd, c.expected[headerSize:]); errno != 0 && errno != unix.EPIPE {
		c.failed("send", errno)
		sys.Close(fd, sys.Raw)
		return -1
	}
	return fd
}

// collect reads the answer to call i of the batch and reports whether it is
// right.
func (c *caller) collect(fd int, i uint64) bool {
	c.stamp(i)
	for got := 0; ; {
		n, errno := sys.WaitingReceive(fd, c.answer[got:])
		got += n
		switch {
		case errno != 0:
			c.failed("receive", errno)
			return false
		case n == 0:
			return c.notAnswered(c.answer[:got])
		case got >= headerSize && !bytes.Equal(c.answer[:headerSize], c.expected[:headerSize]):
			return c.notAnswered(c.answer[:got])
		case got < len(c.expected):
			continue
		}
		c.failures = 0
		if !bytes.Equal(c.answer[:got], c.expected) {
			c.counts.Wrong++
			c.note("the answer is not the payload")
			return false
		}
		return true
	}
}

// stamp writes the number of call i of the batch into the payload, where it is
// long enough for one.
func (c *caller) stamp(i uint64) {
	if len(c.expected) >= 2*headerSize+numberEnd {
		binary.LittleEndian.PutUint64(c.expected[2*headerSize+1:], c.number+i)
	}
}

// notAnswered counts a call whose answer is an error frame, or ended early.
func (c *caller) notAnswered(answer []byte) bool {
	if len(answer) < headerSize || bytes.Equal(answer[:headerSize], c.expected[:headerSize]) {
		c.counts.Failed++
		c.failures++
		c.note(fmt.Sprintf("the answer ended after %d bytes", len(answer)))
		return false
	}
	c.counts.Refused++
	c.failures = 0
	c.note(fmt.Sprintf("error frame: %q", answer[headerSize:]))
	return false
}

// failed counts a call that a system call ended.
func (c *caller) failed(what string, errno unix.Errno) {
	c.counts.Failed++
	c.failures++
	c.note(what + ": " + errno.Error())
}

// note keeps what happened to the first call that was not answered right.
func (c *caller) note(what string) {
	if c.firstFail == "" {
		c.firstFail = what
	}
}
