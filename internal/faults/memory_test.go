package faults

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"credrpc/client"
)

const (
	attackedCalls   = 256      // in flight
	attackedPayload = 64 << 10 // bytes, of requests and answers
)

// attacked are the flags of a server that is attacked.
func attacked() []string {
	return []string{fmt.Sprint("--max-payload=", attackedPayload), fmt.Sprint("--max-calls=", attackedCalls), "--timeout=2s"}
}

// TestMemory has callers do all at once what may cost a server memory. It stays within
// its limits.
func TestMemory(t *testing.T) {
	const (
		// Buffers are up to twice as large as what is in them, and a heap twice as large
		// as what lives.
		limit = attackedCalls * 2 * attackedPayload * 2 * 2
		least = 8 << 20 // below that nothing was attacked
	)
	lasts := time.Second
	if whole() {
		lasts = time.Minute
	}
	path := filepath.Join(tempDir(t), "s")
	p := start(t, path, attacked()...)
	if !p.serving() {
		t.Fatalf("it did not start: %s", &p.log)
	}
	attackMemory(t, p, path, lasts)
	most := p.mostMemory()
	t.Logf("at most %d KiB of memory", most>>10)
	if most > limit || most < least {
		t.Errorf("at most %d bytes of memory, want %d to %d", most, least, limit)
	}
}

// TestShortMemory is the same for a server that may have no more than 64 MiB, with what
// the kernel keeps for it: it is not killed.
func TestShortMemory(t *testing.T) {
	lasts := time.Second
	if whole() {
		lasts = time.Minute
	}
	g := newCgroup(t, 64<<20)
	path := filepath.Join(tempDir(t), "s")
	p := g.start(path, []string{"GOMEMLIMIT=24MiB"}, attacked()...)
	attackMemory(t, p, path, lasts)
	t.Logf("at most %d KiB, of which the kernel's %d KiB, and %d KiB of the process; the limit was met %d times",
		g.bytes("memory.max_usage_in_bytes")>>10, g.bytes("memory.kmem.max_usage_in_bytes")>>10, p.mostMemory()>>10, g.bytes("memory.failcnt"))
	if n := g.kills(); n > 0 {
		t.Errorf("the kernel has killed %d processes", n)
	}
}

// attackMemory has callers announce more than they send, send all but the last byte, not
// read what they are answered, send garbage, hang up. Calls work meanwhile and afterwards.
func attackMemory(t *testing.T, p *process, path string, lasts time.Duration) {
	t.Helper()
	ordinary(&client.Client{Path: path}, nil)
	level := p.descriptors()
	request := append(binary.BigEndian.AppendUint32(nil, attackedPayload), make([]byte, attackedPayload)...)
	misdeeds := []func(c net.Conn){
		func(c net.Conn) { c.Write(request[:4]); pause() },
		func(c net.Conn) { c.Write(request[:len(request)-1]); pause() },
		func(c net.Conn) { c.Write(request); pause() },
		func(c net.Conn) { c.Write(request) },
		func(c net.Conn) { c.Write([]byte{255, 255, 255, 255, 1}); io.Copy(io.Discard, c) },
		func(c net.Conn) {
			c.Write(binary.BigEndian.AppendUint32(nil, rand.Uint32N(2*attackedPayload)))
			c.Write(request[:rand.IntN(attackedPayload)])
		},
	}
	var stop atomic.Bool
	var attacks, answered, refused atomic.Int64
	var group sync.WaitGroup
	for i := range 2 * attackedCalls {
		group.Go(func() {
			for !stop.Load() {
				c, err := net.Dial("unix", path)
				if err != nil {
					time.Sleep(time.Millisecond) // the backlog is full, or the server has ended
					continue
				}
				c.SetDeadline(time.Now().Add(time.Second))
				misdeeds[i%len(misdeeds)](c)
				c.Close()
				attacks.Add(1)
			}
		})
	}
	group.Go(func() {
		for i := 0; !stop.Load(); i++ {
			l := new(load)
			l.note(ordinary(&client.Client{Path: path}, fmt.Appendf(nil, "call %d", i)))
			for _, err := range l.bad {
				t.Error(err)
			}
			answered.Add(int64(l.answered))
			refused.Add(int64(len(l.failed)))
		}
	})
	time.Sleep(lasts)
	stop.Store(true)
	group.Wait()
	if p.dead() {
		t.Fatalf("the server ended: %s", &p.log)
	}
	t.Logf("%d misdeeds in %v; %d calls answered meanwhile, %d refused", attacks.Load(), lasts, answered.Load(), refused.Load())
	eventually(t, "descriptors are closed", func() bool { return p.descriptors() <= level })
	for range 10 {
		if err := ordinary(&client.Client{Path: path}, []byte("afterwards")); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	}
}

// pause is for how long a caller who does nothing is there.
func pause() { time.Sleep(300 * time.Millisecond) }

// mostMemory returns how many bytes the server has had in memory at most. See VmHWM in
// proc_pid_status(5).
func (p *process) mostMemory() (bytes int) {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscanf(rest, "%d kB", &bytes); err != nil {
		p.t.Fatalf("VmHWM in %q: %v", status, err)
	}
	return bytes << 10
}
