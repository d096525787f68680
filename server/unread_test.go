package server

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"
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
					lobby.mu.Lock()
					lobby.conns.timer.Stop()
					lobby.conns.armed, lobby.conns.isArmed = 0, true // for arm to believe
					lobby.mu.Unlock()
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
