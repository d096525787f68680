package metrics

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"credrpc/accessdb"
	"credrpc/audit"
	"credrpc/server"
)

// patience bounds every wait of a test that is about to fail.
const patience = 20 * time.Second

// A watched is a server with all that can be watched.
type watched struct {
	Sources
	path, rules string
	http        *http.Client
}

// watch starts a server, which allows this process's user, fails on "fail" and echoes the
// rest, and serves its metrics.
func watch(t *testing.T) *watched {
	t.Helper()
	dir, err := os.MkdirTemp("", "credrpc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &watched{path: filepath.Join(dir, "s"), rules: filepath.Join(dir, "rules")}
	w.allow(t, accessdb.Allow)
	if w.Rules, err = accessdb.Open(w.rules, accessdb.Options{PollInterval: -1}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Rules.Close() })
	if w.Audit, err = audit.New(audit.Stream(io.Discard), audit.Options{}); err != nil {
		t.Fatal(err)
	}
	ready, served := make(chan struct{}), make(chan error)
	w.Server = &server.Server{
		Access: w.Rules, MeasureLatency: true, Ended: w.Audit.Ended, Ready: func() { close(ready) },
		Handler: server.HandlerFunc(func(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
			if string(call.Payload) == "fail" {
				return nil, errors.New("as told")
			}
			return append(dst, call.Payload...), nil
		}),
	}
	go func() { served <- w.Server.ListenAndServe(w.path) }()
	select {
	case <-ready:
	case err := <-served:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(w.Server.Shutdown(ctx), w.Audit.Close(ctx)); err != nil {
			t.Error(err)
		}
		<-served
	})
	w.serve(t, filepath.Join(dir, "m"))
	return w
}

// allow writes rules for this process's user.
func (w *watched) allow(t *testing.T, decision accessdb.Decision) {
	t.Helper()
	b, err := accessdb.Create(w.rules, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := errors.Join(b.Add(accessdb.Rule{Key: "uid/" + strconv.Itoa(os.Geteuid()), Decision: decision}), b.Commit()); err != nil {
		t.Fatal(err)
	}
}

// serve serves the metrics at path, and makes a client for them.
func (w *watched) serve(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := NewServer(w.Sources)
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	w.http = &http.Client{Transport: transport, Timeout: patience}
}

// get asks for a path.
func (w *watched) get(t *testing.T, method, path string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := w.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// samples returns the values of all series, by name and labels as they are printed.
func (w *watched) samples(t *testing.T) map[string]float64 {
	t.Helper()
	status, text := w.get(t, http.MethodGet, "/metrics")
	if status != http.StatusOK {
		t.Fatalf("%d: %s", status, text)
	}
	all := make(map[string]float64)
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if at := strings.IndexByte(line, '}'); at >= 0 {
			series, value = line[:at+1], strings.TrimSpace(line[at+1:])
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all[series] = number
	}
	return all
}
