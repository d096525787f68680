//go:build !race

package server

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"credrpc/accessdb"
	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// warmUp is how many calls make the pools of buffers adapt to what they see.
const warmUp = 45_000

// TestAllocations checks that a call allocates nothing in the server once it is
// warm, also when rules with an environment decide and somebody is told of everything. The caller in this test allocates nothing either, so that what is
// counted for the whole process is the server's.
func TestAllocations(t *testing.T) {
	for _, kind := range kinds {
		for _, size := range []int{32, 8000} {
			testAllocations(t, kind.name, kind.onLoop, size)
		}
	}
}

func testAllocations(t *testing.T, name string, onLoop bool, size int) {
	t.Run(fmt.Sprintf("%s, %d bytes", name, size), func(t *testing.T) {
		rules := filepath.Join(t.TempDir(), "rules.cdb")
		rulesFile(t, rules, accessdb.Rule{Key: "uid/default", Decision: accessdb.Allow, Env: accessEnv(t, "A", "1"), Exec: "true"})
		var audited atomic.Int64
		srv := &Server{
			Handler: echo, HandlerOnLoop: onLoop,
			Access: openRules(t, rules, accessdb.Options{}),
			Audit:  func(d AccessDecision) { audited.Add(int64(len(d.Result.Exec))) },
			Ended:  func(r CallRecord) { audited.Add(int64(len(r.Access.Exec))) }, MeasureLatency: true,
		}
		path := start(t, srv)
		address, _ := sys.MakeAddress(path)
		ask := request(make([]byte, size))
		buf := make([]byte, size+8)
		one := func(pieces int) func() {
			return func() {
				fd, errno := sys.Stream()
				if errno == 0 {
					errno = sys.Connect(fd, &address)
				}
				for i := range pieces {
					from, to := len(ask)*i/pieces, len(ask)*(i+1)/pieces
					if _, e := sys.Send(fd, ask[from:to], nil); e != 0 {
						errno = e
					}
					if i < pieces-1 {
						// Long enough for the piece to be received alone.
						sys.Poll(fd, unix.POLLIN, 1)
					}
				}
				for revents := int16(0); revents == 0; {
					revents, _ = sys.Poll(fd, unix.POLLIN, -1)
				}
				if n, _ := sys.Recv(fd, buf, sys.Raw); errno != 0 || n != len(ask)+4 {
					t.Errorf("%v, %d bytes", errno, n)
				}
				sys.Close(fd, sys.Raw)
			}
		}
		for range warmUp {
			one(1)()
		}
		for range 100 {
			one(1)()
			one(2)()
		}
		deposed := srv.Stats().Deposed
		if n := testing.AllocsPerRun(2000, one(1)); n != 0 {
			t.Errorf("%v allocations a call", n)
		}
		if n := testing.AllocsPerRun(200, one(2)); n != 0 {
			t.Errorf("%v allocations a call in two pieces", n)
		}
		if srv.Stats().Deposed != deposed {
			t.Log("a leader was deposed meanwhile")
		}
	})
}

// TestRateMemory counts what a million users cost.
func TestRateMemory(t *testing.T) {
	r := newRates(100, 3)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for uid := range uint32(1_000_000) {
		r.take(uid*4099, int64(uid))
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 16<<10 { // of other goroutines
		t.Errorf("a million users allocated %d bytes", n)
	}
	if n := testing.AllocsPerRun(1000, func() { r.take(5, 1e9) }); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}
