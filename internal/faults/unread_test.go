package faults

import (
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"credrpc/client"
)

// TestNeverRead has callers of one user who ask for large answers and do not read them.
// What the kernel keeps for them stays within what a user may take, whatever their number,
// and others are served.
func TestNeverRead(t *testing.T) {
	const (
		payload = 200 << 10 // bytes
		most    = 64 << 20  // server.DefaultMaxBytesPerUID
		besides = most / 10 // what the kernel needs for these, and for sockets
	)
	crowded := 600
	if whole() {
		crowded = 2000
	}
	g := newCgroup(t, 0)
	path := filepath.Join(openDir(t), "s")
	p := g.start(path, nil, "--mode=0666")
	ordinary(&client.Client{Path: path}, nil)
	level, before := p.descriptors(), g.bytes("memory.kmem.usage_in_bytes")
	c := startCrowd(t, path, crowded, crowdDeaf, strconv.Itoa(payload))
	kept := 0
	for began := time.Now(); time.Since(began) < 300*time.Millisecond; time.Sleep(10 * time.Millisecond) {
		kept = max(kept, g.bytes("memory.kmem.usage_in_bytes")-before)
	}
	resident := p.mostMemory()
	if l := callers(path); len(l.bad)+len(l.failed) > 0 {
		t.Errorf("others meanwhile: %v %v", l.failed, l.bad)
	}
	if p.dead() {
		t.Fatalf("the server ended: %s", &p.log)
	}
	c.in.Close()
	c.ends()
	t.Logf("%d callers who do not read %d bytes: the kernel keeps %d MiB of them for the server, which has %d MiB at most itself", crowded, payload, kept>>20, resident>>20)
	if kept > most+besides || kept < most/4 {
		t.Errorf("the kernel keeps %d bytes, want up to %d and a tenth", kept, most)
	}
	eventually(t, "descriptors are closed", func() bool { return p.descriptors() <= level })
}
