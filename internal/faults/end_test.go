package faults

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"credrpc/client"
)

// TestEndUnderLoad ends servers with SIGTERM while calls are in flight: requests that
// arrive in pieces, answers that wait for their readers, callers in the backlog. Whoever
// has connected is answered.
func TestEndUnderLoad(t *testing.T) {
	ends := 3
	if whole() {
		ends = 300
	}
	path := filepath.Join(tempDir(t), "s")
	var answered, late int64
	var longest time.Duration
	for i := range ends {
		p := start(t, path)
		if !p.serving() {
			t.Fatalf("start %d: %s", i, &p.log)
		}
		l := newEndLoad(path)
		eventually(t, "calls are answered", func() bool { return l.answered.Load() > 20 })
		began := time.Now()
		p.cmd.Process.Signal(syscall.SIGTERM)
		eventually(t, "the server ends", p.dead)
		longest = max(longest, time.Since(began))
		l.group.Wait()
		for _, err := range l.lost {
			t.Errorf("end %d: lost: %v", i, err)
		}
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("end %d: status %d: %s", i, code, &p.log)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("end %d: it left a socket: %v", i, err)
		}
		answered, late = answered+l.answered.Load(), late+l.unreachable.Load()
	}
	t.Logf("%d ends under load, the longest took %v; %d calls answered, none lost, %d came too late to connect", ends, longest, answered, late)
}

// An endLoad has callers who call until the server cannot be reached.
type endLoad struct {
	group                 sync.WaitGroup
	answered, unreachable atomic.Int64
	mu                    sync.Mutex
	lost                  []error // guarded by mu
}

func newEndLoad(path string) *endLoad {
	l := new(endLoad)
	c := &client.Client{Path: path}
	large := bytes.Repeat([]byte("large"), 60<<10)
	for i, call := range []func(payload []byte) error{
		func(payload []byte) error { return ordinary(c, payload) },
		func(payload []byte) error { return ordinary(c, payload) },
		func(payload []byte) error { return ordinary(c, payload) },
		func(payload []byte) error { return inPieces(path, payload) },
		func(payload []byte) error { return inPieces(path, payload) },
		func(payload []byte) error { return readLate(path, append(payload, large...)) },
	} {
		l.group.Go(func() {
			for n := 0; ; n++ {
				err := call(fmt.Appendf(nil, "call %d of caller %d", n, i))
				switch {
				case err == nil:
					l.answered.Add(1)
					continue
				case errors.Is(err, client.ErrUnreachable), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
					l.unreachable.Add(1)
				default:
					l.mu.Lock()
					l.lost = append(l.lost, err)
					l.mu.Unlock()
				}
				return
			}
		})
	}
	return l
}
