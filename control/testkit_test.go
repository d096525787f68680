package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"credrpc/client"
	"credrpc/control"
	"credrpc/server"

	"go.uber.org/goleak"
)

// TestMain fails if a test leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test that is about to fail.
const patience = 20 * time.Second

// A pair is a main server that echoes, and its control server.
type pair struct {
	t              *testing.T
	main, operator *server.Server
	callers        client.Client
	operators      client.Client
}

// start serves h and its main server, which is made here, until the test ends.
func start(t *testing.T, h *control.Handler, main *server.Server) *pair {
	t.Helper()
	dir, err := os.MkdirTemp("", "credrpc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &pair{t: t, main: main, callers: client.Client{Path: filepath.Join(dir, "s")},
		operators: client.Client{Path: filepath.Join(dir, "c"), MaxResponse: 32 << 20}}
	h.Server = main
	h.Users = control.NewUsers()
	main.MeasureLatency, main.Ended = true, h.Users.Ended
	if main.Handler == nil {
		main.Handler = server.Plain(func(request []byte, _ server.Credentials) ([]byte, error) {
			if string(request) == "fail" {
				return nil, errors.New("as asked")
			}
			return request, nil
		})
	}
	p.operator = h.NewServer()
	serve(t, main, p.callers.Path)
	serve(t, p.operator, p.operators.Path)
	return p
}

// serve serves srv at path until the test ends.
func serve(t *testing.T, srv *server.Server, path string) {
	t.Helper()
	ready, served := make(chan struct{}), make(chan error, 1)
	srv.Ready = func() { close(ready) }
	go func() { served <- srv.ListenAndServe(path) }()
	select {
	case <-ready:
	case err := <-served:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, server.ErrServerClosed) {
			t.Errorf("it ended with %v", err)
		}
	})
}

// ask gives a command, and returns the answer or the error as text.
func (p *pair) ask(command string) (answer, refusal string) {
	p.t.Helper()
	return ask(p.t, &p.operators, command)
}

func ask(t *testing.T, c *client.Client, request string) (answer, refusal string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b, err := c.Call(ctx, []byte(request))
	var remote *client.RemoteError
	if errors.As(err, &remote) {
		return "", remote.Text
	}
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return string(b), ""
}

// stats asks for the statistics.
func (p *pair) stats(command string) (s control.Stats) {
	p.t.Helper()
	answer, refusal := p.ask(command)
	if err := json.Unmarshal([]byte(answer), &s); err != nil {
		p.t.Fatalf("%q, %q: %v", answer, refusal, err)
	}
	return s
}
