package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"credrpc/frame"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// A run is what a handler saw of one call.
type run struct {
	payload      string
	sender, peer Credentials
}

// modelAnswer is what the handler of the model test answers, but for "p": then it
// panics, and this is what its caller is told.
func modelAnswer(payload string) (answer string, err error) {
	switch {
	case payload == "":
		return "", nil
	case payload[0] == 'e':
		return "", fmt.Errorf("an error of %d bytes", len(payload))
	case payload[0] == 'p':
		return "", errInternal
	case payload[0] == 'l':
		return strings.Repeat("0123456789"+payload, modelLarge/(10+len(payload))+1)[:modelLarge], nil
	}
	return payload, nil
}

// modelHandler answers as modelAnswer says, and tells note of each run. Payloads that
// begin with "s" make it slow enough to lose the lead of its loop.
func modelHandler(note func(run)) Handler {
	return HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
		payload := string(call.Payload)
		note(run{payload, call.Sender, call.Peer})
		if payload != "" && payload[0] == 'p' {
			panic("as the caller asked")
		}
		if payload != "" && payload[0] == 's' {
			time.Sleep(3 * overseerTick)
		}
		answer, err := modelAnswer(payload)
		return append(dst, answer...), err
	})
}

// A verdict is what must become of a call.
type verdict int

const (
	undecided verdict = iota // the server waits for more of the request
	handled                  // the handler runs, and the caller is told what it answers
	refused                  // the caller is told a reason
	empty                    // neither sent nor told anything
)

// A caller is one connection and what the model knows of it.
type caller struct {
	fd       int
	who      *sender // who connected
	todo     []byte  // what is left of what it means to send
	request  []byte  // what the server has of the request
	sender   Credentials
	verdict  verdict
	reason   Reason // with refused
	payload  string // with handled
	trailing bool   // bytes were sent behind the request
	halfway  bool   // it has ended sending
	told     []byte // what it has read so far
	whole    bool   // it has read up to the end
}

// sent notes that a piece was sent by who.
func (c *caller) sent(who Credentials, piece []byte, allowOther bool) {
	switch {
	case c.verdict != undecided:
		c.trailing = true
		return
	case c.sender.Valid() && who != c.sender:
		c.verdict, c.reason = refused, RefusedSenderChanged
		return
	case !allowOther && (who.uid != c.who.uid || who.gid != c.who.gid):
		c.verdict, c.reason = refused, RefusedSenderMismatch
		return
	}
	c.sender = who
	c.request = append(c.request, piece...)
	payload, err := wholeRequest(c.request)
	var large *frame.TooLargeError
	switch {
	case errors.As(err, &large):
		c.verdict, c.reason = refused, RefusedTooLarge
	case err == nil:
		c.verdict, c.payload = handled, string(payload)
		c.trailing = len(c.request) > frame.HeaderSize+len(payload)
	}
}

// endSending notes that no more will be sent.
func (c *caller) endSending() {
	c.halfway = true
	switch {
	case c.verdict != undecided:
	case len(c.request) == 0:
		c.verdict = empty
	default:
		c.verdict, c.reason = refused, RefusedTruncated
	}
}

// response returns all that the caller must be told.
func (c *caller) response() []byte {
	switch c.verdict {
	case handled:
		answer, err := modelAnswer(c.payload)
		if err != nil {
			return frame.AppendError(nil, err.Error())
		}
		b, err := frame.AppendResponse(nil, []byte(answer))
		if err != nil {
			panic(err)
		}
		return b
	case refused:
		return frame.AppendError(nil, c.reason.text())
	}
	return nil
}

func (c *caller) readAll(t *rapid.T) {
	for !c.whole {
		c.read(t, modelLarge)
	}
}

// read reads at most n bytes and compares what c was told so far with what it must be.
func (c *caller) read(t *rapid.T, n int) {
	b := make([]byte, n)
	n, err := readFD(c.fd).Read(b)
	// Closing a socket in which something is left that nobody has read resets the other
	// one, after what that still has to read.
	c.whole = err == io.EOF || c.trailing && errors.Is(err, unix.ECONNRESET)
	if err != nil && !c.whole {
		t.Fatalf("read: %v; %s", err, c)
	}
	c.told = append(c.told, b[:n]...)
	want := c.response()
	if !bytes.HasPrefix(want, c.told) || c.whole && len(c.told) < len(want) {
		t.Fatalf("told %.60q, %d bytes, to the end %t; want %.60q, %d bytes; %s", c.told, len(c.told), c.whole, want, len(want), c)
	}
}

func (c *caller) String() string {
	return fmt.Sprintf("peer %v, sender %v, %d bytes of request %.20q, verdict %d, reason %v, trailing %t, ended sending %t",
		c.who.Credentials, c.sender, len(c.request), c.request, c.verdict, c.reason, c.trailing, c.halfway)
}

func canSend(c *caller) bool { return len(c.todo) > 0 && !c.halfway }

func canRead(c *caller) bool { return c.verdict != undecided && !c.whole }
