package server

import (
	"context"
	"encoding"

	"credrpc/accessdb"
)

// A Call is what a handler is told. It and what it points to are valid until
// the handler returns; whoever needs more copies it.
type Call struct {
	// Payload holds the request's bytes. The handler may change them.
	Payload []byte

	// Sender says who sent the request: the process, its real user and its
	// real group when it sent the last piece (unix(7), SCM_CREDENTIALS). Every
	// piece had the same.
	Sender Credentials

	// Peer says who connected: the process, its effective user and its
	// effective group then (unix(7), SO_PEERCRED). Unless
	// [Server.AllowOtherSender] is set, user and group equal the sender's.
	Peer Credentials

	// Access is what [Server.Access] decided about Peer: the rule that allowed
	// the call, and what that rule says about the environment and the command
	// line of a program. It may be kept. Without [Server.Access] it is zero.
	Access accessdb.Result
}

// A Handler answers calls. ServeCall may be called by many goroutines at once.
//
// It appends the answer to dst, which is empty and has room for short answers,
// and returns the extended slice. It may return another slice instead, also
// call.Payload, and must not change or reuse it: the server reads it until the
// answer is written. A non-nil error is answered instead, by its text. The memory
// behind the lengths of dst and of call.Payload may hold what other callers sent or
// were told, so nothing may be read there.
//
// The context ends when the call's deadline passes or the caller hangs up, and
// at the latest when the handler returns. Like the call it must not be used
// after that, but contexts with a cancellation of their own that derive from it
// may ([context.WithCancel] and its like, not [context.WithValue]). A caller that hangs up is
// noticed from the moment the handler asks for [context.Context.Done] or has run
// for about two milliseconds; under [Server.HandlerOnLoop], only once it has
// asked.
//
// A handler that panics answers the error "internal error". The panic is
// counted and goes to the log, the server goes on.
type Handler interface {
	ServeCall(ctx context.Context, dst []byte, call *Call) ([]byte, error)
}

// A HandlerFunc is a function that is a [Handler].
type HandlerFunc func(ctx context.Context, dst []byte, call *Call) ([]byte, error)

// ServeCall calls f.
func (f HandlerFunc) ServeCall(ctx context.Context, dst []byte, call *Call) ([]byte, error) {
	return f(ctx, dst, call)
}

// Plain makes a [Handler] of a function of the request's bytes and the sender's
// credentials. The slice that it returns must not be changed afterwards.
func Plain(f func(request []byte, sender Credentials) ([]byte, error)) Handler {
	return HandlerFunc(func(_ context.Context, _ []byte, call *Call) ([]byte, error) {
		return f(call.Payload, call.Sender)
	})
}

// Typed makes a [Handler] of a function of a decoded request. Request is a type
// whose pointer is an [encoding.BinaryUnmarshaler]; as that interface demands,
// it must copy what it keeps. An error of UnmarshalBinary or MarshalBinary is
// answered like one of f.
func Typed[Request any, Response encoding.BinaryMarshaler, P interface {
	*Request
	encoding.BinaryUnmarshaler
}](f func(ctx context.Context, call *Call, request *Request) (Response, error)) Handler {
	return HandlerFunc(func(ctx context.Context, dst []byte, call *Call) ([]byte, error) {
		request := new(Request)
		if err := P(request).UnmarshalBinary(call.Payload); err != nil {
			return nil, err
		}
		response, err := f(ctx, call, request)
		if err != nil {
			return nil, err
		}
		if appender, ok := any(response).(encoding.BinaryAppender); ok {
			return appender.AppendBinary(dst)
		}
		return response.MarshalBinary()
	})
}
