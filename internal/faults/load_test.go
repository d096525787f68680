package faults

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"credrpc/client"
	"credrpc/frame"
)

// callLimit is for how long a caller waits. Nothing that a server does to a call may
// take as long.
const callLimit = 20 * time.Second

// errWrong is what nothing excuses.
var errWrong = errors.New("wrong answer")

// A load is what came of some calls.
type load struct {
	mu       sync.Mutex
	answered int
	failed   []error // of calls that ended with an error of the server or a close
	bad      []error // wrong answers, and calls that did not end
}

// note notes how one call ended.
func (l *load) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.answered++
	case errors.Is(err, errWrong), errors.Is(err, context.DeadlineExceeded):
		l.bad = append(l.bad, err)
	default:
		l.failed = append(l.failed, err)
	}
}

// callers makes calls of every kind at the same time, about 200, and returns when
// all have ended: ordinary ones; requests that arrive in pieces, for which the server
// has to wait; answers that do not fit a socket, for whose reader it has to wait; and
// many at once, so that some always wait for the server.
func callers(path string) *load {
	l := new(load)
	c := &client.Client{Path: path}
	var group sync.WaitGroup
	each := func(callers, calls int, call func(payload []byte) error) {
		for caller := range callers {
			group.Go(func() {
				for i := range calls {
					l.note(call(fmt.Appendf(nil, "call %d of caller %d", i, caller)))
				}
			})
		}
	}
	each(3, 30, func(payload []byte) error { return ordinary(c, payload) })
	each(2, 20, func(payload []byte) error { return inPieces(path, payload) })
	each(2, 8, func(payload []byte) error { return readLate(path, bytes.Repeat(payload, 300<<10/len(payload))) })
	group.Go(func() {
		for range 3 {
			burst(path, l)
		}
	})
	group.Wait()
	return l
}

// burst has 16 requests wait for the server before it reads the answers.
func burst(path string, l *load) {
	want := []byte("\x00\x00\x00\x05burst")
	var conns []net.Conn
	for range 16 {
		c, err := dial(path)
		if err != nil {
			l.note(err)
			continue
		}
		defer c.Close()
		c.Write(want) // a request that is refused has an answer as well
		conns = append(conns, c)
	}
	for _, c := range conns {
		l.note(timed(answer(c, want)))
	}
}

// ordinary is a call that the client makes.
func ordinary(c *client.Client, payload []byte) error { return within(callLimit, c, payload) }

// within is ordinary for a caller who waits for as long.
func within(limit time.Duration, c *client.Client, payload []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	answer, err := c.Call(ctx, payload)
	if err == nil && !bytes.Equal(answer, payload) {
		return fmt.Errorf("%w: %d bytes for %d", errWrong, len(answer), len(payload))
	}
	return err
}

// inPieces is a call whose request takes a few milliseconds to arrive.
func inPieces(path string, payload []byte) error {
	return exchange(path, payload, func(c net.Conn, request []byte) {
		for _, piece := range [][]byte{request[:3], request[3:6], request[6:]} {
			time.Sleep(2 * time.Millisecond) // past the patience for fresh connections
			c.Write(piece)
		}
	})
}

// readLate is a call whose answer fills the socket before it is read.
func readLate(path string, payload []byte) error {
	return exchange(path, payload, func(c net.Conn, request []byte) {
		c.Write(request)
		time.Sleep(3 * time.Millisecond)
	})
}

// exchange makes a call, whose request send writes, if it can.
func exchange(path string, payload []byte, send func(c net.Conn, request []byte)) error {
	c, err := dial(path)
	if err != nil {
		return err
	}
	defer c.Close()
	header, err := frame.AppendHeader(nil, len(payload))
	if err != nil {
		return err
	}
	send(c, append(header, payload...))
	// What was refused while it was sent has an answer as well.
	return timed(answer(c, append(header, payload...)))
}

// answer reads a response, and an end of the connection only if that is no response.
func answer(c io.Reader, want []byte) error {
	var head [frame.HeaderSize]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return fmt.Errorf("closed: %w", err)
	}
	if n := binary.BigEndian.Uint32(head[:]); n > 0 {
		text := make([]byte, min(n, 4096))
		_, err := io.ReadFull(c, text)
		return errors.Join(fmt.Errorf("error of the server: %q", text), err)
	}
	got := make([]byte, len(want))
	n, err := io.ReadFull(c, got)
	switch {
	case !bytes.Equal(got[:n], want[:n]):
		return fmt.Errorf("%w: %q for %q", errWrong, got[:min(n, 40)], want[:min(n, 40)])
	case err != nil:
		return fmt.Errorf("closed after %d bytes of the answer: %w", n, err)
	}
	return nil
}

// timed makes the end of a connection's time that of a context.
func timed(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return err
}

// dial connects, as soon as there is room in the backlog.
func dial(path string) (net.Conn, error) {
	for deadline := time.Now().Add(callLimit); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial("unix", path)
		if err == nil {
			return c, c.SetDeadline(deadline)
		}
		if !errors.Is(err, syscall.EAGAIN) || time.Now().After(deadline) {
			return nil, err
		}
	}
}
