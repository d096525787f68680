package load

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

const (
	headerSize = 4 // a frame header, and the empty error frame

	// ownPayload is how much of a payload each caller has for itself; what lies
	// behind is the same for all. It is one buffer with the header, so that one
	// send is enough for payloads up to this size.
	ownPayload = 64 << 10

	// answerRoom is the size of the buffer for answers. A socket does not hold
	// more: see net.core.wmem_default in socket(7).
	answerRoom = 256 << 10

	// giveUp is the number of calls in a row that fail before a caller stops:
	// the server is gone. Nobody tuned it.
	giveUp = 1000
)

// A plan is what all callers of a run share.
type plan struct {
	clock
	address  sys.Address
	warmUp   time.Duration
	schedule *schedule // nil: closed loop
	steps    int       // at least 1
	stream   []byte    // the longest payload
	pieces   int       // at least 1
	pause    time.Duration
	phases   bool
	identify bool // answers say who called

	until   atomic.Int64 // no call begins later: a time of the clock
	abandon atomic.Int64 // calls that still wait end: a time of the clock
}

// A caller makes calls. It belongs to one goroutine, and to whoever reads its
// tallies once that has ended.
type caller struct {
	*plan
	pacer
	users  identities
	gid    uint32 // of all calls
	sizes  Sizes
	single bool // all calls have the same exchange
	same   exchange
	random *rand.Rand
	first  byte   // of payloads
	number uint64 // of the next call
	batch  []call

	// Open loop: how much later than it could this caller has begun its last
	// call, and the step in which the last was answered.
	late time.Duration
	step int

	// frame is the answer that is expected: an empty error frame, and the frame
	// of the payload as far as the caller has it for itself. What lies behind the
	// error frame is also the request.
	frame  []byte
	answer []byte

	tallies  []*tally // of the warm-up and of each step; nil before the first call
	failures int      // calls in a row without any answer
}

// A call is one that a caller makes.
type call struct {
	exchange
	number uint64
	uid    uint32 // who calls
	tally  *tally
	fd     int           // -1 if it has failed already
	at     time.Duration // scheduled arrival; closed loop: when it began
	begun  time.Duration
	ends   [receiving]time.Duration // of all phases but the last, if they are measured
}

// newCaller returns the caller with an index of its own among those of the run.
// Its payloads begin with first, unless their answers have sizes of their own.
func newCaller(p *plan, sizes Sizes, batch int, first byte, seed uint64, index int) *caller {
	request, answer := sizes.Max()
	c := &caller{
		plan:    p,
		gid:     uint32(os.Getegid()),
		pacer:   pacer{firstMargin},
		sizes:   sizes,
		random:  rand.New(rand.NewPCG(seed, uint64(index))),
		first:   first,
		batch:   make([]call, batch),
		frame:   make([]byte, 2*headerSize+min(max(request, answer), ownPayload)),
		answer:  make([]byte, min(2*headerSize+answer+1, answerRoom)), // a byte more, to see an answer that goes on
		tallies: make([]*tally, 1+p.steps),
	}
	copy(c.frame[2*headerSize:], p.stream)
	if c.same, c.single = sizes.single(); c.single {
		c.prepare(c.same)
	}
	c.tallies[0] = new(tally)
	c.tallyOf(1)
	return c
}

// tallyOf returns the tally of a step; 0 is the warm-up.
func (c *caller) tallyOf(step int) *tally {
	if c.tallies[step] == nil {
		c.tallies[step] = newTally(c.schedule != nil, c.phases)
	}
	return c.tallies[step]
}

// loop makes calls, a batch at a time, until the end, and at least one batch after
// the warm-up.
func (c *caller) loop() {
	for c.failures < giveUp {
		for i := range c.batch {
			k := &c.batch[i]
			k.begun = c.now()
			k.at = k.begun
			k.tally = c.tallies[1]
			if k.begun < c.warmUp {
				k.tally = c.tallies[0]
			}
			c.start(k)
		}
		var now time.Duration
		for i := range c.batch {
			now, _ = c.finish(&c.batch[i])
		}
		until := time.Duration(c.until.Load())
		if now >= until && (c.batch[0].begun >= c.warmUp || until < c.warmUp) {
			return
		}
	}
}

// start chooses what the call carries, connects and sends.
func (c *caller) start(k *call) {
	k.exchange = c.same
	if !c.single {
		k.exchange = c.sizes.pick(c.random)
	}
	k.number = c.number
	c.number++
	var errno unix.Errno
	if k.uid, errno = c.users.become(); errno != 0 {
		k.fd = c.failed(k, "setresuid", errno)
		return
	}
	k.fd = c.send(k)
	c.users.leave()
}

// finish collects the answer and counts the call. It returns when the answer was
// complete, and whether it was right.
func (c *caller) finish(k *call) (now time.Duration, right bool) {
	if k.fd < 0 {
		return c.now(), false
	}
	right = c.collect(k)
	now = c.now()
	sys.Close(k.fd, sys.Raw)
	if right {
		c.count(k, now)
	}
	return now, right
}

// count counts a call that was answered right.
func (c *caller) count(k *call, now time.Duration) {
	t := k.tally
	t.Counts.Calls++
	t.RequestBytes += uint64(k.request)
	t.AnswerBytes += uint64(k.answer)
	t.Service.record(now - k.begun)
	t.Latency.record(now - k.at)
	if c.phases {
		last := k.begun
		for phase, end := range k.ends {
			t.Phases[phase].record(end - last)
			last = end
		}
		t.Phases[receiving].record(now - last)
	}
}

// endOf notes when a phase of the call ended, if phases are measured.
func (c *caller) endOf(phase int, k *call) {
	if c.phases {
		k.ends[phase] = c.now()
	}
}

// send connects and sends the request. It returns the connection, or -1 if the
// call has failed.
func (c *caller) send(k *call) int {
	fd, errno := sys.Stream()
	if errno != 0 {
		return c.failed(k, "socket", errno)
	}
	for errno = sys.Connect(fd, &c.address); errno == unix.EAGAIN && !c.abandoned(); {
		k.tally.Counts.BacklogFull++
		errno = sys.WaitingConnect(fd, &c.address)
	}
	if errno != 0 {
		sys.Close(fd, sys.Raw)
		return c.failed(k, "connect", errno)
	}
	c.endOf(connecting, k)
	// A server that refuses the call may stop reading it; its answer says why.
	if errno = c.transmit(fd, k); errno != 0 && errno != unix.EPIPE {
		sys.Close(fd, sys.Raw)
		return c.failed(k, "send", errno)
	}
	c.endOf(sending, k)
	return fd
}

// transmit sends the request, in pieces if it shall.
func (c *caller) transmit(fd int, k *call) unix.Errno {
	c.stamp(k, k.request)
	c.name(^k.uid, ^c.gid)
	size := headerSize + k.request
	if c.pieces == 1 && headerSize+size <= len(c.frame) { // nearly always
		_, errno := sys.WaitingSend(fd, c.frame[headerSize:headerSize+size])
		return errno
	}
	for i, from := 1, 0; i <= c.pieces; i++ {
		to := size * i / c.pieces
		if from == to {
			continue // there are more pieces than bytes
		}
		if from > 0 {
			c.wait(&c.clock, c.now()+c.pause, &c.abandon)
		}
		if errno := c.write(fd, from, to); errno != 0 {
			return errno
		}
		from = to
	}
	return 0
}

// write sends a part of the request frame.
func (c *caller) write(fd, from, to int) unix.Errno {
	own := c.frame[headerSize:]
	if from < len(own) {
		end := min(to, len(own))
		if _, errno := sys.WaitingSend(fd, own[from:end]); errno != 0 {
			return errno
		}
		from = end
	}
	if from == to {
		return 0
	}
	_, errno := sys.WaitingSend(fd, c.stream[from-headerSize:to-headerSize])
	return errno
}

// stamp makes the frame that of the call, with a payload of size bytes, which is
// that of its request or its answer.
func (c *caller) stamp(k *call, size int) {
	if !c.single {
		c.prepare(k.exchange)
		binary.BigEndian.PutUint32(c.frame[headerSize:], uint32(size))
	}
	if len(c.frame) >= 2*headerSize+numberEnd {
		binary.LittleEndian.PutUint64(c.frame[2*headerSize+1:], k.number)
	}
}

// name writes into the frame who called, where the answer shall say that. The request
// has there who did not: what the server says is not what it was told.
func (c *caller) name(uid, gid uint32) {
	if c.identify {
		body := c.frame[2*headerSize:]
		binary.BigEndian.PutUint32(body[wishEnd:], uid)
		binary.BigEndian.PutUint32(body[wishEnd+4:], gid)
	}
}

// prepare writes what all calls with this exchange have in common.
func (c *caller) prepare(x exchange) {
	binary.BigEndian.PutUint32(c.frame[headerSize:], uint32(x.request))
	body := c.frame[2*headerSize:]
	if len(body) > 0 {
		body[0] = c.first
	}
	switch {
	case x.apart:
		body[0] = wishing
		if c.identify {
			body[0] = identifiedWishing
		}
		binary.BigEndian.PutUint32(body[numberEnd:], uint32(x.answer))
	case len(body) >= wishEnd:
		copy(body[numberEnd:wishEnd], c.stream[numberEnd:])
	}
}
