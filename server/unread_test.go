package server

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestUnreadInKernel has another user make 2,000 calls whose answers he does not read.
// What lies in the kernel for him is within the limit of his bytes, and others get
// their answers.
func TestUnreadInKernel(t *testing.T) {
	needRoot(t)
	const size, calls, limit = 100_000, 2000, 16 << 20
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			answer := make([]byte, size)
			srv := &Server{HandlerOnLoop: kind.onLoop, Mode: 0o666, MaxBytesPerUID: limit, CallTimeout: 100 * time.Millisecond,
				Handler: HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
					return append(dst, answer...), nil
				})}
			path := publicPath(t)
			startAt(t, srv, path)
			a := startActor(t, []string{"unread", path, "1000", strconv.Itoa(calls)})
			held, err := strconv.Atoi(a.line())
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d calls hold %d bytes in the kernel", calls, held)
			whole := limit / (size + 8)
			if errors := (calls - whole) * 100; held < whole*size || held > limit+errors {
				t.Errorf("%d calls hold %d bytes in the kernel, the limit is %d", calls, held, limit)
			}
			time.Sleep(2 * srv.CallTimeout) // they are not forgotten
			if s := srv.Stats(); s.InFlight != int64(whole) || s.Answered < uint64(whole) || s.Failed != uint64(calls-whole) {
				t.Errorf("%d answers fit, got %+v", whole, s)
			}
			for _, uid := range []string{"0", "1001"} {
				other := startActor(t, []string{"unread", path, uid, "1"})
				if line := other.line(); line != fmt.Sprint(size+8) {
					t.Errorf("user %s gets %s bytes", uid, line)
				}
				other.kill() // reads nothing
			}
			if _, err := a.stdin.(interface{ Write([]byte) (int, error) }).Write([]byte("\n")); err != nil {
				t.Fatal(err)
			}
			if line := a.line(); line != fmt.Sprint(whole) {
				t.Errorf("%s answers are whole, want %d", line, whole)
			}
			a.finish()
			checkAccounts(t, srv)
		})
	}
}

// TestUnreadAndShutdown ends a server while an answer is unread, which is not waited
// for. It can be read afterwards.
func TestUnreadAndShutdown(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			srv := &Server{Handler: echo, HandlerOnLoop: kind.onLoop}
			path := start(t, srv)
			c := dial(t, path)
			c.Write(request(make([]byte, 100_000)))
			eventually(t, "it is answered", func() bool { return srv.Stats().Answered == 1 })
			time.Sleep(10 * time.Millisecond) // until the lobby looks less often
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			begin := time.Now()
			if err := srv.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("Shutdown took %v", took)
			}
			if answer, err := response(c); err != nil || len(answer) != 100_000 {
				t.Errorf("got %d bytes, %v", len(answer), err)
			}
		})
	}
}

// TestUnreadBackToBack has a caller make large calls one after the other, as quickly
// as he reads them, on a server with two places for him. None is refused, and none
// stays, also when the lobby's timer does not fire.
func TestUnreadBackToBack(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("late=%v", late), func(t *testing.T) {
			srv := &Server{Handler: echo, HandlerOnLoop: true, MaxCalls: 2}
			path := start(t, srv)
			lobby := running(srv).lobby
			for range 200 {
				if late {
					stopTimer(lobby)
				}
				c := dial(t, path)
				c.Write(request(make([]byte, 100_000)))
				if answer, err := response(c); err != nil || len(answer) != 100_000 {
					t.Fatalf("got %d bytes, %v", len(answer), err)
				}
				c.Close()
			}
			lobby.expire() // sets the timer again
			eventually(t, "none is in flight", func() bool { return srv.Stats().InFlight == 0 })
			checkAccounts(t, srv)
		})
	}
}

// stopTimer keeps b's timer from firing.
func stopTimer(b *lobby) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conns.timer.Stop()
	b.conns.armed, b.conns.isArmed = 0, true // for arm to believe
}

// TestUnreadLeastBytes has a caller make calls one after the other on a server that has
// bytes for one of the largest only, with requests that are much smaller. None is
// refused: neither while the answer before, which he has read, waits for the lobby to
// look, nor when nothing is in flight. Who closes a connection must not keep its bytes
// until that has been done, where it is for another goroutine.
func TestUnreadLeastBytes(t *testing.T) {
	for _, row := range []struct {
		size  int
		start func(testing.TB, *Server) string
	}{{70_000, start}, {600_000, start}, {1 << 20, start}, {70_000, startYielding}, {1 << 20, startYielding}} {
		size := row.size
		srv := &Server{HandlerOnLoop: true, Loops: 1, MaxRequest: 1000, MaxResponse: uint32(size),
			Handler: HandlerFunc(func(_ context.Context, dst []byte, _ *Call) ([]byte, error) {
				return append(dst, make([]byte, size)...), nil
			})}
		srv.MaxBytesPerUID = largestCall(srv.MaxRequest, srv.MaxResponse)
		path := row.start(t, srv)
		probeGone(t, srv)
		lobby := running(srv).lobby
		lobby.mu.Lock()
		timer := lobby.conns.timer
		lobby.conns.timer = time.AfterFunc(time.Hour, func() {})
		lobby.mu.Unlock()
		for i := range 20 {
			if answer, err := call(t, path, []byte("x")); err != nil || len(answer) != size {
				t.Errorf("call %d of %d bytes: got %d, %v", i, size, len(answer), err)
			}
			if i >= 10 {
				eventually(t, "none is in flight", func() bool {
					lobby.makeRoom()
					return srv.Stats().InFlight == 0
				})
			}
		}
		lobby.mu.Lock()
		lobby.conns.timer.Stop()
		lobby.conns.timer, lobby.conns.isArmed = timer, false
		lobby.mu.Unlock()
		checkAccounts(t, srv)
	}
}

// TestUnreadIsNotReported has callers whose connections were parked before they were
// answered, and who have then hung up half: no epoll set reports them over and over
// while they wait in the lobby.
func TestUnreadIsNotReported(t *testing.T) {
	for _, kind := range kinds {
		for name, size := range map[string]int{"receiving": 100_000, "responding": 1 << 20} {
			t.Run(kind.name+" "+name, func(t *testing.T) {
				srv := &Server{HandlerOnLoop: kind.onLoop, Handler: HandlerFunc(func(_ context.Context, dst []byte, _ *Call) ([]byte, error) {
					return append(dst, make([]byte, size)...), nil
				})}
				path := start(t, srv)
				eventually(t, "it serves", func() bool { return running(srv) != nil })
				run := running(srv)
				parked := func() (n int) {
					for _, l := range run.loops {
						n += int(l.waiting.Load())
					}
					return n
				}
				c := dial(t, path)
				frame := request([]byte("x"))
				c.Write(frame[:1])
				eventually(t, "it is parked", func() bool { return parked() == 1 })
				c.Write(frame[1:])
				c.CloseWrite()
				if size > socketBuffer {
					// Room is reported when three quarters of what is held are read.
					read := 0
					for buffer := make([]byte, 64<<10); read < size-socketBuffer/8; {
						n, err := c.Read(buffer)
						if err != nil {
							t.Fatal(err)
						}
						read += n
					}
				}
				eventually(t, "it waits in the lobby", func() bool {
					run.lobby.mu.Lock()
					defer run.lobby.mu.Unlock()
					if len(run.lobby.conns.conns) == 0 {
						return false
					}
					if c := run.lobby.conns.conns[0]; c.interest != unregistered {
						t.Fatalf("it is registered (%d)", c.interest)
					}
					return true
				})
			})
		}
	}
}

// TestUnreadLooks has an answer unread for long: it is never looked at more often than
// a moment ago, up to once a second.
func TestUnreadLooks(t *testing.T) {
	run := &serving{epoch: time.Now()}
	run.lobby = newLobby(run)
	defer run.lobby.conns.timer.Stop()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	unix.Write(pair[0], []byte("answer"))
	c := &conn{loop: &loop{run: run}, fd: pair[0], heapIndex: -1}
	before := int64(firstLook)
	for look := range 600 {
		now := run.now()
		c.loop.lookUnread(c)
		run.lobby.mu.Lock()
		wait := c.deadline - now
		run.lobby.conns.remove(c)
		run.lobby.mu.Unlock()
		if wait < min(2*before, int64(lastLook)) {
			t.Fatalf("look %d is followed by one after %v", look, time.Duration(wait))
		}
		before = min(2*before, int64(lastLook))
	}
}
