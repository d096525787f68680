//go:build linux

package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"credrpc/client"
	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// fillBacklog returns a listener at path that takes no connection more, and how
// many it holds.
func fillBacklog(t *testing.T, path string) (listener, held int) {
	t.Helper()
	listener, err := listenRaw(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(listener) })
	address, _ := sys.MakeAddress(path)
	for {
		fd, errno := sys.Stream()
		if errno != 0 {
			t.Fatal(errno)
		}
		t.Cleanup(func() { unix.Close(fd) })
		switch errno := sys.Connect(fd, &address); errno {
		case 0:
			held++
		case unix.EAGAIN:
			return listener, held
		default:
			t.Fatal(errno)
		}
	}
}

// Every row stalls at its stage for ever, so the only thing that can end the
// call is its context, whenever that is.
func TestContextEndsCall(t *testing.T) {
	stages := []struct {
		name    string
		payload int
		run     script // nil: a full backlog
		op      client.Op
	}{
		{"while the backlog is full", 1, nil, client.OpConnect},
		{"while a large request is not read", 16 << 20, func(_ *net.UnixConn, stop <-chan struct{}) {
			<-stop
		}, client.OpReceive},
		{"while a large request is read by and by", 140 << 20, func(conn *net.UnixConn, stop <-chan struct{}) {
			piece := make([]byte, 1)
			for {
				if _, err := conn.Read(piece); err != nil {
					return
				}
				select {
				case <-stop:
					return
				case <-time.After(time.Microsecond):
				}
			}
		}, client.OpReceive},
		{"while there is no answer", 1, func(_ *net.UnixConn, stop <-chan struct{}) {
			<-stop
		}, client.OpReceive},
		{"within a header", 1, func(conn *net.UnixConn, stop <-chan struct{}) {
			io.WriteString(conn, "\x00\x00\x00\x00\x00")
			<-stop
		}, client.OpReceive},
		{"within a small answer", 1, func(conn *net.UnixConn, stop <-chan struct{}) {
			io.WriteString(conn, "\x00\x00\x00\x00\x00\x00\x00\x05hell")
			<-stop
		}, client.OpReceive},
		{"within a large answer", 1, func(conn *net.UnixConn, stop <-chan struct{}) {
			io.WriteString(conn, "\x00\x00\x00\x00\x01\x00\x00\x00"+string(make([]byte, 70_000)))
			<-stop
		}, client.OpReceive},
		{"while an answer arrives without end", 1, func(conn *net.UnixConn, _ <-chan struct{}) {
			io.WriteString(conn, "\x00\x00\x00\x00\x08\xff\xff\x00")
			for piece := make([]byte, 1); ; {
				if _, err := conn.Write(piece); err != nil {
					return
				}
			}
		}, client.OpReceive},
	}
	ends := []struct {
		name string
		with func(context.Context) (context.Context, context.CancelFunc)
		want error
	}{
		{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 20*time.Millisecond)
		}, context.DeadlineExceeded},
		{"cancel", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(20*time.Millisecond, cancel)
			return ctx, cancel
		}, context.Canceled},
	}
	for _, stage := range stages {
		for _, end := range ends {
			t.Run(stage.name+"/"+end.name, func(t *testing.T) {
				c := &client.Client{Path: socketPath(t)}
				if stage.run == nil {
					fillBacklog(t, c.Path)
				} else {
					c = serve(t, c.Path, stage.run)
				}
				payload := make([]byte, stage.payload)
				within(t, func() {
					ctx, cancel := end.with(context.Background())
					defer cancel()
					_, err := c.Call(ctx, payload)
					var failure *client.Error
					if !errors.As(err, &failure) || failure.Op != stage.op || !errors.Is(err, end.want) {
						t.Errorf("got %v, want %v at step %q", err, end.want, stage.op)
					}
					if errors.Is(err, client.ErrProtocol) || errors.Is(err, client.ErrUnreachable) {
						t.Errorf("%v has a class besides", err)
					}
				})
			})
		}
	}
}

func TestEndedContextMakesNoConnection(t *testing.T) {
	path := socketPath(t)
	listener, err := listenRaw(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(listener)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c := client.Client{Path: path}
	_, err = c.Call(ctx, nil)
	wantOp(t, err, client.OpConnect)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if fd, errno := sys.Accept(listener); errno != unix.EAGAIN {
		unix.Close(fd)
		t.Errorf("accept: %v, want an empty backlog", errno)
	}
}

// A call that found the backlog full goes on when there is room.
func TestFullBacklogIsWaitedFor(t *testing.T) {
	path := socketPath(t)
	listener, held := fillBacklog(t, path)
	c := client.Client{Path: path}
	result := make(chan error, 1)
	go func() {
		_, err := c.Call(context.Background(), nil)
		result <- err
	}()
	accept := func() int {
		for {
			fd, errno := sys.Accept(listener)
			if errno == 0 {
				return fd
			}
			sys.Poll(listener, unix.POLLIN, 1000)
		}
	}
	within(t, func() {
		for range held {
			unix.Close(accept())
		}
		fd := accept() // the call
		sys.Send(fd, make([]byte, 8), nil)
		sys.Poll(fd, unix.POLLIN, -1)
		unix.Close(fd)
	})
	within(t, func() {
		if err := <-result; err != nil {
			t.Errorf("got %v", err)
		}
	})
}

// A context that ends after the call does not reach the next call, which uses
// the same memory.
func TestLateCancelHarmsNobody(t *testing.T) {
	c := serve(t, socketPath(t), echo)
	within(t, func() {
		for range 2000 {
			ctx, cancel := context.WithCancel(context.Background())
			go cancel()
			if _, err := c.Call(ctx, []byte("cancelled or not")); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			if _, err := c.Call(context.Background(), []byte("hello")); err != nil {
				t.Errorf("the next call got %v", err)
			}
		}
	})
}
