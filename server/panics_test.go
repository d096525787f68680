package server

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestPanicsUnderLoad has a handler panic in one call of a hundred: 20,000 calls, or a
// million with CREDRPC_FAULTS=all. That call fails, every other one is answered, and
// the log stays readable.
func TestPanicsUnderLoad(t *testing.T) {
	const callers = 8
	calls := 20_000
	if os.Getenv("CREDRPC_FAULTS") == "all" {
		calls = 1_000_000
	}
	var logged lockedBuffer
	srv := &Server{Logger: slog.New(slog.NewTextHandler(&logged, nil)),
		Handler: HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
			if i, err := strconv.Atoi(string(call.Payload)); err != nil || i%100 == 0 {
				panic(call.Payload)
			}
			return append(dst, call.Payload...), nil
		})}
	path := start(t, srv)
	busyWorkers(t, path)
	before := srv.Stats()
	descriptors, goroutines := openDescriptors(t), runtime.NumGoroutine()
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			for i := caller; i < calls; i += callers {
				request := strconv.Itoa(i)
				got, err := call(t, path, []byte(request))
				if panics := i%100 == 0; panics && err != remoteError("internal error") || !panics && (err != nil || string(got) != request) {
					t.Errorf("call %d: %q, %v", i, got, err)
					return
				}
			}
		})
	}
	group.Wait()
	s := srv.Stats()
	if n := s.Panics - before.Panics; n != uint64(calls/100) {
		t.Errorf("%d panics were counted, want %d", n, calls/100)
	}
	if n := s.Answered - before.Answered; n != uint64(calls-calls/100) {
		t.Errorf("%d calls were answered, want %d", n, calls-calls/100)
	}
	settle(t, descriptors, goroutines)
	lines := strings.Count(logged.String(), "handler panicked")
	t.Logf("%d of %d calls panicked, %d log entries", s.Panics-before.Panics, calls, lines)
	if lines == 0 || lines > calls/200 {
		t.Errorf("%d log entries for %d panics", lines, calls/100)
	}
}
