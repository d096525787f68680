package callers

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"credrpc/bench/load"
	"credrpc/client"
	"credrpc/frame"
)

// Client returns a Conn that calls the server at path with package client. It is no
// connection: each call makes one.
func Client(path string) Conn {
	return &clientConn{client.Client{Path: path, MaxResponse: load.MaxPayload}}
}

type clientConn struct{ client.Client }

// Echo calls.
func (c *clientConn) Echo(ctx context.Context, payload []byte) ([]byte, error) {
	return c.Call(ctx, payload)
}

// Close does nothing: there is nothing to close.
func (c *clientConn) Close() error { return nil }

// Net returns a Conn that calls the server at path with package net. Each call makes a
// connection.
func Net(path string) Conn { return netConn{path} }

type netConn struct{ path string }

// errRefused reports an answer that is an error of the server.
var errRefused = errors.New("callers: the server refused")

// Echo calls.
func (c netConn) Echo(ctx context.Context, payload []byte) ([]byte, error) {
	request, err := frame.AppendRequest(nil, payload)
	if err != nil {
		return nil, err
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(request); err != nil && !errors.Is(err, syscall.EPIPE) { // it may have answered
		return nil, err
	}
	return receive(conn, len(payload))
}

// Close does nothing: there is nothing to close.
func (netConn) Close() error { return nil }

// dial connects, again while the backlog is full.
func (c netConn) dial(ctx context.Context) (net.Conn, error) {
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", c.path)
		if !errors.Is(err, syscall.EAGAIN) || ctx.Err() != nil {
			return conn, err
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// receive reads an answer that has a payload of want bytes, in one piece if it arrives
// so. It reads no further than such an answer goes.
func receive(conn io.Reader, want int) ([]byte, error) {
	answer := make([]byte, 2*frame.HeaderSize+want)
	n, err := io.ReadAtLeast(conn, answer, 2*frame.HeaderSize)
	switch {
	case n >= frame.HeaderSize && binary.BigEndian.Uint32(answer) != 0:
		return nil, errRefused
	case err != nil:
		return nil, err
	}
	if size := binary.BigEndian.Uint32(answer[frame.HeaderSize:]); size != uint32(want) {
		return nil, fmt.Errorf("callers: an answer of %d bytes, and %d were sent", size, want)
	}
	if _, err := io.ReadFull(conn, answer[n:]); err != nil {
		return nil, err
	}
	return answer[2*frame.HeaderSize:], nil
}
