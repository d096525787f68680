package server

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
)

// checkAccounts fails if a user has anything in flight, or if a closed account
// bears bytes.
func checkAccounts(t *testing.T, srv *Server) {
	t.Helper()
	accounts := &running(srv).accounts
	eventually(t, "every account is closed", func() bool {
		accounts.mu.Lock()
		defer accounts.mu.Unlock()
		return len(accounts.open) == 0
	})
	accounts.mu.Lock()
	defer accounts.mu.Unlock()
	for _, a := range accounts.spare {
		if n := a.bytes.Load(); n != 0 {
			t.Errorf("a closed account bears %d bytes", n)
		}
	}
}

// bytesOf returns what the buffers of a user take.
func bytesOf(srv *Server, uid int) int64 {
	accounts := &running(srv).accounts
	accounts.mu.Lock()
	defer accounts.mu.Unlock()
	if a := accounts.open[uint32(uid)]; a != nil {
		return a.bytes.Load()
	}
	return 0
}

// TestBytesOfRequests has one user hold requests that are not whole, on as many
// connections as he may have. What they take stays within his limit, and another
// user does not notice.
func TestBytesOfRequests(t *testing.T) {
	const limit, part = 4 << 20, 250_000
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			srv := &Server{Handler: echo, HandlerOnLoop: kind.onLoop, Mode: 0o666,
				MaxRequest: 256 << 10, MaxResponse: 256 << 10, MaxBytesPerUID: limit, RequestTimeout: patience}
			path := publicPath(t)
			startAt(t, srv, path)
			wire := request(make([]byte, 256<<10))
			const many = 100
			var held, refused []net.Conn
			for range many {
				c := dial(t, path)
				c.Write(wire[:part]) // fails if it is refused meanwhile
				held = append(held, c)
				if n := bytesOf(srv, os.Getuid()); n > limit+2*part {
					t.Fatalf("the buffers of one user take %d bytes", n)
				}
			}
			eventually(t, "some are refused", func() bool { return srv.Stats().Refused[RefusedBytesUID] > many/2 })
			if os.Geteuid() == 0 {
				a := startActor(t, []string{"call", path, "1000", "1000"})
				if line := a.line(); line != "who am I" {
					t.Errorf("another user gets %q", line)
				}
			}
			answered := 0
			for _, c := range held {
				c.Write(wire[part:])
				switch answer, err := response(c); {
				case err == nil && len(answer) == 256<<10:
					answered++
				case err != nil && err.Error() == RefusedBytesUID.text():
					refused = append(refused, c)
				default:
					t.Errorf("got %d bytes, %v", len(answer), err)
				}
			}
			if answered < 4 || answered > many/2 || answered+len(refused) != many {
				t.Errorf("%d are answered, %d refused", answered, len(refused))
			}
			if _, err := call(t, path, make([]byte, 256<<10)); err != nil {
				t.Errorf("afterwards: %v", err)
			}
			checkAccounts(t, srv)
		})
	}
}

// TestBytesOfAnswers has callers who do not read. Their answers take no more than
// the limit of their user, and the others of that user are served afterwards.
func TestBytesOfAnswers(t *testing.T) {
	const size = 2 << 20
	limit := largestCall(1<<20, size)
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			srv := &Server{HandlerOnLoop: kind.onLoop, MaxResponse: size, MaxBytesPerUID: limit, CallTimeout: patience,
				Handler: HandlerFunc(func(context.Context, []byte, *Call) ([]byte, error) { return make([]byte, size), nil })}
			path := start(t, srv)
			var callers []net.Conn
			for range 50 {
				c := dial(t, path)
				c.Write(request(nil))
				callers = append(callers, c)
			}
			eventually(t, "some are not answered", func() bool { s := srv.Stats(); return s.Dropped+s.Failed >= 40 })
			// What is over the limit is charged until it is dropped.
			eventually(t, "the answers are within the limit", func() bool { return bytesOf(srv, os.Getuid()) <= limit })
			whole, cut := 0, 0
			for _, c := range callers {
				if answer, err := response(c); err == nil && len(answer) == size {
					whole++
				} else {
					cut++
				}
			}
			if whole == 0 || cut < 40 {
				t.Errorf("%d whole answers, %d cut short", whole, cut)
			}
			if answer, err := call(t, path, nil); err != nil || len(answer) != size {
				t.Errorf("afterwards: %d bytes, %v", len(answer), err)
			}
			checkAccounts(t, srv)
		})
	}
}

// TestBytesManyCallers checks that callers within the limit are never refused,
// whatever sizes they have, and that nothing is left of them.
func TestBytesManyCallers(t *testing.T) {
	srv := &Server{Handler: echo}
	path := start(t, srv)
	var callers sync.WaitGroup
	for i := range 16 {
		callers.Go(func() {
			for n := range 60 {
				size := (i*7919 + n*104729) % (1 << 20)
				if got, err := transfer(t, path, make([]byte, size)); err != nil || len(got) != size {
					t.Errorf("%d bytes: got %d, %v", size, len(got), err)
				}
			}
		})
	}
	callers.Wait()
	checkAccounts(t, srv)
}

// TestBytesConfiguration checks a limit that no call would fit in.
func TestBytesConfiguration(t *testing.T) {
	for _, limit := range []int64{-1, 1, largestCall(DefaultMaxRequest, DefaultMaxResponse) - 1} {
		var config *ConfigError
		srv := &Server{Handler: echo, MaxBytesPerUID: limit}
		if err := srv.ListenAndServe(socketPath(t)); !errors.As(err, &config) || config.Field != "MaxBytesPerUID" {
			t.Errorf("%d: got %v", limit, err)
		}
	}
	srv := &Server{Handler: echo, MaxBytesPerUID: largestCall(DefaultMaxRequest, DefaultMaxResponse)}
	path := start(t, srv)
	if _, err := transfer(t, path, make([]byte, DefaultMaxRequest)); err != nil {
		t.Errorf("the largest call in the least limit: %v", err)
	}
}

// TestUsers tells who has what in flight, and nothing of users who have nothing.
func TestUsers(t *testing.T) {
	srv := &Server{Handler: echo}
	if list := srv.Users(); list != nil {
		t.Errorf("before Serve: %+v", list)
	}
	path := start(t, srv)
	if _, err := call(t, path, []byte("x")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody is left", func() bool { return len(srv.Users()) == 0 })
	wire := request(make([]byte, 100000))
	var held []net.Conn
	for range 3 {
		c := dial(t, path)
		c.Write(wire[:50000])
		held = append(held, c)
	}
	eventually(t, "three calls in part", func() bool {
		list := srv.Users()
		return len(list) == 1 && list[0].UID == uint32(os.Getuid()) && list[0].Calls == 3 && list[0].Bytes >= 3*50000
	})
	for _, c := range held {
		c.Close()
	}
	eventually(t, "nobody is left again", func() bool { return len(srv.Users()) == 0 })
}
