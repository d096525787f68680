package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// kinds are the two ways of running handlers.
var kinds = []struct {
	name   string
	onLoop bool
}{{"blocking handlers", false}, {"handlers on the loop", true}}

// TestSizes checks that requests and answers of any size come back equal.
func TestSizes(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			path := start(t, &Server{Handler: echo, HandlerOnLoop: kind.onLoop, MaxRequest: 16 << 20, MaxResponse: 16 << 20})
			for _, size := range []int{0, 1, 31, scratchSize - 4, scratchSize - 3, scratchSize, 64 << 10, 1 << 20, 16 << 20} {
				payload := make([]byte, size)
				for i := range payload {
					payload[i] = byte(rand.Uint32())
				}
				got, err := transfer(t, path, payload)
				if err != nil || !bytes.Equal(got, payload) {
					t.Errorf("%d bytes: got %d bytes, %v", size, len(got), err)
				}
			}
		})
	}
}

// transfer makes a call whose answer is read while the request is written.
func transfer(t *testing.T, path string, payload []byte) ([]byte, error) {
	c := dial(t, path)
	defer c.Close()
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(request(payload))
		written <- err
	}()
	got, err := response(c)
	return got, errors.Join(err, <-written)
}

// TestEverySplit sends a request in every split into two pieces, and byte by
// byte, with the pieces far enough apart to be received apart.
func TestEverySplit(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			srv := &Server{Handler: echo, HandlerOnLoop: kind.onLoop}
			path := start(t, srv)
			whole := request([]byte("a request of some length"))
			for cut := 1; cut < len(whole); cut++ {
				got, err := inPieces(t, srv, path, whole[:cut], whole[cut:])
				if err != nil || !bytes.Equal(got, whole[4:]) {
					t.Errorf("cut at %d: %q, %v", cut, got, err)
				}
			}
			var bytewise [][]byte
			for i := range whole {
				bytewise = append(bytewise, whole[i:i+1])
			}
			if got, err := inPieces(t, srv, path, bytewise...); err != nil || !bytes.Equal(got, whole[4:]) {
				t.Errorf("byte by byte: %q, %v", got, err)
			}
			large := bytes.Repeat([]byte("0123456789abcdef"), 5000)
			framed := request(large)
			if got, err := inPieces(t, srv, path, framed[:4], framed[4:30000], framed[30000:30001], framed[30001:]); err != nil || !bytes.Equal(got, large) {
				t.Errorf("large in four pieces: %d bytes, %v", len(got), err)
			}
		})
	}
}

// inPieces makes a call, and sends each piece only when the server has received
// the one before.
func inPieces(t *testing.T, srv *Server, path string, pieces ...[]byte) ([]byte, error) {
	t.Helper()
	c := dial(t, path)
	defer c.Close()
	received := srv.Stats().BytesIn
	for _, piece := range pieces {
		if _, err := c.Write(piece); err != nil {
			return nil, err
		}
		received += uint64(len(piece))
		eventually(t, "the server receives a piece", func() bool { return srv.Stats().BytesIn >= received })
	}
	return response(c)
}

// TestTrailingBytes checks that bytes behind the request are no part of it and
// no second one.
func TestTrailingBytes(t *testing.T) {
	var calls atomic.Int32
	path := start(t, &Server{Handler: HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
		calls.Add(1)
		return append(dst, call.Payload...), nil
	})})
	c := dial(t, path)
	c.Write(append(request([]byte("one")), request([]byte("two"))...))
	// The answer comes before the reset that the unread bytes cause.
	answer := make([]byte, 11)
	if _, err := c.Read(answer); err != nil || string(answer[8:]) != "one" {
		t.Errorf("got %q, %v", answer, err)
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls", n)
	}
}

// TestHalfClose checks that a caller may shut down its writing side and still
// gets its answer, also when the handler is being watched for hang-ups.
func TestHalfClose(t *testing.T) {
	closed := make(chan struct{})
	path := start(t, &Server{Handler: HandlerFunc(func(ctx context.Context, dst []byte, call *Call) ([]byte, error) {
		done := ctx.Done()
		<-closed
		select {
		case <-done:
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond): // for a wrong report to arrive
			return append(dst, "answer"...), nil
		}
	})})
	c := dial(t, path)
	c.Write(request([]byte("x")))
	c.CloseWrite()
	close(closed)
	if got, err := response(c); err != nil || string(got) != "answer" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestManyCallers makes calls from many goroutines, on several loops.
func TestManyCallers(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			srv := &Server{Handler: echo, HandlerOnLoop: kind.onLoop, Loops: 3}
			path := start(t, srv)
			const callers, calls = 16, 200
			var wg sync.WaitGroup
			for i := range callers {
				wg.Go(func() {
					for j := range calls {
						want := fmt.Sprintf("%d/%d", i, j)
						if got, err := call(t, path, []byte(want)); err != nil || string(got) != want {
							t.Errorf("%s: %q, %v", want, got, err)
						}
					}
				})
			}
			wg.Wait()
			if s := srv.Stats(); s.Answered != callers*calls {
				t.Errorf("%d answered", s.Answered)
			}
		})
	}
}

// TestShutdown checks that no call is lost: neither one in a handler, nor one
// whose request is half there, nor one in the backlog.
func TestShutdown(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	srv := &Server{Handler: HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
		if string(call.Payload) == "slow" {
			close(entered)
			<-leave
		}
		return append(dst, call.Payload...), nil
	})}
	path := socketPath(t)
	served := make(chan error, 1)
	go func() { served <- srv.ListenAndServe(path) }()
	awaitListening(t, path, served)

	slow := dial(t, path)
	slow.Write(request([]byte("slow")))
	<-entered
	half := dial(t, path)
	half.Write(request([]byte("half"))[:6])
	eventually(t, "both are accepted", func() bool { return srv.Stats().InFlight == 2 })

	shut := make(chan error, 1)
	go func() { shut <- srv.Shutdown(context.Background()) }()
	if err := <-served; !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve returned %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket file: %v", err)
	}
	half.Write(request([]byte("half"))[6:])
	if got, err := response(half); err != nil || string(got) != "half" {
		t.Errorf("half a request: %q, %v", got, err)
	}
	select {
	case err := <-shut:
		t.Errorf("Shutdown returned %v with a call in flight", err)
	default:
	}
	close(leave)
	if got, err := response(slow); err != nil || string(got) != "slow" {
		t.Errorf("a call in its handler: %q, %v", got, err)
	}
	if err := <-shut; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// TestShutdownOfTheBacklog checks that callers in the backlog of a busy server
// are answered.
func TestShutdownOfTheBacklog(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	srv := &Server{HandlerOnLoop: true, Handler: HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
		if string(call.Payload) == "slow" {
			close(entered)
			<-leave
		}
		return append(dst, call.Payload...), nil
	})}
	path := socketPath(t)
	served := make(chan error, 1)
	go func() { served <- srv.ListenAndServe(path) }()
	awaitListening(t, path, served)
	slow := dial(t, path)
	slow.Write(request([]byte("slow")))
	<-entered
	var queued []net.Conn
	for range 100 { // more than one batch
		c := dial(t, path)
		c.Write(request([]byte("queued")))
		queued = append(queued, c)
	}
	shut := make(chan error, 1)
	go func() { shut <- srv.Shutdown(context.Background()) }()
	<-served
	close(leave)
	for _, c := range queued {
		if got, err := response(c); err != nil || string(got) != "queued" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if err := <-shut; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// TestShutdownGivesUp checks that Shutdown ends with its context, and then ends
// what is in flight.
func TestShutdownGivesUp(t *testing.T) {
	canceled := make(chan struct{})
	entered := make(chan struct{})
	srv := &Server{Handler: HandlerFunc(func(ctx context.Context, dst []byte, _ *Call) ([]byte, error) {
		close(entered)
		<-ctx.Done()
		close(canceled)
		return dst, nil
	})}
	path := socketPath(t)
	served := make(chan error, 1)
	go func() { served <- srv.ListenAndServe(path) }()
	awaitListening(t, path, served)
	idle := dial(t, path)
	c := dial(t, path)
	c.Write(request(nil))
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown returned %v", err)
	}
	<-canceled
	if got, err := response(c); err != remoteError(closingText) {
		t.Errorf("in its handler: %q, %v", got, err)
	}
	if got, err := response(idle); err != remoteError(RefusedClosing.text()) {
		t.Errorf("idle: %q, %v", got, err)
	}
	<-served
	eventually(t, "nothing is in flight", func() bool { return srv.Stats().InFlight == 0 })
}

// TestClose checks that Close ends a server whatever it is doing, and that a
// closed server serves no more.
func TestClose(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			srv := &Server{Handler: echo, HandlerOnLoop: kind.onLoop}
			path := socketPath(t)
			served := make(chan error, 1)
			go func() { served <- srv.ListenAndServe(path) }()
			awaitListening(t, path, served)
			if got, err := call(t, path, []byte("x")); err != nil || string(got) != "x" {
				t.Errorf("%q, %v", got, err)
			}
			srv.Close()
			if err := <-served; !errors.Is(err, ErrServerClosed) {
				t.Errorf("Serve returned %v", err)
			}
			if err := srv.ListenAndServe(path); !errors.Is(err, ErrServerClosed) {
				t.Errorf("a second Serve returned %v", err)
			}
			if err := srv.Shutdown(context.Background()); err != nil {
				t.Errorf("Shutdown after Close: %v", err)
			}
		})
	}
}

// TestShutdownBeforeServe checks that a server can be closed before it starts.
func TestShutdownBeforeServe(t *testing.T) {
	srv := &Server{Handler: echo}
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := srv.ListenAndServe(socketPath(t)); !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve returned %v", err)
	}
}

// TestRestartUnderLoad closes and starts servers on one path while callers call:
// every call is answered, or the path is gone, or its connection was reset.
func TestRestartUnderLoad(t *testing.T) {
	path := socketPath(t)
	stopCalling := make(chan struct{})
	var answered atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stopCalling:
					return
				default:
				}
				c, err := net.Dial("unix", path)
				if err != nil {
					continue
				}
				c.SetDeadline(time.Now().Add(patience))
				c.Write(request([]byte("x")))
				if got, err := response(c); err == nil && string(got) == "x" {
					answered.Add(1)
				} else if err == nil {
					t.Errorf("answer %q", got)
				}
				c.Close()
			}
		})
	}
	for range 50 {
		srv := &Server{Handler: echo}
		served := make(chan error, 1)
		go func() { served <- srv.ListenAndServe(path) }()
		before := answered.Load()
		eventually(t, "a call is answered", func() bool { return answered.Load() > before })
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-served
	}
	close(stopCalling)
	wg.Wait()
}
