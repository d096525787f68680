package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"credrpc/internal/listen"
	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// How one server takes over from another is drawn in package internal/listen. Here is
// what the two do to serve or not to serve.

const (
	// startPatience is for how long a path that is in use, where nobody can be asked,
	// is looked at again: another server may be starting or ending.
	startPatience = time.Second
	startPause    = 10 * time.Millisecond

	// delays is more than a call spends in the lobby, and what surrounds it.
	delays = 2 * time.Second
)

// takeOrMake returns the listener of the server that runs at path, to be claimed, or
// makes one.
func takeOrMake(path string, o listen.Options, offer bool) (*listener, error) {
	for begin := time.Now(); ; time.Sleep(startPause) {
		ln, err := newListener(path, o, offer)
		if !errors.Is(err, ErrAddressInUse) {
			return ln, err
		}
		s, takeErr := listen.Take(path, o)
		switch {
		case takeErr == nil:
			return offered(s)
		case !errors.Is(takeErr, listen.ErrNoOffer):
			return nil, fmt.Errorf("taking over: %w", takeErr)
		case time.Since(begin) > startPatience:
			return nil, fmt.Errorf("%w, and %w", err, takeErr)
		}
	}
}

// offered makes a listener of what a running server offers. Its options are as here, or
// calls that are in the backlog could not be checked.
func offered(s *listen.Succession) (*listener, error) {
	ln := &listener{fd: s.Listener, file: s.File, succession: s}
	passcred, err := unix.GetsockoptInt(ln.fd, unix.SOL_SOCKET, unix.SO_PASSCRED)
	if err == nil && passcred == 0 {
		err = errors.New("the running server's socket lacks SO_PASSCRED")
	}
	passrights, rightsErr := unix.GetsockoptInt(ln.fd, unix.SOL_SOCKET, unix.SO_PASSRIGHTS)
	switch {
	case rightsErr == unix.ENOPROTOOPT:
		ln.mode = sys.Yield // Linux before 6.16
	case rightsErr == nil && passrights != 0:
		err = errors.Join(err, errors.New("the running server's socket has SO_PASSRIGHTS"))
	}
	if err = errors.Join(err, ln.setOptions()); err != nil {
		ln.close()
		return nil, fmt.Errorf("taking over: %w", err)
	}
	return ln, nil
}

// claim makes the running server stop accepting, if ln is its. Nothing else that could
// fail comes after it.
func (s *Server) claim(ln *listener) error {
	if ln.succession == nil {
		return nil
	}
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return ErrServerClosed // while Listening lasted
	}
	if err := ln.succession.Claim(); err != nil {
		return fmt.Errorf("server: taking over: %w", err)
	}
	s.logger().Info("took the socket over from the server that ran")
	return nil
}

// offers reports whether a successor can ask for ln.
func (ln *listener) offers() bool { return ln.file != nil && ln.file.Offers() }

// awaitSuccessor hands the listener on to another server, if one asks for it.
func (s *serving) awaitSuccessor() {
	defer s.goroutines.Done()
	if who, ok := s.ln.file.AwaitSuccessor(s.handOver); ok {
		s.log.Info("another server has taken the socket over", "pid", who.PID, "uid", who.UID)
	}
}

// handOver stops accepting, leaves the backlog to the successor, and returns when
// nothing can be accepted here.
func (s *serving) handOver() {
	s.ln.leaves.Store(true)
	s.retire(ErrTakenOver)
	select {
	case <-s.retired:
	case <-s.stop: // Close has ended the listener, or is about to
		s.ln.end(s.loops[0].wakeup)
	}
}

// drain answers what is in flight, for which nothing takes longer than this, and
// returns err and what went wrong.
func (s *Server) drain(lim limits, err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), lim.requestTimeout+lim.callTimeout+delays)
	defer cancel()
	if shutdownErr := s.Shutdown(ctx); shutdownErr != nil {
		return errors.Join(err, shutdownErr)
	}
	return err
}
