package faults

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"credrpc/client"
)

// TestKilledUnderLoad kills a server over and over while callers call, and starts the
// next one at once, on the same path. Each starts. Callers who try again see nothing
// but a server that cannot be reached, apart from those whose call was in flight.
func TestKilledUnderLoad(t *testing.T) {
	const patient = 4 // callers, with one call in flight each
	kills := 30
	if whole() {
		kills = 1000
	}
	path := filepath.Join(tempDir(t), "s")
	var stop atomic.Bool
	var answered, unreachable, broken atomic.Int64
	var group sync.WaitGroup
	defer group.Wait()
	defer stop.Store(true)
	for caller := range patient {
		group.Go(func() {
			c := &client.Client{Path: path}
			for i := 0; !stop.Load(); i++ {
				payload := fmt.Appendf(nil, "call %d of caller %d", i, caller)
				err := ordinary(c, payload)
				switch {
				case err == nil:
					answered.Add(1)
				case errors.Is(err, client.ErrUnreachable):
					unreachable.Add(1)
					time.Sleep(time.Millisecond)
				case errors.Is(err, client.ErrProtocol), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
					broken.Add(1) // it was in flight
				default:
					t.Errorf("%s: %v", payload, err)
					return
				}
			}
		})
	}
	starts := make([]time.Duration, 0, kills)
	for i := range kills {
		began := time.Now()
		p := start(t, path)
		if !p.serving() {
			t.Fatalf("start %d: %s", i, &p.log)
		}
		starts = append(starts, time.Since(began))
		before := answered.Load()
		eventually(t, "calls are answered", func() bool { return answered.Load() > before+10 || t.Failed() })
		p.kill()
	}
	// Who is cut off may call again before the process has closed its listener as well.
	if n := broken.Load(); n > int64(2*patient*kills) {
		t.Errorf("%d calls broke, of at most %d that met a server that was killed", n, 2*patient*kills)
	}
	slices.Sort(starts)
	t.Logf("%d of %d starts; from start to serving %v (median), %v (longest); %d calls answered, %d broken in flight, %d times unreachable",
		len(starts), kills, starts[len(starts)/2], starts[len(starts)-1], answered.Load(), broken.Load(), unreachable.Load())
}

// TestTwoStarters starts two servers for one path at the same time. Exactly one of
// them serves, and the other says that there is one.
func TestTwoStarters(t *testing.T) {
	times := 10
	if whole() {
		times = 1000
	}
	for i := range times {
		path := filepath.Join(tempDir(t), "s")
		a, b := start(t, path), start(t, path)
		var serves [2]bool
		serves[0], serves[1] = a.serving(), b.serving()
		if serves[0] == serves[1] {
			t.Fatalf("time %d: serving: %v; they said %q and %q", i, serves, &a.log, &b.log)
		}
		winner, loser := a, b
		if serves[1] {
			winner, loser = b, a
		}
		if code := loser.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(loser.log.String(), path) {
			t.Errorf("time %d: the second one ended with %d: %s", i, code, &loser.log)
		}
		if err := ordinary(&client.Client{Path: path}, []byte("hello")); err != nil {
			t.Errorf("time %d: a call: %v", i, err)
		}
		if i == 0 {
			t.Logf("the second one says: %s", &loser.log)
		}
		winner.kill()
	}
	t.Logf("one of two served, %d times of %d", times, times)
}
