package server

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestInheritedListener queues callers before the server starts.
func TestInheritedListener(t *testing.T) {
	const queued = 100
	for _, passcred := range []bool{true, false} {
		t.Run(fmt.Sprintf("passcred=%v", passcred), func(t *testing.T) {
			path, log := socketPath(t), new(lockedBuffer)
			l := listenUnix(t, path, passcred)
			conns := make([]*net.UnixConn, queued)
			for i := range conns {
				conns[i] = dial(t, path)
				if i%2 == 0 { // the others send while the server runs
					conns[i].Write(request([]byte("early")))
				}
			}
			srv := &Server{Handler: whoami, Logger: slog.New(slog.NewTextHandler(log, nil))}
			serveOn(t, srv, l)
			refused := uint64(0)
			for i, c := range conns {
				if i%2 == 1 {
					c.Write(request([]byte("late")))
				}
				answer, err := response(c)
				c.Close()
				if !passcred && i%2 == 1 && err == remoteError(RefusedNoCredentials.text()) {
					refused++ // it came between the accept and the option
					continue
				}
				if err != nil {
					t.Fatalf("caller %d: %v", i, err)
				}
				who := parseIdentities(t, string(answer))
				if who.Sender != who.Peer || who.Sender.PID != os.Getpid() || who.Sender.UID != uint32(os.Getuid()) {
					t.Fatalf("caller %d: %s", i, answer)
				}
			}
			for range 10 {
				if _, err := call(t, path, []byte("later")); err != nil {
					t.Errorf("a later caller: %v", err)
				}
			}
			if got := strings.Contains(log.String(), "PassCredentials=yes"); got == passcred {
				t.Errorf("the log says %s", log)
			}
			if n := srv.Stats().Refused[RefusedNoCredentials]; n != refused {
				t.Errorf("%d refused", n)
			}
		})
	}
}

// TestInheritedOptions starts with listeners on which somebody has asked for
// more ancillary data than the server has room for.
func TestInheritedOptions(t *testing.T) {
	for name, option := range map[string]int{
		"PassPIDFDs=yes":   unix.SO_PASSPIDFD,
		"PassSecurity=yes": unix.SO_PASSSEC,
	} {
		t.Run(name, func(t *testing.T) {
			path := socketPath(t)
			file := rawListener(t, path, 10, true)
			if err := unix.SetsockoptInt(int(file.Fd()), unix.SOL_SOCKET, option, 1); err != nil {
				t.Skipf("this kernel does not have it: %v", err)
			}
			l, err := net.FileListener(file)
			if err != nil {
				t.Fatal(err)
			}
			serveOn(t, &Server{Handler: echo}, l)
			before := openDescriptors(t)
			if answer, err := call(t, path, []byte("x")); string(answer) != "x" {
				t.Errorf("%q, %v", answer, err)
			}
			eventually(t, "no descriptor came with the call", func() bool { return openDescriptors(t) <= before })
		})
	}
}

// TestConnectionsTakeNoDescriptors looks at the options of the listener and of
// an accepted connection.
func TestConnectionsTakeNoDescriptors(t *testing.T) {
	srv := &Server{Handler: echo, Loops: 1}
	path := start(t, srv)
	run := running(srv)
	c := dial(t, path)
	c.Write(request([]byte("half"))[:5])
	l := run.loops[0]
	fd := -1
	eventually(t, "the connection is parked", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, parked := range l.parked {
			if parked != nil {
				fd = parked.fd
			}
		}
		return fd >= 0
	})
	for name, fd := range map[string]int{"listener": run.ln.fd, "connection": fd} {
		if v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED); v != 1 || err != nil {
			t.Errorf("%s: SO_PASSCRED is %d, %v", name, v, err)
		}
		v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSRIGHTS)
		if err == unix.ENOPROTOOPT {
			t.Skip("Linux before 6.16")
		}
		if v != 0 || err != nil {
			t.Errorf("%s: SO_PASSRIGHTS is %d, %v", name, v, err)
		}
	}
	_, _, err := c.WriteMsgUnix([]byte("x"), unix.UnixRights(0), nil)
	if !errors.Is(err, unix.EPERM) {
		t.Errorf("a caller that passes a descriptor gets %v", err)
	}
	c.Write([]byte("alf"))
	if answer, err := response(c); string(answer) != "half" {
		t.Errorf("%q, %v", answer, err)
	}
}

// TestHandover has servers follow one another on one listener under load. A
// server that shuts down leaves the backlog to the next.
func TestHandover(t *testing.T) {
	path := socketPath(t)
	file := rawListener(t, path, 4096, true)
	var callers sync.WaitGroup
	var done atomic.Bool
	var calls atomic.Int64
	for range 4 {
		callers.Go(func() {
			for !done.Load() {
				if _, err := call(t, path, []byte("x")); err != nil {
					t.Errorf("call %d: %v", calls.Load(), err)
					return
				}
				calls.Add(1)
			}
		})
	}
	var answered uint64
	for range 20 {
		l, err := net.FileListener(file)
		if err != nil {
			t.Fatal(err)
		}
		srv, served := &Server{Handler: echo}, make(chan error, 1)
		before := calls.Load()
		go func() { served <- srv.Serve(l) }()
		eventually(t, "calls are answered", func() bool { return calls.Load() > before+20 || t.Failed() })
		stop(t, srv, served)
		answered += srv.Stats().Answered
	}
	// What has been sent meanwhile waits for the last one.
	l, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	done.Store(true)
	last := &Server{Handler: echo}
	serveOn(t, last, l)
	callers.Wait()
	if n := answered + last.Stats().Answered; n < uint64(calls.Load()) {
		t.Errorf("%d answered, %d calls", n, calls.Load())
	}
}

// TestLoggerOfPollerIgnoresEnvironment starts a program with an environment that
// would make gnet's logger panic, or write to a file.
func TestLoggerOfPollerIgnoresEnvironment(t *testing.T) {
	path := socketPath(t)
	file := filepath.Join(t.TempDir(), "log")
	a := startActor(t, []string{"serve", path}, withEnv("GNET_LOGGING_LEVEL=bogus", "GNET_LOGGING_FILE="+file))
	if line := a.line(); line != "ready" {
		t.Fatal(line)
	}
	if _, err := call(t, path, nil); err != nil {
		t.Error(err)
	}
	a.finish()
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file was made: %v", err)
	}
	// A number is a level too, one that panics or not; none is looked at.
	for _, level := range []string{"-100", "100", "-1"} {
		startActor(t, []string{"serve", socketPath(t)}, withEnv("GNET_LOGGING_LEVEL="+level), withAttr(&syscall.SysProcAttr{})).finish()
	}
}
