package faults

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"credrpc/client"

	"golang.org/x/sys/unix"
)

// TestNoDescriptorsLeft has callers take every descriptor that a server may have, and
// others call meanwhile. These wait in the backlog, are all answered once there is
// room, and the server does next to nothing until then.
func TestNoDescriptorsLeft(t *testing.T) {
	const limit = 64
	// Silent connections are closed after five seconds, and the next take their place.
	hoarded, watched := 2*limit, 3*time.Second
	if whole() {
		hoarded, watched = 8*limit, 30*time.Second
	}
	path := filepath.Join(tempDir(t), "s")
	p := start(t, path)
	if !p.serving() {
		t.Fatalf("it did not start: %s", &p.log)
	}
	ordinary(&client.Client{Path: path}, nil) // what is opened at the first call
	level := p.descriptors()
	// The runtime has raised the limit to the hard one before main began.
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}, nil); err != nil {
		t.Fatal(err)
	}
	// One that was inherited may be beyond the limit.
	full := func() bool { return p.descriptors() >= limit }

	var used float64
	beats := startPulse(t)
	for {
		idle := hoard(t, path, hoarded)
		eventually(t, "all descriptors are taken", full)
		waiting := make(chan error, 40)
		for i := range cap(waiting) {
			go func() {
				waiting <- within(watched+callLimit, &client.Client{Path: path}, fmt.Appendf(nil, "call %d", i))
			}()
		}
		used = p.used(watched)
		stayedFull := full()
		if p.dead() {
			t.Fatalf("the server ended: %s", &p.log)
		}
		for _, c := range idle {
			c.Close()
		}
		began := time.Now()
		for i := range cap(waiting) {
			if err := <-waiting; err != nil {
				t.Errorf("a call that waited: %v", err)
			}
			if i == 0 {
				t.Logf("the first answer came %v after there was room", time.Since(began))
			}
		}
		t.Logf("all %d that waited were answered after %v; while full it used %.1f %% of a processor", cap(waiting), time.Since(began), 100*used)
		if stopped := beats.stopped(); stayedFull {
			break
		} else if !stopped {
			t.Fatalf("it has %d descriptors, want %d, after %v", p.descriptors(), limit, watched)
		}
	}
	if used > 0.2 { // it would be all of one
		t.Errorf("it used %.1f %% of a processor while it was full", 100*used)
	}
	if lines := strings.Count(p.log.String(), "\n"); lines > 10 {
		t.Errorf("it has logged %d lines: %s", lines, &p.log)
	}
	if l := callers(path); len(l.bad) > 0 || len(l.failed) > 0 {
		t.Errorf("afterwards: %v %v", l.failed, l.bad)
	}
	eventually(t, "descriptors are closed", func() bool { return p.descriptors() <= level })
}

// TestRoomComesBack has a server that is full, and somebody who waits; then one of those
// who fill it leaves. That is all that has to happen.
func TestRoomComesBack(t *testing.T) {
	const limit = 64
	times := 20
	if whole() {
		times = 1000
	}
	path := filepath.Join(tempDir(t), "s")
	p := start(t, path, "--timeout=1m")
	if !p.serving() {
		t.Fatalf("it did not start: %s", &p.log)
	}
	ordinary(&client.Client{Path: path}, nil)
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}, nil); err != nil {
		t.Fatal(err)
	}
	fill := func() (idle []net.Conn) {
		for free := p.free(limit); free > 0; free = p.free(limit) {
			if len(idle) > 2*limit {
				t.Fatalf("%d connections leave %d descriptors of %d", len(idle), free, limit)
			}
			idle = append(idle, hoard(t, path, 1)...)
			// Unless the end of a call before made as much room, which may come after the
			// answer where callers can pass descriptors.
			for begin := time.Now(); p.free(limit) >= free && time.Since(begin) < 200*time.Millisecond; {
				time.Sleep(time.Millisecond)
			}
		}
		return idle
	}
	idle := fill() // the oldest leaves first, long before its deadline
	took, early := make([]time.Duration, 0, times), 0
	for len(took) < times {
		waiting := make(chan error, 1)
		go func() { waiting <- ordinary(&client.Client{Path: path}, []byte("waiting")) }()
		select {
		case <-waiting: // one was at its deadline: this process did not run for that long
			if early++; early > 5 {
				t.Fatalf("%d calls were answered while the server was full", early)
			}
			for _, c := range idle {
				c.Close()
			}
			eventually(t, "they are closed", func() bool { return p.free(limit) >= len(idle) })
			idle = fill()
			continue
		case <-time.After(3 * time.Millisecond):
		}
		began := time.Now()
		idle[0].Close()
		if err := <-waiting; err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
		idle = append(idle[1:], hoard(t, path, 1)...) // whom the next who waits is behind
	}
	slices.Sort(took)
	t.Logf("from a close of who fills the server to the answer for who waits, %d times: median %v, 99 of 100 up to %v", times, median(took), took[len(took)*99/100])
}

// free returns how many more descriptors the server may have that may have so many: one
// that was inherited may be beyond the limit.
func (p *process) free(limit int) int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	free := limit
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd < limit {
			free--
		}
	}
	return free
}

// hoard makes connections that send nothing.
func hoard(t *testing.T, path string, n int) (idle []net.Conn) {
	t.Helper()
	for range n {
		c, err := dial(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		idle = append(idle, c)
	}
	return idle
}
