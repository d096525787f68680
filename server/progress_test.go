package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// alive checks that srv shows progress.
func alive(t *testing.T, srv *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := srv.Progress(ctx); err != nil {
		t.Error(err)
	}
}

// TestProgress asks a server that has nothing to do, whose loops may rest meanwhile,
// one whose connections are parked, and one under full load.
func TestProgress(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			srv := &Server{Handler: echo, HandlerOnLoop: kind.onLoop, Loops: 3}
			path := start(t, srv)
			for range 100 {
				alive(t, srv)
			}
			eventually(t, "two loops rest", func() bool { return restingLoops(running(srv)) == 2 })
			alive(t, srv)
			c := dial(t, path)
			c.Write(request([]byte("half"))[:5])
			eventually(t, "it is parked", func() bool {
				n := 0
				for _, l := range running(srv).loops {
					n += int(l.waiting.Load())
				}
				return n > 0
			})
			for range 100 {
				alive(t, srv)
			}
			c.Close()

			done := make(chan struct{})
			var callers sync.WaitGroup
			for range 16 {
				callers.Go(func() {
					for {
						select {
						case <-done:
							return
						default:
						}
						if _, err := call(t, path, []byte("x")); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			before := srv.Stats().Answered
			for begin := time.Now(); time.Since(begin) < 300*time.Millisecond; {
				var askers sync.WaitGroup // several at once
				for range 3 {
					askers.Go(func() { alive(t, srv) })
				}
				askers.Wait()
			}
			if srv.Stats().Answered == before {
				t.Error("there was no load")
			}
			close(done)
			callers.Wait()
		})
	}
}

// TestProgressOfStuckLoop blocks the handler of a loop: on the loop that is the end of
// progress until it returns, elsewhere another leader goes on. Before Linux 6.16 that is
// everywhere.
func TestProgressOfStuckLoop(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			entered, release := make(chan struct{}, 3), make(chan struct{})
			srv := &Server{Loops: 1, HandlerOnLoop: kind.onLoop, Handler: HandlerFunc(func(_ context.Context, dst []byte, _ *Call) ([]byte, error) {
				entered <- struct{}{}
				<-release
				return dst, nil
			})}
			path := start(t, srv)
			c := dial(t, path)
			c.Write(request(nil))
			<-entered
			if !kind.onLoop || yields(srv) {
				alive(t, srv)
			} else {
				ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
				err := srv.Progress(ctx)
				cancel()
				var stalled *StalledError
				if !errors.As(err, &stalled) || stalled.Loops != 1 || stalled.Stalled != 1 || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v", err)
				}
				if want := "server: 1 of 1 event loops make no progress: context deadline exceeded"; fmt.Sprint(err) != want {
					t.Errorf("%v", err)
				}
			}
			close(release)
			alive(t, srv)
			if _, err := response(c); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestProgressBeforeAndAfter asks servers that do not serve, and one that answers what
// is in flight after Shutdown.
func TestProgressBeforeAndAfter(t *testing.T) {
	ctx := context.Background()
	if err := new(Server).Progress(ctx); err != ErrNotServing {
		t.Errorf("before: %v", err)
	}
	closed := new(Server)
	closed.Close()
	if err := closed.Progress(ctx); err != ErrServerClosed {
		t.Errorf("closed before: %v", err)
	}
	srv := &Server{Handler: echo}
	path := start(t, srv)
	c := dial(t, path)
	whole := request([]byte("slow"))
	c.Write(whole[:5])
	eventually(t, "it is accepted", func() bool { return srv.Stats().InFlight == 1 })
	down := make(chan error)
	go func() { down <- srv.Shutdown(ctx) }()
	eventually(t, "it does not accept any more", func() bool { return running(srv).closing.Load() })
	alive(t, srv)
	c.Write(whole[5:])
	if answer, err := response(c); string(answer) != "slow" {
		t.Errorf("%q, %v", answer, err)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
	if err := srv.Progress(ctx); err != ErrServerClosed {
		t.Errorf("after: %v", err)
	}
}
