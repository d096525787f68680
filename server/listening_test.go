package server

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// TestListening has a caller whose request is there before Listening returns. It is
// answered after that and not before.
func TestListening(t *testing.T) {
	path := socketPath(t)
	var returned atomic.Bool
	early := make(chan net.Conn, 1)
	srv := &Server{Handler: HandlerFunc(func(_ context.Context, dst []byte, _ *Call) ([]byte, error) {
		if !returned.Load() {
			return nil, errors.New("too early")
		}
		return append(dst, "answer"...), nil
	})}
	srv.Listening = func() error {
		c, err := net.Dial("unix", path)
		if err != nil {
			return err
		}
		if _, err := c.Write([]byte{0, 0, 0, 0}); err != nil {
			return err
		}
		early <- c
		time.Sleep(20 * time.Millisecond) // a server that serves already would answer
		returned.Store(true)
		return nil
	}
	startAt(t, srv, path)
	c := <-early
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	answer, err := response(c)
	if err != nil || string(answer) != "answer" {
		t.Errorf("%q, %v", answer, err)
	}
}

// TestListeningRefuses ends a server before it has answered anything.
func TestListeningRefuses(t *testing.T) {
	path := socketPath(t)
	refusal := errors.New("no")
	srv := &Server{Handler: echo, Listening: func() error { return refusal }, Ready: func() { t.Error("it is ready") }}
	if err := srv.ListenAndServe(path); err != refusal {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	// It has served nothing, so that it may be tried again.
	srv.Listening, srv.Ready = nil, nil
	startAt(t, srv, path)
}

// TestClosedWhileListening ends a server from Listening.
func TestClosedWhileListening(t *testing.T) {
	srv := &Server{Handler: echo}
	srv.Listening = srv.Close
	if err := srv.ListenAndServe(socketPath(t)); !errors.Is(err, ErrServerClosed) {
		t.Errorf("got %v", err)
	}
}

// TestListeningOnce serves on a second listener from Listening, which is not called for
// that one.
func TestListeningOnce(t *testing.T) {
	srv := &Server{Handler: echo}
	calls := 0
	srv.Listening = func() error {
		if calls++; calls > 1 {
			return errors.New("called twice")
		}
		if err := srv.ListenAndServe(socketPath(t)); !errors.Is(err, ErrServing) {
			t.Errorf("got %v", err)
		}
		return nil
	}
	path := start(t, srv)
	if answer, err := call(t, path, []byte("x")); err != nil || string(answer) != "x" {
		t.Errorf("%q, %v", answer, err)
	}
}
