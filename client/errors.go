package client

import (
	"errors"
	"time"
)

var (
	// ErrUnreachable reports that there was no connection to the server: it has
	// not seen the call. The cause is a [syscall.Errno], so that an absent
	// socket is [fs.ErrNotExist] and a forbidden one [fs.ErrPermission] as well;
	// one that nobody listens on is ECONNREFUSED.
	ErrUnreachable = errors.New("client: server unreachable")

	// ErrProtocol reports that what came back is not a response: the connection
	// ended within it (the cause is [frame.ErrTruncated]), or a frame of it is
	// over the limit (a [*frame.TooLargeError]). The server may have carried out
	// the call.
	ErrProtocol = errors.New("client: protocol broken")
)

// A RemoteError is the error that the server answered a call with.
type RemoteError struct {
	Text string // as the server wrote it; any bytes, never empty
}

// Error marks the text as the server's.
func (e *RemoteError) Error() string { return "remote error: " + e.Text }

// An Op is a step of a call.
type Op string

const (
	// OpConnect is everything before the first byte of the request, so nothing
	// has been sent.
	OpConnect Op = "connect"

	// OpSend is the sending of the request.
	OpSend Op = "send"

	// OpReceive is the receiving of the response. It begins before a large
	// request has been sent completely.
	OpReceive Op = "receive"
)

// An Error reports that a call got no answer.
type Error struct {
	Op   Op     // where the call ended
	Path string // Path of the Client
	Err  error  // why

	class error // ErrUnreachable, ErrProtocol or nil
}

// Error names the step, the path and the cause.
func (e *Error) Error() string {
	return "client: " + string(e.Op) + " " + e.Path + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the class of e, [ErrUnreachable] or
// [ErrProtocol].
func (e *Error) Is(target error) bool { return e.class != nil && e.class == target }

// fail returns the error of a call that ended at op.
func (x *exchange) fail(op Op, class, cause error) error {
	return &Error{Op: op, Path: x.path, Err: cause, class: class}
}

// longAgo returns a deadline that has passed.
func longAgo() time.Time { return time.Unix(1, 0) }
