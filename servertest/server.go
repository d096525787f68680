package servertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"credrpc/client"
	"credrpc/server"
)

// Patience is how long anything in this package waits for the server. It is far more
// than a server needs and only keeps a hang from lasting.
const Patience = 10 * time.Second

// longestTemp is the longest directory for temporary files in which a socket is made:
// its path, some 20 bytes longer, must fit into an address of 107 (unix(7)).
const longestTemp = 80

// A Server is a [server.Server] on a socket of its own. Its methods are safe for
// concurrent use.
type Server struct {
	// Path is the socket, in a new directory that every user can enter. Who may
	// connect to it is up to [server.Server.Mode]: nobody else unless it is set.
	Path string

	// Config is the server that runs. Its fields may not be changed any more.
	Config *server.Server

	client client.Client
	served chan error

	mu    sync.Mutex
	ended bool
	conns []*Conn // guarded by mu
}

// Start serves config until the test ends, and fails the test if it cannot be started
// or does not end well, see [Server.Close]. Unless config has a Logger, what the server
// logs, such as a panic of the handler, goes to the test's output.
func Start(tb testing.TB, config *server.Server) *Server {
	tb.Helper()
	output := &testOutput{w: tb.Output()}
	if config.Logger == nil {
		config.Logger = slog.New(slog.NewTextHandler(output, nil))
	}
	s, err := NewServer(config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
		output.end()
	})
	return s
}

// NewServer serves config until Close, for where there is no [testing.TB], as in
// examples. It returns when calls are accepted: it sets Ready, and calls the one that
// config has. The error is that of [server.Server.ListenAndServe].
func NewServer(config *server.Server) (*Server, error) {
	dir, err := socketDir()
	if err != nil {
		return nil, fmt.Errorf("servertest: %w", err)
	}
	s := &Server{Path: filepath.Join(dir, "s"), Config: config, served: make(chan error, 1)}
	s.client = client.Client{Path: s.Path, MaxResponse: max(config.MaxResponse, client.DefaultMaxResponse)}
	ready := make(chan struct{})
	before := config.Ready
	config.Ready = func() {
		if before != nil {
			before()
		}
		close(ready)
	}
	go func() { s.served <- config.ListenAndServe(s.Path) }()
	select {
	case <-ready:
		return s, nil
	case err = <-s.served:
	case <-time.After(Patience):
		err = errors.Join(fmt.Errorf("servertest: the server is not ready after %v", Patience), config.Close())
	}
	os.RemoveAll(dir)
	return nil, err
}

// socketDir makes a directory for a socket. A test's own (TempDir of [testing.TB])
// mostly has too long a path, and is closed to other users.
func socketDir() (string, error) {
	temp := os.TempDir()
	if len(temp) > longestTemp {
		temp = "/tmp"
	}
	dir, err := os.MkdirTemp(temp, "servertest")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

// Client returns a client that calls the server as the test's own user.
func (s *Server) Client() *client.Client { return &s.client }

// Call makes one call as u and returns what [client.Client.Call] would: the answer, or
// a [*client.RemoteError] with what the server said instead. Errors of u are those of
// [As].
func (s *Server) Call(u User, payload []byte) ([]byte, error) {
	c, err := s.Dial(u)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	// A server that refuses early need not take the whole request.
	_, writeErr := c.Write(Request(payload))
	answer, err := c.Answer()
	if err != nil && !isRemote(err) {
		err = errors.Join(writeErr, err)
	}
	return answer, err
}

// Dial connects to the server as u. The connection is closed when the server is.
func (s *Server) Dial(u User) (*Conn, error) {
	c, err := Dial(s.Path, u)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, c)
	return c, nil
}

// Close hangs up all that was dialled, ends the server as [server.Server.Shutdown]
// does and removes the socket with its directory. It returns an error if a handler
// has not returned after [Patience], or if the server had ended with an error before.
// Closing again does nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	s.ended = true
	for _, c := range s.conns {
		c.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	err := s.Config.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("servertest: %d calls still in flight %v after the server was to end: %w", s.Config.Stats().InFlight, Patience, err)
	}
	if served := <-s.served; served != server.ErrServerClosed && served != server.ErrTakenOver {
		err = errors.Join(err, fmt.Errorf("servertest: the server has ended with: %w", served))
	}
	return errors.Join(err, os.RemoveAll(filepath.Dir(s.Path)))
}

// A testOutput is the output of a test until that ends: writing to it later would
// panic, and a handler may go on for longer than its test.
type testOutput struct {
	mu sync.Mutex
	w  io.Writer // guarded by mu
}

func (o *testOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(p)
}

// end drops what is written from now on.
func (o *testOutput) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.w = io.Discard
}
