package server

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// holding is a server whose only leader stays in a handler until go on is closed: what
// is asked of it meanwhile happens after that.
func holding(t *testing.T) (srv *Server, held, goOn chan struct{}) {
	t.Helper()
	refuseRights(t, rawListener(t, socketPath(t), 1, true))
	held, goOn = make(chan struct{}, 1), make(chan struct{})
	return &Server{Loops: 1, HandlerOnLoop: true, Handler: HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
		if string(call.Payload) == "hold" {
			held <- struct{}{}
			<-goOn
		}
		return append(dst, call.Payload...), nil
	})}, held, goOn
}

// refuseRights makes a listener as newListener does. Kernels that do not know how are
// served by workers that do not lead, so that no handler can hold a leader.
func refuseRights(t *testing.T, listener *os.File) {
	t.Helper()
	err := unix.SetsockoptInt(int(listener.Fd()), unix.SOL_SOCKET, unix.SO_PASSRIGHTS, 0)
	if err == unix.ENOPROTOOPT {
		t.Skip("the kernel has no SO_PASSRIGHTS: needs Linux 6.16")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// enqueue makes calls at path and does not wait for their answers.
func enqueue(t *testing.T, path string, asks ...string) (conns []*net.UnixConn) {
	t.Helper()
	for _, ask := range asks {
		c := dial(t, path)
		c.Write(request([]byte(ask)))
		conns = append(conns, c)
	}
	return conns
}

// checkAnswers checks that every call is answered.
func checkAnswers(t *testing.T, conns []*net.UnixConn, asks ...string) {
	t.Helper()
	for i, c := range conns {
		if got, err := response(c); err != nil || string(got) != asks[i] {
			t.Errorf("call %d: %q, %v", i, got, err)
		}
	}
}

// TestBacklogIsLeft ends a server on an inherited listener while its leader is held and
// callers wait in the backlog. It answers the call that it has, and no other.
func TestBacklogIsLeft(t *testing.T) {
	path := socketPath(t)
	file := rawListener(t, path, 4096, true)
	refuseRights(t, file)
	inherit := func() net.Listener {
		l, err := net.FileListener(file)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	srv, held, goOn := holding(t)
	ended, down := make(chan error, 1), make(chan error, 1)
	go func() { ended <- srv.Serve(inherit()) }()
	first := enqueue(t, path, "hold")
	<-held
	asks := []string{"a", "b", "c"}
	rest := enqueue(t, path, asks...)
	go func() { down <- srv.Shutdown(context.Background()) }()
	eventually(t, "it is closing", func() bool { return running(srv).closing.Load() })
	close(goOn)
	if err := <-down; err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, ErrServerClosed) {
		t.Error(err)
	}
	checkAnswers(t, first, "hold")
	if s := srv.Stats(); s.Accepted != 1 {
		t.Errorf("it has accepted %d", s.Accepted)
	}
	serveOn(t, &Server{Handler: echo}, inherit())
	checkAnswers(t, rest, asks...)
}

// TestLastAcceptComesFirst takes over from a server whose leader is held. Its successor
// does not serve until the leader can be told, and then serves who waits.
func TestLastAcceptComesFirst(t *testing.T) {
	path := socketPath(t)
	srv, held, goOn := holding(t)
	srv.Takeover = true
	ended := make(chan error, 1)
	go func() { ended <- srv.ListenAndServe(path) }()
	eventually(t, "it serves", func() bool { return running(srv) != nil })
	first := enqueue(t, path, "hold")
	<-held
	asks := []string{"a", "b", "c"}
	rest := enqueue(t, path, asks...)

	ready := make(chan struct{})
	next := &Server{Handler: echo, Takeover: true, Ready: func() { close(ready) }}
	nextEnded := make(chan error, 1)
	go func() { nextEnded <- next.ListenAndServe(path) }()
	eventually(t, "it is asked to hand over", func() bool { return running(srv).closing.Load() })
	select {
	case <-ready:
		t.Error("the successor serves while the leader may accept")
	case <-time.After(20 * time.Millisecond):
	}
	close(goOn)
	if err := <-ended; err != ErrTakenOver {
		t.Errorf("got %v", err)
	}
	select {
	case <-ready:
	case <-time.After(patience):
		t.Fatal("the successor does not serve")
	}
	checkAnswers(t, first, "hold")
	checkAnswers(t, rest, asks...)
	if s := srv.Stats(); s.Accepted != 1 || s.Answered != 1 {
		t.Errorf("it has accepted %d and answered %d", s.Accepted, s.Answered)
	}
	stop(t, next, nextEnded)
}

// TestEndedWhileHandingOver ends a server that is being taken over while its leader is
// held. Whatever comes first, the socket is the successor's.
func TestEndedWhileHandingOver(t *testing.T) {
	for name, end := range map[string]func(*Server) error{
		"by Shutdown": func(srv *Server) error { return srv.Shutdown(context.Background()) },
		"by Close":    (*Server).Close,
	} {
		t.Run(name, func(t *testing.T) {
			path := socketPath(t)
			srv, held, goOn := holding(t)
			srv.Takeover = true
			ended := make(chan error, 1)
			go func() { ended <- srv.ListenAndServe(path) }()
			eventually(t, "it serves", func() bool { return running(srv) != nil })
			enqueue(t, path, "hold")
			<-held
			next := &Server{Handler: echo, Takeover: true}
			nextEnded := make(chan error, 1)
			go func() { nextEnded <- next.ListenAndServe(path) }()
			eventually(t, "it is asked to hand over", func() bool { return running(srv).closing.Load() })
			down := make(chan error, 1)
			go func() { down <- end(srv) }()
			time.AfterFunc(5*time.Millisecond, func() { close(goOn) })
			if err := <-down; err != nil {
				t.Error(err)
			}
			if err := <-ended; !errors.Is(err, ErrTakenOver) {
				t.Errorf("got %v", err)
			}
			eventually(t, "the successor serves", func() bool { return running(next) != nil })
			if got, err := call(t, path, []byte("x")); err != nil || string(got) != "x" {
				t.Errorf("%q, %v", got, err)
			}
			stop(t, next, nextEnded)
		})
	}
}
