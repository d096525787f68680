package load

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// hostilePayload is the payload of hostile callers' requests in bytes.
	hostilePayload = 64

	// longestRefusal is how much of a refusal is kept.
	longestRefusal = 200
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
				own := misbehave(ctx, path, callers.Misdeed)
				mu.Lock()
				defer mu.Unlock()
				results[i].add(&own)
			})
		}
	}
	all.Wait()
	return results
}

// misbehave is one hostile caller.
func misbehave(ctx context.Context, path string, misdeed Misdeed) (r HostileResult) {
	request := make([]byte, headerSize, headerSize+hostilePayload)
	binary.BigEndian.PutUint32(request, hostilePayload)
	request = append(request, makeStream(hostilePayload)...)
	request[headerSize] = awake
	for pause(ctx, hostilePause) {
		conn, err := net.Dial("unix", path)
		if err != nil {
			r.Unconnected++
			if errors.Is(err, unix.EAGAIN) {
				r.BacklogFull++
			}
			continue
		}
		r.Attempts++
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		r.attempt(ctx, conn, misdeed, request)
		stop()
		conn.Close()
	}
	return r
}

// attempt misbehaves on one connection.
func (r *HostileResult) attempt(ctx context.Context, conn net.Conn, misdeed Misdeed, request []byte) {
	switch misdeed {
	case Slow:
		for _, b := range request {
			if _, err := conn.Write([]byte{b}); err != nil || !pause(ctx, slowPause) {
				break
			}
		}
	case Half:
		conn.Write(request[:len(request)/2])
		r.Left++
		return
	case Garbage:
		conn.Write([]byte("\xff\xff\xff\xffwhat a server must not wait for"))
	case Early:
		conn.Write(request)
		r.Left++
		return
	case Denied:
		conn.Write(request)
	}
	r.look(ctx, conn)
}

// look reads what the server says, if anything. An error that ends the answer is
// an end like another: a server that closes with bytes unread resets.
func (r *HostileResult) look(ctx context.Context, conn net.Conn) {
	answer, _ := io.ReadAll(io.LimitReader(conn, 2*headerSize+hostilePayload+longestRefusal))
	switch {
	case len(answer) < headerSize && ctx.Err() != nil:
		r.Left++
	case len(answer) < headerSize:
		r.Ended++
	case binary.BigEndian.Uint32(answer) == 0:
		r.Answered++
	default:
		r.Refused++
		if r.FirstRefusal == "" {
			r.FirstRefusal = strconv.Quote(string(answer[headerSize:min(len(answer), headerSize+longestRefusal)]))
		}
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
