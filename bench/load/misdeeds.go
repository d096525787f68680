package load

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
	"sync"
	"time"

	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

const (
	// hostilePayload is the payload of hostile callers' requests in bytes.
	hostilePayload = 64

	// longestRefusal is how much of a refusal is kept.
	longestRefusal = 200

	// deafAnswer is what callers who never read ask for: more than a socket holds. See
	// net.core.wmem_default in socket(7).
	deafAnswer = 512 << 10

	// deafPause is how long such callers are there.
	deafPause = 2 * time.Second
)

// beHostile has all hostile callers do what they do until ctx ends, and counts
// what comes of it. They are not measured and use package net.
func beHostile(ctx context.Context, path string, h Hostile) []HostileResult {
	results := make([]HostileResult, len(h))
	var all sync.WaitGroup
	var mu sync.Mutex
	for i, callers := range h {
		results[i] = HostileResult{Misdeed: callers.Misdeed, Callers: callers.Callers}
		for range callers.Callers {
			all.Go(func() {
				c := hostileCaller{HostileResult: HostileResult{Misdeed: callers.Misdeed}, request: hostileRequest()}
				c.misbehave(ctx, path)
				mu.Lock()
				defer mu.Unlock()
				results[i].add(&c.HostileResult)
			})
		}
	}
	all.Wait()
	return results
}

// A hostileCaller is one of a misdeed. It belongs to a goroutine.
type hostileCaller struct {
	HostileResult
	request []byte
	linger  *lingering // nil until it is needed
}

// hostileRequest returns a request with which nothing is wrong.
func hostileRequest() []byte {
	request := make([]byte, headerSize, headerSize+hostilePayload)
	binary.BigEndian.PutUint32(request, hostilePayload)
	request = append(request, makeStream(hostilePayload)...)
	request[headerSize] = awake
	return request
}

// misbehave makes attempts until ctx ends.
func (c *hostileCaller) misbehave(ctx context.Context, path string) {
	if c.Misdeed == Spliced {
		runtime.LockOSThread() // which acts as a user now and then, and ends with the goroutine
	}
	defer func() { c.linger.close() }()
	for pause(ctx, hostilePause) {
		conn, err := c.connect(path)
		if err != nil {
			c.Unconnected++
			if errors.Is(err, unix.EAGAIN) {
				c.BacklogFull++
			}
			continue
		}
		c.Attempts++
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		c.attempt(ctx, conn)
		stop()
		conn.Close()
	}
}

// connect connects. A spliced caller does as a user, and its thread stays that user.
func (c *hostileCaller) connect(path string) (*net.UnixConn, error) {
	if c.Misdeed == Spliced {
		if errno := sys.ActAs(FirstIdentity); errno != 0 {
			return nil, errno
		}
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: path})
	if err != nil && c.Misdeed == Spliced {
		sys.ActAs(0)
	}
	return conn, err
}

// attempt misbehaves on one connection.
func (c *hostileCaller) attempt(ctx context.Context, conn *net.UnixConn) {
	switch c.Misdeed {
	case Slow:
		for _, b := range c.request {
			if _, err := conn.Write([]byte{b}); err != nil || !pause(ctx, slowPause) {
				break
			}
		}
	case Half:
		conn.Write(c.request[:len(c.request)/2])
		c.Left++
		return
	case Garbage:
		conn.Write([]byte("\xff\xff\xff\xffwhat a server must not wait for"))
	case Early:
		conn.Write(c.request)
		c.Left++
		return
	case Denied:
		conn.Write(c.request)
	case Spliced:
		c.splice(conn)
	case Linger:
		if !c.passLingering(conn) {
			return
		}
	case Deaf:
		c.request[headerSize] = wishing
		binary.BigEndian.PutUint32(c.request[headerSize+numberEnd:], deafAnswer)
		conn.Write(c.request)
		pause(ctx, deafPause)
		c.Left++
		return
	}
	c.look(ctx, conn)
}

// splice has the user who has connected send the beginning of a request, or nothing,
// and root the rest. The thread is root's afterwards.
func (c *hostileCaller) splice(conn *net.UnixConn) {
	begun := rand.IntN(len(c.request))
	if begun > 0 {
		conn.Write(c.request[:begun])
	}
	sys.ActAs(0) // which is the saved user, so it is allowed
	conn.Write(c.request[begun:])
}

// passLingering sends a request with a descriptor, and reports whether there is an
// answer to wait for. Since Linux 6.16 the kernel refuses it for the server: EPERM.
func (c *hostileCaller) passLingering(conn *net.UnixConn) bool {
	if c.linger == nil {
		var err error
		if c.linger, err = newLingering(); err != nil {
			c.Left++
			c.refused("no descriptor to pass: " + err.Error())
			return false
		}
	}
	if _, _, err := conn.WriteMsgUnix(c.request, unix.UnixRights(c.linger.fd), nil); err != nil {
		c.Refused++
		c.refused(err.Error())
		return false
	}
	c.linger.leave()
	c.linger = nil
	return true
}

// look reads what the server says, if anything. An error that ends the answer is
// an end like another: a server that closes with bytes unread resets.
func (c *hostileCaller) look(ctx context.Context, conn net.Conn) {
	answer, _ := io.ReadAll(io.LimitReader(conn, 2*headerSize+hostilePayload+longestRefusal))
	switch {
	case len(answer) < headerSize && ctx.Err() != nil:
		c.Left++
	case len(answer) < headerSize:
		c.Ended++
	case binary.BigEndian.Uint32(answer) == 0:
		c.Answered++
	default:
		c.Refused++
		c.refused(string(answer[headerSize:min(len(answer), headerSize+longestRefusal)]))
	}
}

// refused keeps what was said first.
func (c *hostileCaller) refused(said string) {
	if c.FirstRefusal == "" {
		c.FirstRefusal = strconv.Quote(said)
	}
}

// pause waits, and reports false if ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
