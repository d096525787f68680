package load

import (
	"bytes"
	"time"

	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// collect reads the answer to the call and reports whether it is right.
func (c *caller) collect(k *call) bool {
	c.stamp(k, k.answer)
	c.name(k.uid, c.gid)
	size := 2*headerSize + k.answer
	for seen, got := 0, 0; ; { // bytes of the answer that were compared, and that wait for it in the buffer
		n, errno := sys.WaitingReceive(k.fd, c.answer[got:min(len(c.answer), size+1-seen)])
		if seen+got == 0 {
			c.endOf(waiting, k)
		}
		got += n
		if seen+got == size && c.expects(seen, c.answer[:got]) {
			c.failures = 0
			return true
		}
		switch {
		case errno != 0:
			c.failed(k, "receive", errno)
			return false
		case n == 0:
			c.ended(k, seen+got)
			return false
		case seen == 0 && got >= headerSize && !bytes.Equal(c.answer[:headerSize], c.frame[:headerSize]):
			c.refused(k, c.answer[headerSize:got])
			return false
		case seen+got < size && got < len(c.answer):
			continue
		case seen+got >= size || !c.expects(seen, c.answer[:got]):
			c.wrong(k, seen, c.answer[:got])
			return false
		}
		seen, got = seen+got, 0
	}
}

// expects reports whether got is what the answer has from a place on.
func (c *caller) expects(from int, got []byte) bool {
	if from < len(c.frame) {
		own := c.frame[from:min(len(c.frame), from+len(got))]
		if !bytes.Equal(got[:len(own)], own) {
			return false
		}
		got, from = got[len(own):], from+len(own)
	}
	if len(got) == 0 {
		return true
	}
	from -= 2 * headerSize
	return bytes.Equal(got, c.stream[from:from+len(got)])
}

// ended counts a call whose answer ended early.
func (c *caller) ended(k *call, got int) {
	k.tally.Counts.Failed++
	c.failures++
	if c.abandoned() {
		k.tally.note(cause{what: "no answer before the run was given up"}, nil)
		return
	}
	k.tally.note(cause{what: endedEarly, bytes: got}, nil)
}

// refused counts a call whose answer is an error frame.
func (c *caller) refused(k *call, said []byte) {
	k.tally.Counts.Refused++
	c.failures = 0
	k.tally.note(cause{what: "error frame"}, said)
}

// wrong counts a call whose answer is not its payload: the bytes got, from a place on.
func (c *caller) wrong(k *call, from int, got []byte) {
	k.tally.Counts.Wrong++
	c.failures = 0
	const here, end = 2*headerSize + wishEnd, 2*headerSize + identityEnd
	if c.identify && from == 0 && len(got) >= end && !bytes.Equal(got[here:end], c.frame[here:end]) {
		k.tally.Counts.Mistaken++
		k.tally.note(cause{what: "the answer is for somebody else"}, nil)
		return
	}
	k.tally.note(cause{what: "the answer is not the payload"}, nil)
}

// failed counts a call that a system call ended. It returns -1.
func (c *caller) failed(k *call, what string, errno unix.Errno) int {
	k.tally.Counts.Failed++
	c.failures++
	k.tally.note(cause{what: what, errno: errno}, nil)
	return -1
}

// abandoned reports whether calls that still wait have been given up.
func (c *caller) abandoned() bool { return c.now() >= time.Duration(c.abandon.Load()) }
