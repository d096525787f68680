package server

import (
	"errors"
	"fmt"
	"net"

	"credrpc/internal/listen"
)

// Before serving.
var (
	// ErrNoHandler reports a [Server] whose Handler is nil.
	ErrNoHandler = errors.New("server: no handler")

	// ErrServing reports a second Serve of one [Server].
	ErrServing = errors.New("server: serves already; a Server serves one listener, once")

	// ErrNotServing reports that [Server.Progress] was asked of a Server that does not
	// serve yet.
	ErrNotServing = errors.New("server: does not serve yet")

	// ErrAddressInUse reports a path on which another server is or is being
	// started.
	ErrAddressInUse = listen.ErrAddressInUse

	// ErrUntrustedDirectory reports a path at which others than root and this process'
	// user could replace the socket. See [Server.AllowUntrustedDirectory].
	ErrUntrustedDirectory = listen.ErrUntrusted

	// ErrNotSocket reports a path at which something else than a socket is.
	ErrNotSocket = listen.ErrNotSocket
)

// After serving.
var (
	// ErrServerClosed is what Serve returns after [Server.Shutdown] or
	// [Server.Close].
	ErrServerClosed = errors.New("server: closed")

	// ErrTakenOver is what ListenAndServe returns when another server has taken the
	// socket over and every call in flight here is answered. See [Server.Takeover].
	ErrTakenOver = errors.New("server: another one has taken the socket over")
)

// A ListenerError reports a listener that cannot serve calls.
type ListenerError struct {
	Addr   net.Addr // of the listener, nil if there is none
	Reason string   // what it lacks and what to do
}

// Error names the listener and the reason.
func (e *ListenerError) Error() string {
	if e.Addr == nil {
		return "server: listener: " + e.Reason
	}
	return fmt.Sprintf("server: listener %s %q: %s", e.Addr.Network(), e.Addr.String(), e.Reason)
}

// A ConfigError reports a field of [Server] that makes no sense.
type ConfigError struct {
	Field  string
	Reason string
}

// Error names the field and the reason.
func (e *ConfigError) Error() string { return "server: " + e.Field + ": " + e.Reason }

// A StalledError reports event loops that make no progress.
type StalledError struct {
	Loops, Stalled int   // how many there are, and how many of them did not answer
	Err            error // of the context, which ended before they did
}

// Error says how many loops make no progress.
func (e *StalledError) Error() string {
	return fmt.Sprintf("server: %d of %d event loops make no progress: %v", e.Stalled, e.Loops, e.Err)
}

// Unwrap returns the context's error.
func (e *StalledError) Unwrap() error { return e.Err }
