package server

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAcceptingGoesOnAtAClose pauses a server for good: what ends the pause is a
// connection that closes, and not the time.
func TestAcceptingGoesOnAtAClose(t *testing.T) {
	srv := &Server{Handler: echo, Loops: 1}
	path := start(t, srv)
	l := running(srv).loops[0]
	idle := dial(t, path)
	eventually(t, "the leader polls", func() bool { return l.waiting.Load() == 1 && !l.direct.Load() })
	answered := make(chan error, 1)
	for tries, waits := 0, false; !waits; tries++ {
		l.pauseAccepting(unix.EMFILE)
		l.mu.Lock()
		l.pauseEnd.Stop()
		l.mu.Unlock()
		go func() {
			_, err := call(t, path, []byte("x"))
			answered <- err
		}()
		select {
		case err := <-answered:
			// A leader tries to accept once when it begins, and the call before may have
			// summoned one where callers can pass descriptors.
			if !yields(srv) || tries == 20 {
				t.Fatalf("answered while accepting has paused: %v", err)
			}
		case <-time.After(50 * time.Millisecond):
			waits = true
		}
	}
	idle.Close()
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if running(srv).paused.Load() != 0 {
		t.Error("the pause has not ended")
	}
}
