package server

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// sleepy echoes, after four milliseconds if the request begins with an s.
var sleepy = HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
	if len(call.Payload) > 0 && call.Payload[0] == 's' {
		time.Sleep(4 * time.Millisecond)
	}
	return append(dst, call.Payload...), nil
})

// TestWarinessEndsWithinABatch lets the server's wariness run out again and
// again while leaders collect batches and are deposed: there must never be two
// leaders, and every call gets its own answer.
func TestWarinessEndsWithinABatch(t *testing.T) {
	srv := &Server{Handler: sleepy}
	path := start(t, srv)
	srv.mu.Lock()
	run := srv.serving
	srv.mu.Unlock()
	const rounds, callers = 1000, 12
	for round := range rounds {
		run.waryUntil.Store(run.now() + int64(rand.N(600*time.Microsecond)))
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				ask := fmt.Sprintf("%c%d/%d", "qqqqqqqqssss"[i], round, i)
				if got, err := call(t, path, []byte(ask)); err != nil || string(got) != ask {
					t.Errorf("%q: %q, %v", ask, got, err)
				}
			})
		}
		wg.Wait()
	}
	if s := srv.Stats(); s.Deposed == 0 && !yields(srv) {
		t.Error("no leader was deposed: the test has tested nothing")
	}
}

// TestShutdownWhileWary checks that a Shutdown that meets changes of leader loses
// no call whose connection was made.
func TestShutdownWhileWary(t *testing.T) {
	for round := range 60 {
		var logged lockedBuffer
		srv := &Server{Handler: sleepy, Loops: 1 + round%2, Logger: slog.New(slog.NewTextHandler(&logged, nil))}
		path := socketPath(t)
		served := make(chan error, 1)
		go func() { served <- srv.ListenAndServe(path) }()
		eventually(t, "the server serves", func() bool { return running(srv) != nil })
		running(srv).beWary()
		var wg sync.WaitGroup
		var connected atomic.Int32
		for i := range 60 {
			wg.Go(func() {
				c, err := net.Dial("unix", path)
				if err != nil {
					return // the socket is gone
				}
				defer c.Close()
				connected.Add(1)
				c.SetDeadline(time.Now().Add(patience))
				ask := []byte{"sqq"[i%3], byte(i)}
				if _, err := c.Write(request(ask)); err != nil {
					t.Errorf("round %d, sending: %v", round, err)
				} else if got, err := response(c); err != nil || !bytes.Equal(got, ask) {
					t.Errorf("round %d: %q, %v", round, got, err)
				}
			})
		}
		eventually(t, "half the callers are connected", func() bool { return connected.Load() > 30 })
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("round %d: Shutdown: %v", round, err)
		}
		cancel()
		<-served
		wg.Wait()
		if strings.Contains(logged.String(), "serving failed") {
			t.Errorf("round %d: %s", round, logged.String())
		}
	}
}

// TestGoexitWithinABatch checks that the rest of a batch is run when a handler
// ends its goroutine.
func TestGoexitWithinABatch(t *testing.T) {
	srv := &Server{Handler: HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
		if string(call.Payload) == "exit" {
			runtime.Goexit()
		}
		return append(dst, call.Payload...), nil
	})}
	path := start(t, srv)
	srv.mu.Lock()
	run := srv.serving
	srv.mu.Unlock()
	for range 50 {
		run.beWary()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				ask := []string{"exit", "stay"}[i%2]
				got, err := call(t, path, []byte(ask))
				if ask == "exit" && err != remoteError("internal error") || ask == "stay" && string(got) != ask {
					t.Errorf("%s: %q, %v", ask, got, err)
				}
			})
		}
		wg.Wait()
	}
}
