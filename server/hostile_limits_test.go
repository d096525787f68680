package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"credrpc/frame"

	"golang.org/x/sys/unix"
)

// TestOutOfBandByte sends bytes with MSG_OOB, which stay out of the stream.
func TestOutOfBandByte(t *testing.T) {
	srv := &Server{Handler: echo, RequestTimeout: patience}
	path := start(t, srv)
	wire := request([]byte("body"))
	for at := range len(wire) {
		c := dial(t, path)
		file, err := c.File()
		if err != nil {
			t.Fatal(err)
		}
		c.Write(wire[:at])
		err = unix.Sendto(int(file.Fd()), []byte("!"), unix.MSG_OOB, nil)
		file.Close()
		if err == unix.EOPNOTSUPP {
			t.Skip("this kernel has no MSG_OOB for UNIX sockets")
		}
		if err != nil {
			t.Fatal(err)
		}
		c.Write(wire[at:])
		if answer, err := response(c); string(answer) != "body" {
			t.Errorf("before byte %d: %q, %v", at, answer, err)
		}
		c.Close()
	}

	// A caller that sends nothing else must not keep the loop busy.
	c := dial(t, path)
	file, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := unix.Sendto(int(file.Fd()), []byte("!"), unix.MSG_OOB, nil); err != nil {
		t.Fatal(err)
	}
	if used := cpuTime(t, os.Getpid(), time.Second); used > 300*time.Millisecond {
		t.Errorf("%v of processor time in a second", used)
	}
}

// cpuTime returns what a process uses while it is watched.
func cpuTime(t testing.TB, pid int, watched time.Duration) time.Duration {
	t.Helper()
	read := func() time.Duration {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		// The name in parentheses may hold anything; utime and stime are the
		// 14th and 15th field of proc_pid_stat(5), in ticks of 10 ms.
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		ticks := 0
		for _, field := range fields[11:13] {
			n, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			ticks += n
		}
		return time.Duration(ticks) * 10 * time.Millisecond
	}
	before := read()
	time.Sleep(watched)
	return read() - before
}

// memoryInUse returns the bytes of heap and stacks that are used.
func memoryInUse() uint64 {
	runtime.GC()
	runtime.GC() // what a pool has let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// grew returns how much more is after than before.
func grew(before, after uint64) uint64 {
	if after < before {
		return 0
	}
	return after - before
}

// TestAnnouncedSizes sends headers that claim much more than ever comes.
func TestAnnouncedSizes(t *testing.T) {
	const callers = 1000
	for name, header := range map[string]uint32{
		"4 GiB, which no limit admits":             1<<32 - 1,
		"1 GiB, which no limit admits":             1 << 30,
		"as much as the highest limit admits":      frame.MaxPayload,
		"text, which is never the start of a call": binary.BigEndian.Uint32([]byte("sudo")),
	} {
		t.Run(name, func(t *testing.T) {
			srv := &Server{Handler: echo, MaxRequest: frame.MaxPayload, MaxCallsPerUID: 2 * callers}
			path := start(t, srv)
			busyWorkers(t, path)
			before := memoryInUse()
			most := before
			for range 10 {
				fds := make([]int, 0, callers)
				for range callers {
					fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
					if err == nil {
						err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
					}
					if err != nil {
						t.Fatal(err)
					}
					unix.Write(fd, binary.BigEndian.AppendUint32(nil, header))
					fds = append(fds, fd)
				}
				most = max(most, memoryInUse())
				if header > frame.MaxPayload {
					if _, err := response(readFD(fds[0])); err == nil || err.Error() != RefusedTooLarge.text() {
						t.Errorf("told %v", err)
					}
				}
				for _, fd := range fds {
					unix.Close(fd)
				}
			}
			if n := grew(before, most); n > 4<<20 {
				t.Errorf("%d bytes more memory", n)
			}
			eventually(t, "all have ended", func() bool { return srv.Stats().InFlight == 0 })
		})
	}
}

// TestRefusalIsReadableWhileSending has simple callers that write a whole
// request of 8 MiB before they read.
func TestRefusalIsReadableWhileSending(t *testing.T) {
	path := start(t, &Server{Handler: echo})
	for range 20 {
		c := dial(t, path)
		if n, err := c.Write(request(make([]byte, 8<<20))); err != nil {
			t.Fatalf("write: %d bytes, %v", n, err)
		}
		if _, err := response(c); err == nil || err.Error() != RefusedTooLarge.text() {
			t.Fatalf("told %v", err)
		}
		c.Close()
	}
}

// TestSilentConnections keeps 10,000 connections open that send nothing.
func TestSilentConnections(t *testing.T) {
	connections := 10_000
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if most := int(limit.Max) - 200; connections > most {
		t.Logf("RLIMIT_NOFILE allows for %d connections only", most)
		connections = most
	}
	srv := &Server{
		Handler:        echo,
		RequestTimeout: 4 * time.Second,
		MaxCalls:       2 * connections,
		MaxCallsPerUID: 2 * connections,
	}
	path := start(t, srv)
	busyWorkers(t, path)
	descriptors, goroutines := openDescriptors(t), runtime.NumGoroutine()
	a := startActor(t, []string{"silent", path, strconv.Itoa(connections)})
	before := memoryInUse()
	if line := a.line(); line != "connected" {
		t.Fatal(line)
	}
	eventually(t, "all are accepted", func() bool { return srv.Stats().InFlight >= int64(connections) })
	memory := grew(before, memoryInUse())
	t.Logf("%d connections, %d bytes more memory", connections, memory)
	if memory > 4<<20 {
		t.Errorf("%d bytes more memory for %d connections", memory, connections)
	}
	for range 100 {
		if answer, err := call(t, path, []byte("x")); string(answer) != "x" {
			t.Fatalf("another caller: %q, %v", answer, err)
		}
	}
	var told map[string]int
	if err := json.Unmarshal([]byte(a.line()), &told); err != nil {
		t.Fatal(err)
	}
	if told[RefusedTimeout.text()] != connections {
		t.Errorf("they were told %v", told)
	}
	a.finish()
	settle(t, descriptors+4, goroutines+4) // the actor's pipes
}

// TestOutOfDescriptors fills a server that may have few descriptors.
func TestOutOfDescriptors(t *testing.T) {
	path := socketPath(t)
	a := startActor(t, []string{"serve", path, "48"})
	if line := a.line(); line != "ready" {
		t.Fatal(line)
	}
	conns := make([]*net.UnixConn, 100)
	for i := range conns {
		conns[i] = dial(t, path) // sends nothing
	}
	logged := strings.Count(a.log.String(), "\n")
	if used := cpuTime(t, a.cmd.Process.Pid, time.Second); used > 200*time.Millisecond {
		t.Errorf("%v of processor time in a second while full", used)
	}
	if n := strings.Count(a.log.String(), "\n") - logged; n > 10 {
		t.Errorf("%d lines were logged in a second: any caller can make it log", n)
	}
	waiting := dial(t, path)
	waiting.Write(request(nil))
	for _, c := range conns {
		c.Close()
	}
	if _, err := response(waiting); err != nil {
		t.Errorf("who waited: %v", err)
	}
	for range 10 {
		if _, err := call(t, path, nil); err != nil {
			t.Errorf("a later call: %v", err)
		}
	}
	a.stdin.Close()
	var s Stats
	line := a.line()
	// Reasons are numbers in JSON; what counts is that all callers were met.
	if err := json.Unmarshal([]byte(line), &s); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if s.Answered < 11 || s.InFlight != 0 || s.Accepted != ended(s) {
		t.Errorf("got %+v", s)
	}
	a.finish()
}

// TestShutdownOutOfDescriptors ends a server that has no descriptor left for
// the callers in its backlog. They are answered as descriptors become free.
func TestShutdownOutOfDescriptors(t *testing.T) {
	path := socketPath(t)
	a := startActor(t, []string{"serve", path, "48"})
	if line := a.line(); line != "ready" {
		t.Fatal(line)
	}
	idle := make([]*net.UnixConn, 60)
	for i := range idle {
		idle[i] = dial(t, path)
	}
	waiting := make([]*net.UnixConn, 20)
	for i := range waiting {
		waiting[i] = dial(t, path)
		waiting[i].Write(request(nil))
	}
	a.stdin.Close()
	eventually(t, "Shutdown has begun", func() bool {
		_, err := os.Lstat(path)
		return errors.Is(err, os.ErrNotExist)
	})
	time.Sleep(50 * time.Millisecond) // the loop has met the shutdown
	for _, c := range idle {
		c.Close()
	}
	failed := 0
	var last error
	for _, c := range waiting {
		if _, err := response(c); err != nil {
			failed++
			last = err
		}
	}
	if failed > 0 {
		t.Errorf("%d of %d callers in the backlog were lost: %v", failed, len(waiting), last)
	}
	a.finish()
}

// TestDeadlinesOfBatches serves slow calls for longer than any of them may take:
// a call that waits in a batch has a deadline of its own, whichever worker runs
// it.
func TestDeadlinesOfBatches(t *testing.T) {
	srv := &Server{CallTimeout: 2 * time.Second, Handler: HandlerFunc(func(_ context.Context, dst []byte, _ *Call) ([]byte, error) {
		time.Sleep(5 * time.Millisecond)
		return dst, nil
	})}
	path := start(t, srv)
	busyWorkers(t, path)
	time.Sleep(srv.CallTimeout + 100*time.Millisecond)
	busyWorkers(t, path)
	if s := srv.Stats(); s.Timeouts > 0 || s.Failed > 0 {
		t.Errorf("calls of 5 ms took longer than %v: %+v", srv.CallTimeout, s)
	}
}
