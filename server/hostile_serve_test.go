package server

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestListenersThatCannotServe gives Serve what is no UNIX stream listener.
func TestListenersThatCannotServe(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	packets, err := net.Listen("unixpacket", socketPath(t))
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := net.Listen("unix", socketPath(t))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	file := os.NewFile(uintptr(pair[0]), "datagrams")
	defer file.Close()
	rows := map[string]net.Listener{
		"nil":                       nil,
		"a nil UnixListener":        (*net.UnixListener)(nil),
		"a TCP listener":            tcp,
		"a sequenced packet socket": packets,
		"a wrapped UnixListener":    struct{ net.Listener }{wrapped},
	}
	if datagrams, err := net.FileListener(file); err == nil {
		rows["a datagram socket"] = datagrams
	}
	for name, l := range rows {
		t.Run(name, func(t *testing.T) {
			err := (&Server{Handler: echo}).Serve(l)
			var refused *ListenerError
			if !errors.As(err, &refused) || refused.Error() == "" {
				t.Fatalf("got %v", err)
			}
			if refused.Addr == nil {
				return
			}
			if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the listener was not closed: %v", err)
			}
		})
	}
}

func TestServeOnce(t *testing.T) {
	srv := &Server{Handler: echo}
	path := start(t, srv)
	second := listenUnix(t, socketPath(t), true)
	if err := srv.Serve(second); !errors.Is(err, ErrServing) {
		t.Errorf("a second Serve: %v", err)
	}
	if _, err := second.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("its listener was not closed: %v", err)
	}
	other := socketPath(t)
	if err := srv.ListenAndServe(other); !errors.Is(err, ErrServing) {
		t.Errorf("a second ListenAndServe: %v", err)
	}
	if _, err := os.Lstat(other); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its socket file is left: %v", err)
	}
	if _, err := call(t, path, nil); err != nil {
		t.Errorf("the first: %v", err)
	}
}

func TestServeAfterTheEnd(t *testing.T) {
	for name, end := range map[string]func(*Server) error{
		"after Shutdown": func(srv *Server) error { return srv.Shutdown(context.Background()) },
		"after Close":    (*Server).Close,
	} {
		t.Run(name, func(t *testing.T) {
			before := openDescriptors(t)
			srv := &Server{Handler: echo}
			if err := end(srv); err != nil {
				t.Fatal(err)
			}
			path := socketPath(t)
			if err := srv.ListenAndServe(path); !errors.Is(err, ErrServerClosed) {
				t.Errorf("got %v", err)
			}
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("its socket file is left: %v", err)
			}
			if after := openDescriptors(t); after != before {
				t.Errorf("%d descriptors, %d before", after, before)
			}
		})
	}
}

// TestEndTwice ends a server that has ended: the numbers of its descriptors
// belong to other files by then, which must not be touched.
func TestEndTwice(t *testing.T) {
	for name, end := range map[string]func(*Server){
		"Shutdown": func(srv *Server) {
			if err := srv.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		},
		"Close": func(srv *Server) { srv.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			srv, path, served := &Server{Handler: echo}, socketPath(t), make(chan error, 1)
			go func() { served <- srv.ListenAndServe(path) }()
			awaitListening(t, path, served)
			stop(t, srv, served)
			var files []*os.File
			for range 32 {
				file, err := os.CreateTemp(t.TempDir(), "")
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				files = append(files, file)
			}
			end(srv)
			for _, file := range files {
				info, err := file.Stat()
				if err != nil {
					t.Errorf("descriptor %d was closed: %v", file.Fd(), err)
				} else if info.Size() > 0 {
					t.Errorf("%d bytes were written to descriptor %d", info.Size(), file.Fd())
				}
			}
		})
	}
}
