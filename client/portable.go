//go:build !linux || credrpc_net

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"

	"credrpc/frame"
)

// scratchSize is how many bytes of a response are received at once.
const scratchSize = 4 << 10

// An exchange is one call on one connection, on systems other than Linux: through
// package net, which knows them all. Its steps, its errors and what it does at the end
// of a context are those of exchange.go; how it waits is up to package net. On Linux the
// tag credrpc_net builds it, for tests. It is used again after close.
type exchange struct {
	path   string        // for errors
	conn   *net.UnixConn // nil before connect
	disarm func() bool   // keeps the context from ending conn; nil if it cannot

	sender  sync.WaitGroup // sendRequest is running
	sendErr error          // why sendRequest gave up, once sender is done

	header   [frame.HeaderSize]byte // of the request
	response frame.ResponseDecoder
	scratch  [scratchSize]byte
}

// begin makes x the exchange of a new call.
func (x *exchange) begin(c *Client, _ bool) { x.path = c.Path }

// connect makes the connection for a request with payload. Nothing is connected if the
// context has ended or the payload is too large for a frame. Where the backlog is full
// other systems than Linux refuse at once.
func (x *exchange) connect(ctx context.Context, payload []byte) error {
	if err := ctx.Err(); err != nil {
		return x.fail(OpConnect, nil, err)
	}
	if _, err := frame.AppendHeader(x.header[:0], len(payload)); err != nil {
		return x.fail(OpSend, nil, err)
	}
	if x.path == "" || x.path[0] == '@' || strings.ContainsRune(x.path, 0) {
		return x.fail(OpConnect, ErrUnreachable, fmt.Errorf("want a path without NUL, and no abstract name, which only Linux has: %w", syscall.EINVAL))
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", x.path)
	if ended := ctx.Err(); err != nil && ended != nil {
		return x.fail(OpConnect, nil, ended)
	}
	if err != nil {
		return x.fail(OpConnect, ErrUnreachable, cause(err))
	}
	x.conn = conn.(*net.UnixConn)
	return nil
}

// send starts sendRequest, and has the end of ctx end whatever waits.
func (x *exchange) send(ctx context.Context, payload []byte) error {
	if ctx.Done() != nil {
		conn := x.conn // x may belong to another call when the function runs
		x.disarm = context.AfterFunc(ctx, func() { conn.SetDeadline(longAgo()) })
	}
	x.sender.Go(func() { x.sendRequest(payload) })
	return nil
}

// sendRequest writes the request until it is complete, the server reads no more, or the
// call ends. Any other failure is kept, and ends what receive waits for.
func (x *exchange) sendRequest(payload []byte) {
	request := net.Buffers{x.header[:], payload}
	_, err := request.WriteTo(x.conn)
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		// There may be an answer, whatever of the request was read.
	case errors.Is(err, os.ErrDeadlineExceeded):
		// The call ends.
	default:
		x.sendErr = cause(err)
		x.conn.SetReadDeadline(longAgo())
	}
}

// receive appends the answer to dst. It reads up to the end of the response.
func (x *exchange) receive(ctx context.Context, dst []byte, limit uint32) ([]byte, error) {
	start := len(dst)
	answer := dst
	for x.response.Reset(limit); !x.response.Done(); {
		n, err := x.conn.Read(x.scratch[:])
		if err != nil {
			return dst, x.receiveError(ctx, err)
		}
		piece, _, err := x.response.Next(x.scratch[:n])
		if err != nil {
			return dst, x.fail(OpReceive, ErrProtocol, err)
		}
		answer = append(answer, piece...)
	}
	if x.response.Failed() {
		return dst, &RemoteError{Text: string(answer[start:])}
	}
	return answer, nil
}

// receiveError returns what a failure to read means.
func (x *exchange) receiveError(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return x.fail(OpReceive, nil, ended)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return x.fail(OpReceive, ErrProtocol, frame.ErrTruncated)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// Besides the context only sendRequest sets a read deadline.
		x.sender.Wait()
		return x.fail(OpSend, nil, x.sendErr)
	}
	return x.fail(OpReceive, nil, cause(err))
}

// close ends sendRequest, closes the connection and makes x ready for another call.
func (x *exchange) close() {
	if x.disarm != nil {
		x.disarm()
	}
	if x.conn != nil {
		x.conn.SetWriteDeadline(longAgo())
		x.sender.Wait()
		x.conn.Close()
	}
	x.path, x.conn, x.disarm, x.sendErr = "", nil, nil, nil
}

// cause returns the system's error in one of package net, which names the path once
// more.
func cause(err error) error {
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return errno
	}
	return err
}
