package server

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"credrpc/accessdb"
	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// TestCloseDone closes descriptors that follow each other, and such that do not, with
// descriptors of others in between.
func TestCloseDone(t *testing.T) {
	for name, ours := range map[string]string{
		"none":           "......",
		"one":            "..x...",
		"all":            "xxxxxxxxxxxxxxxx",
		"runs":           "xx.xxx.x",
		"others between": "x.x.x",
	} {
		w := &worker{run: &serving{}}
		var fds []int
		for range ours {
			fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
			if err != nil {
				t.Fatal(err)
			}
			fds = append(fds, fd)
		}
		for i, fd := range fds {
			if ours[i] == 'x' {
				w.done.fds[w.done.n] = fd
				w.done.n++
			}
		}
		w.closeDone()
		for i, fd := range fds {
			_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			if closed := err == unix.EBADF; closed != (ours[i] == 'x') {
				t.Errorf("%s: descriptor %d of %q: closed is %v", name, i, ours, closed)
			}
			if ours[i] != 'x' {
				unix.Close(fd)
			}
		}
		if w.done.n != 0 {
			t.Errorf("%s: %d are left", name, w.done.n)
		}
	}
}

// TestClosedWhileOthersBlock checks that a caller who has his answer finds the end of the
// stream though the handler that his worker runs next blocks.
func TestClosedWhileOthersBlock(t *testing.T) {
	release := make(chan struct{})
	var blocked atomic.Int32
	srv := &Server{Handler: HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
		if string(call.Payload) == "block" {
			blocked.Add(1)
			<-release
		}
		return append(dst, call.Payload...), nil
	})}
	path := start(t, srv)
	var blocking sync.WaitGroup
	defer blocking.Wait()
	defer close(release)
	rounds := int32(0)
	for ; rounds < 30 && !t.Failed(); rounds++ {
		running(srv).beWary()
		blocking.Go(func() {
			if got, err := call(t, path, []byte("block")); err != nil || string(got) != "block" {
				t.Errorf("blocking: %q, %v", got, err)
			}
		})
		var quick sync.WaitGroup
		for range 20 {
			quick.Go(func() {
				if got, err := call(t, path, []byte("quick")); err != nil || string(got) != "quick" {
					t.Errorf("%q, %v", got, err)
				}
			})
		}
		quick.Wait() // which has read to the end
	}
	eventually(t, "all block", func() bool { return blocked.Load() == rounds })
}

// TestClosedBeforeNext has a call on the loop begin after one that took long. The caller
// of that finds the end of the stream while the next handler runs.
func TestClosedBeforeNext(t *testing.T) {
	hold, held, closed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	srv := &Server{Loops: 1, HandlerOnLoop: true, Handler: HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
		switch string(call.Payload) {
		case "hold":
			close(held)
			<-hold
		case "long":
			time.Sleep(2 * doneFor)
		case "next":
			select {
			case <-closed:
			case <-time.After(patience / 4):
				return nil, errors.New("the caller before still waits")
			}
		}
		return append(dst, call.Payload...), nil
	})}
	path := start(t, srv)
	var conns []*net.UnixConn
	for _, payload := range []string{"hold", "first", "long", "next"} { // the first one may count as coming after a pause
		c := dial(t, path)
		if _, err := c.Write(request([]byte(payload))); err != nil {
			t.Fatal(err)
		}
		if conns = append(conns, c); payload == "hold" {
			<-held
		}
	}
	close(hold)
	for _, c := range conns[:3] {
		if got, err := response(c); err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	close(closed)
	if got, err := response(conns[3]); err != nil || string(got) != "next" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestClosedBeforeYield has a worker go on with a connection whose caller may have passed
// descriptors, and so can hold the worker outside any handler, where nobody deposes it:
// what it has answered is closed before.
func TestClosedBeforeYield(t *testing.T) {
	done, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	asked, open := false, false
	srv := &Server{Loops: 1, Handler: echo, Access: checkFunc(func(uint32, uint32) (accessdb.Result, error) {
		if asked {
			_, err := unix.FcntlInt(uintptr(done), unix.F_GETFD, 0)
			open = err == nil
		}
		return accessdb.Result{Decision: accessdb.Deny}, nil
	})}
	start(t, srv)
	run := running(srv)
	eventually(t, "what start has sent is over", func() bool { s := srv.Stats(); return s.Accepted == 1 && s.InFlight == 0 })
	l := run.loops[0]
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(pair[1])
	c := &conn{loop: l, fd: pair[0], heapIndex: -1, mode: sys.Yield, state: delayed}
	c.account, _ = run.enter(0)
	l.count.accepted.Add(1)
	asked = true
	w := &worker{run: run, loop: l}
	w.done.fds[0], w.done.n, w.done.since = done, 1, run.now()
	l.pushReady(c)
	w.runReady()
	if open {
		t.Error("the answered connection is open")
	}
	eventually(t, "it is refused", func() bool { return run.lingering.Load() == 0 })
}

// TestDescriptorsRunOut has a server on the loop run out of descriptors while those of
// calls that it has answered are not closed yet: these are closed, and accepting does
// not pause.
func TestDescriptorsRunOut(t *testing.T) {
	hold, held := make(chan struct{}), make(chan struct{})
	srv := &Server{Loops: 1, HandlerOnLoop: true, Handler: HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
		if string(call.Payload) == "hold" {
			close(held)
			<-hold
		}
		return append(dst, call.Payload...), nil
	})}
	path := start(t, srv)
	first := dial(t, path)
	if _, err := first.Write(request([]byte("hold"))); err != nil {
		t.Fatal(err)
	}
	<-held
	const callers = doneBatch
	var conns []*net.UnixConn
	for range callers {
		c := dial(t, path)
		if _, err := c.Write(request([]byte("x"))); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	// Room for half of them at a time.
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	next, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(next)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(next) + callers/2, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	close(hold)
	for _, c := range append(conns, first) {
		if got, err := response(c); err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if s := srv.Stats(); s.Paused != 0 {
		t.Errorf("accepting has paused %d times", s.Paused)
	}
}
