package servertest

import (
	"bytes"
	"context"
	"os"
	"time"

	"credrpc/frame"
	"credrpc/server"
)

// What package server tells callers, and the size in bytes of what it gives handlers
// and of the longest error text. TestSimulateEqualsServer compares with it.
const (
	noCredentialsText  = "no valid credentials came with the request"
	accessText         = "access denied"
	senderMismatchText = "the request was sent by another user or group than connected"
	tooLargeText       = "request too large"
	timeoutText        = "the call took too long"
	maxErrorText       = 4096
	answerRoom         = 512
)

// foreign is what [Simulate] fills memory with that the handler may not read.
const foreign = 0xDB

// NewCall returns a call with invented credentials: u has connected and sent payload,
// from the test's own process. A test may change any field, such as Sender for a
// caller that connects as one user and sends as another.
func NewCall(u User, payload []byte) *server.Call {
	who := server.NewCredentials(os.Getpid(), u.UID, u.GID)
	return &server.Call{Payload: payload, Sender: who, Peer: who}
}

// Simulate does with call what a server like config does with a call that has arrived,
// without a socket, and returns what the caller gets: the answer, or a
// [*client.RemoteError]. config is not started, and if it runs it does not notice.
//
// The rules are asked and Audit is told, but no other hook; Access of the call becomes
// what they say, or stays as it is where config has no rules. A request or an answer over the limit, a
// sender who is not who connected and a handler that returns later than CallTimeout
// become the errors that a server answers. What concerns several calls is left out:
// rates, shares, and other limits of a user. A panic of the handler, of Access or Audit
// goes through to the test; a server would answer "internal error" or "access denied".
//
// The context of the handler is derived from ctx and ends when the handler returns. The
// handler gets copies of call and its payload, which are overwritten afterwards, as is
// the memory of dst, so that one that keeps what it may not keep is found out. Returns
// [server.ErrNoHandler] if config has none, and the error of ctx if that has ended: the
// caller has hung up.
func Simulate(ctx context.Context, config *server.Server, call *server.Call) ([]byte, error) {
	if config.Handler == nil {
		return nil, server.ErrNoHandler
	}
	told, payload := *call, withForeign(call.Payload, answerRoom)
	told.Payload = payload
	if text := admit(config, &told); text != "" {
		return nil, remoteError(text)
	}
	timeout := orDefault(config.CallTimeout, server.DefaultCallTimeout)
	began := time.Now()
	handlerCtx, cancel := context.WithTimeout(ctx, timeout)
	dst := withForeign(nil, answerRoom)
	answer, err := config.Handler.ServeCall(handlerCtx, dst, &told)
	took := time.Since(began)
	cancel()
	answer = bytes.Clone(answer)
	told = server.Call{}
	overwrite(payload, dst)

	limit := orDefault(config.MaxResponse, server.DefaultMaxResponse)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case took >= timeout:
		return nil, remoteError(timeoutText)
	case err != nil:
		return nil, remoteError(err.Error())
	case uint64(len(answer)) > uint64(limit):
		return nil, remoteError((&frame.TooLargeError{Length: uint64(len(answer)), Limit: limit}).Error())
	}
	return answer, nil
}

// admit does what comes before the handler, in the order of package server, and returns
// what a caller is told who is refused.
func admit(config *server.Server, call *server.Call) (refusal string) {
	if !call.Peer.Valid() {
		return noCredentialsText
	}
	if config.Access != nil {
		d := server.AccessDecision{Peer: call.Peer}
		d.Result, d.Err = config.Access.Check(call.Peer.UID(), call.Peer.GID())
		if config.Audit != nil {
			config.Audit(d)
		}
		if !d.Allowed() {
			return accessText
		}
		call.Access = d.Result
	}
	switch {
	case !call.Sender.Valid():
		return noCredentialsText
	case !config.AllowOtherSender && (call.Sender.UID() != call.Peer.UID() || call.Sender.GID() != call.Peer.GID()):
		return senderMismatchText
	case uint64(len(call.Payload)) > uint64(orDefault(config.MaxRequest, server.DefaultMaxRequest)):
		return tooLargeText
	}
	return ""
}

// remoteError returns what a caller makes of a server's error.
func remoteError(text string) error {
	_, err := parse(frame.AppendError(nil, text[:min(len(text), maxErrorText)]))
	return err
}

// withForeign returns a copy of b with room bytes of foreign memory behind its length.
func withForeign(b []byte, room int) []byte {
	copied := make([]byte, len(b)+room)
	for i := copy(copied, b); i < len(copied); i++ {
		copied[i] = foreign
	}
	return copied[:len(b)]
}

// overwrite makes slices foreign memory, up to their capacity.
func overwrite(slices ...[]byte) {
	for _, b := range slices {
		b = b[:cap(b)]
		for i := range b {
			b[i] = foreign
		}
	}
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
