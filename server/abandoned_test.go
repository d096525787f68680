package server

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// aMoment is for how long a test lets happen what must not.
const aMoment = 50 * time.Millisecond

// TestAbandonedIsToldBeforeTheEnd has a call time out whose handler returns at once: it
// is in flight until what became of it is told, so that Shutdown waits for that.
func TestAbandonedIsToldBeforeTheEnd(t *testing.T) {
	var all ends
	hook := func(r CallRecord) {
		if r.TimedOut {
			time.Sleep(aMoment)
		}
		all.add(r)
	}
	srv := &Server{Handler: obedient, CallTimeout: 10 * time.Millisecond, Ended: hook}
	path := start(t, srv)
	c := dial(t, path)
	c.Write(request([]byte("late")))
	c.Read(make([]byte, 100)) // what comes before the telling; the end of the stream comes after
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	if stats := srv.Stats(); uint64(len(all.records)) != stats.Accepted {
		t.Errorf("Shutdown is done, and told of %d of %d connections", len(all.records), stats.Accepted)
	}
}

// TestAbandonedKeepsItsDescriptor has the handler of a call that times out return while
// the call is hung up, on a connection whose closing is left to the handler's side. The
// number of the descriptor must not get to others before.
func TestAbandonedKeepsItsDescriptor(t *testing.T) {
	path := socketPath(t)
	l := listenUnix(t, path, true) // callers can pass descriptors until it is served
	early := dial(t, path)
	early.Write(request([]byte("late")))

	others := make(chan [2]int, 8) // descriptors of whoever comes next
	hook := func(r CallRecord) {
		if !r.TimedOut {
			return
		}
		time.Sleep(aMoment) // the handler has returned
		for range cap(others) {
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
			if err != nil {
				t.Error(err)
			}
			others <- pair
		}
	}
	srv := &Server{Handler: obedient, CallTimeout: 10 * time.Millisecond, Ended: hook}
	serveOn(t, srv, l)
	if _, err := response(early); err != remoteError(timeoutText) {
		t.Errorf("the caller reads %v", err)
	}
	eventually(t, "it is told of", func() bool { return len(others) == cap(others) })
	time.Sleep(aMoment)
	for range cap(others) {
		pair := <-others
		for _, fd := range pair {
			if _, err := unix.Write(fd, []byte("x")); err != nil {
				t.Errorf("descriptor %d, which is another's by now, was shut down: %v", fd, err)
			}
		}
		unix.Close(pair[0])
		unix.Close(pair[1])
	}
}
