package reference

import (
	"net"
	"time"
)

// A RemoteError is the text with which a handler refused a call.
type RemoteError struct {
	Text string
}

// Error returns the text of the handler.
func (e *RemoteError) Error() string { return e.Text }

// A Client makes calls to the server at Path. It is safe for concurrent use.
type Client struct {
	Path string
}

// Call sends payload and returns the answer. It returns a [*RemoteError] if the
// handler failed, and otherwise the error of package net or of the frame that
// could not be read. A full backlog is an error at once.
func (c *Client) Call(payload []byte) ([]byte, error) {
	conn, err := net.Dial("unix", c.Path)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return nil, err
	}
	if err := writeFrame(conn, payload); err != nil {
		return nil, err
	}
	text, err := readFrame(conn)
	if err != nil {
		return nil, err
	}
	if len(text) > 0 {
		return nil, &RemoteError{Text: string(text)}
	}
	return readFrame(conn)
}
