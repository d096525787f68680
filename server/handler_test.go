package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestErrors checks what a caller is told when its call fails.
func TestErrors(t *testing.T) {
	var logged lockedBuffer
	srv := &Server{Logger: slog.New(slog.NewTextHandler(&logged, nil)), MaxResponse: 100,
		Handler: HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
			switch string(call.Payload) {
			case "error":
				return append(dst, "this is not sent"...), errors.New("no such thing")
			case "empty error":
				return nil, errors.New("")
			case "long error":
				return nil, errors.New(strings.Repeat("e", 10000))
			case "nil error":
				return dst, (*typedError)(nil)
			case "panic":
				panic("at the disco")
			case "goexit":
				runtime.Goexit()
			case "too large":
				return append(dst, make([]byte, 101)...), nil
			case "as large as can be":
				return append(dst, make([]byte, 100)...), nil
			case "nil":
				return nil, nil
			}
			return append(dst, call.Payload...), nil
		})}
	path := start(t, srv)
	for _, tt := range []struct{ request, answer, err string }{
		{"error", "", "no such thing"},
		{"empty error", "", "unspecified error"},
		{"long error", "", strings.Repeat("e", maxErrorText)},
		{"panic", "", "internal error"},
		{"goexit", "", "internal error"},
		{"nil error", "", "internal error"},
		{"too large", "", "frame: payload of 101 bytes is over the limit of 100"},
		{"as large as can be", string(make([]byte, 100)), ""},
		{"nil", "", ""},
		{"and still served", "and still served", ""},
	} {
		got, err := call(t, path, []byte(tt.request))
		if string(got) != tt.answer || tt.err == "" && err != nil || tt.err != "" && err != remoteError(tt.err) {
			t.Errorf("%s: %q, %v", tt.request, got, err)
		}
	}
	s := srv.Stats()
	if s.Panics != 3 || s.Failed != 7 {
		t.Errorf("%d panics, %d failed", s.Panics, s.Failed)
	}
	if !strings.Contains(logged.String(), "at the disco") {
		t.Errorf("the log does not tell: %s", &logged)
	}
}

// typedError is an error whose method cannot bear a nil pointer.
type typedError struct{ text string }

func (e *typedError) Error() string { return e.text }

// TestForeignAnswer checks answers that are not appended to dst: parts of the
// request, and slices of the handler's own, short and longer than the kernel
// takes at once.
func TestForeignAnswer(t *testing.T) {
	for _, size := range []int{10, 1 << 20} {
		own := bytes.Repeat([]byte("own"), size/3)
		path := start(t, &Server{MaxRequest: 2 << 20, MaxResponse: 2 << 20, Handler: HandlerFunc(func(_ context.Context, _ []byte, call *Call) ([]byte, error) {
			switch call.Payload[0] {
			case 'r':
				return call.Payload, nil
			case 'p':
				return call.Payload[3:], nil
			}
			return own, nil
		})})
		payload := make([]byte, size)
		for i := range payload {
			payload[i] = byte(i * 7)
		}
		for _, kind := range []byte("rpo") {
			payload[0] = kind
			want := map[byte][]byte{'r': payload, 'p': payload[3:], 'o': own}[kind]
			if got, err := transfer(t, path, payload); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%c of %d bytes: got %d, %v", kind, size, len(got), err)
			}
		}
	}
}

// TestBlockingHandlers checks that handlers that block hold up nobody, however
// many they are, and that their goroutines end.
func TestBlockingHandlers(t *testing.T) {
	leave := make(chan struct{})
	var inside atomic.Int32
	srv := &Server{Handler: HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
		if string(call.Payload) == "block" {
			inside.Add(1)
			<-leave
		}
		return append(dst, call.Payload...), nil
	})}
	path := start(t, srv)
	const blocked = 300
	var wg sync.WaitGroup
	for range blocked {
		wg.Go(func() {
			if got, err := call(t, path, []byte("block")); err != nil || string(got) != "block" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	eventually(t, "all are in their handler", func() bool { return inside.Load() == blocked })
	for range 100 {
		if got, err := call(t, path, []byte("quick")); err != nil || string(got) != "quick" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if s := srv.Stats(); s.InFlight != blocked || s.Deposed == 0 && !yields(srv) {
		t.Errorf("in flight %d, deposed %d", s.InFlight, s.Deposed)
	}
	close(leave)
	wg.Wait()
}

// TestContextHangUp checks that the context ends when the caller hangs up,
// whether it is asked for first or the handler just takes long.
func TestContextHangUp(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			entered, ended := make(chan struct{}), make(chan error, 1)
			srv := &Server{HandlerOnLoop: kind.onLoop, Handler: HandlerFunc(func(ctx context.Context, dst []byte, call *Call) ([]byte, error) {
				if string(call.Payload) != "hang up" {
					return dst, nil
				}
				done := ctx.Done()
				close(entered)
				<-done
				ended <- ctx.Err()
				return dst, nil
			})}
			path := start(t, srv)
			c := dial(t, path)
			c.Write(request([]byte("hang up")))
			<-entered
			c.Close()
			if err := <-ended; err != context.Canceled {
				t.Errorf("context ended with %v", err)
			}
			eventually(t, "the answer is dropped", func() bool { return srv.Stats().Dropped == 1 })
		})
	}
}

// TestContextErr checks that a handler that only looks at Err learns of a
// hang-up too.
func TestContextErr(t *testing.T) {
	entered, ended := make(chan struct{}), make(chan struct{})
	path := start(t, &Server{Handler: HandlerFunc(func(ctx context.Context, dst []byte, call *Call) ([]byte, error) {
		close(entered)
		for ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		close(ended)
		return dst, nil
	})})
	c := dial(t, path)
	c.Write(request([]byte("x")))
	<-entered
	c.Close()
	<-ended
}

// TestCallTimeout checks that a caller is told when the time is over, though the
// handler goes on, and that the call counts as in flight until it returns.
func TestCallTimeout(t *testing.T) {
	leave, ended := make(chan struct{}), make(chan error, 1)
	srv := &Server{CallTimeout: 50 * time.Millisecond, Handler: HandlerFunc(func(ctx context.Context, dst []byte, call *Call) ([]byte, error) {
		if string(call.Payload) == "stuck" {
			<-leave
			ended <- ctx.Err()
		}
		return append(dst, "late"...), nil
	})}
	path := start(t, srv)
	if got, err := call(t, path, []byte("stuck")); err != remoteError(timeoutText) {
		t.Errorf("%q, %v", got, err)
	}
	if s := srv.Stats(); s.InFlight != 1 || s.Timeouts != 1 || s.Failed != 1 {
		t.Errorf("%+v", s)
	}
	if got, err := call(t, path, nil); err != nil || string(got) != "late" {
		t.Errorf("the next call: %q, %v", got, err)
	}
	close(leave)
	if err := <-ended; err != context.DeadlineExceeded {
		t.Errorf("context ended with %v", err)
	}
	eventually(t, "nothing is in flight", func() bool { return srv.Stats().InFlight == 0 })
}

// TestContextDeadline checks what Deadline says, and that derived contexts end
// when the handler returns.
func TestContextDeadline(t *testing.T) {
	derived := make(chan context.Context, 1)
	path := start(t, &Server{CallTimeout: time.Hour, Handler: HandlerFunc(func(ctx context.Context, dst []byte, call *Call) ([]byte, error) {
		deadline, ok := ctx.Deadline()
		if left := time.Until(deadline); !ok || left < 59*time.Minute || left > time.Hour {
			return nil, fmt.Errorf("deadline in %v", left)
		}
		if ctx.Value("key") != nil {
			return nil, errors.New("a value")
		}
		child, cancel := context.WithCancel(ctx)
		context.AfterFunc(child, cancel)
		derived <- child
		return dst, nil
	})})
	if _, err := call(t, path, nil); err != nil {
		t.Error(err)
	}
	<-(<-derived).Done()
}

// TestContextsAreNotShared lets handlers keep what derives from their context
// while many more calls are made: it must have ended, and stay so.
func TestContextsAreNotShared(t *testing.T) {
	var mu sync.Mutex
	var kept []context.Context
	path := start(t, &Server{Handler: HandlerFunc(func(ctx context.Context, dst []byte, call *Call) ([]byte, error) {
		if string(call.Payload) == "keep" {
			ctx.Done()
			mu.Lock()
			kept = append(kept, ctx)
			mu.Unlock()
		}
		return dst, ctx.Err()
	})})
	for i := range 200 {
		if _, err := call(t, path, []byte([]string{"keep", "not"}[i%2])); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, ctx := range kept {
		if ctx.Err() != context.Canceled {
			t.Errorf("a kept context says %v", ctx.Err())
		}
	}
}

func TestPlain(t *testing.T) {
	path := start(t, &Server{Handler: Plain(func(request []byte, sender Credentials) ([]byte, error) {
		if len(request) == 0 {
			return nil, errors.New("nothing asked")
		}
		return fmt.Appendf(nil, "%s from a process: %v", request, sender.Valid()), nil
	})})
	if got, err := call(t, path, []byte("hello")); err != nil || string(got) != "hello from a process: true" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := call(t, path, nil); err != remoteError("nothing asked") {
		t.Error(err)
	}
}

// number is a uint32 in four bytes.
type number uint32

func (n number) MarshalBinary() ([]byte, error) {
	if n == 0 {
		return nil, errors.New("no zero")
	}
	return binary.BigEndian.AppendUint32(nil, uint32(n)), nil
}

func (n *number) UnmarshalBinary(b []byte) error {
	if len(b) != 4 {
		return fmt.Errorf("%d bytes are no number", len(b))
	}
	*n = number(binary.BigEndian.Uint32(b))
	return nil
}

func TestTyped(t *testing.T) {
	path := start(t, &Server{Handler: Typed(func(_ context.Context, _ *Call, n *number) (number, error) {
		if *n > 100 {
			return 0, errors.New("too many")
		}
		return *n * 2, nil
	})})
	for _, tt := range []struct{ request, answer, err string }{
		{"\x00\x00\x00\x04", "\x00\x00\x00\x08", ""},
		{"\x00\x00\x00\xff", "", "too many"},
		{"\x00\x00\x00\x00", "", "no zero"},
		{"abc", "", "3 bytes are no number"},
	} {
		got, err := call(t, path, []byte(tt.request))
		if string(got) != tt.answer || tt.err != "" && err != remoteError(tt.err) {
			t.Errorf("%q: %q, %v", tt.request, got, err)
		}
	}
}
