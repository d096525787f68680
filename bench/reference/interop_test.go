package reference_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"credrpc/bench/reference"
	"credrpc/client"
	"credrpc/server"

	"golang.org/x/sys/unix"
)

// caller is what both clients can do.
type caller func(payload []byte) ([]byte, error)

// failing is the request that every server here answers with an error.
var failing = []byte("fail")

// TestInteroperability lets each client call each server.
func TestInteroperability(t *testing.T) {
	dir, err := os.MkdirTemp("", "credrpc")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)

	naive := filepath.Join(dir, "reference")
	ref := &reference.Server{Handler: func(payload []byte, sender *unix.Ucred) ([]byte, error) {
		if int(sender.Pid) != os.Getpid() || bytes.Equal(payload, failing) {
			return nil, errors.New("it failed")
		}
		return payload, nil
	}}
	go ref.ListenAndServe(naive)
	defer ref.Close()

	handler := server.Plain(func(payload []byte, sender server.Credentials) ([]byte, error) {
		if sender.PID() != os.Getpid() || bytes.Equal(payload, failing) {
			return nil, errors.New("it failed")
		}
		return payload, nil
	})
	paths := map[string]string{"reference": naive}
	for name, onLoop := range map[string]bool{"event loop": false, "event loop, handler on it": true} {
		path := filepath.Join(dir, name)
		ready := make(chan struct{})
		srv := &server.Server{Handler: handler, HandlerOnLoop: onLoop, MaxRequest: 4 << 20, MaxResponse: 4 << 20, Ready: func() { close(ready) }}
		served := make(chan error)
		go func() { served <- srv.ListenAndServe(path) }()
		<-ready
		defer func() {
			srv.Shutdown(context.Background())
			<-served
		}()
		paths[name] = path
	}
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(naive); err == nil {
			break
		} else if time.Since(begin) > 20*time.Second {
			t.Fatal(err)
		}
	}

	for name, path := range paths {
		naiveClient := reference.Client{Path: path}
		ours := client.Client{Path: path, MaxResponse: 4 << 20}
		for by, call := range map[string]caller{
			"reference": naiveClient.Call,
			"client":    func(p []byte) ([]byte, error) { return ours.Call(t.Context(), p) },
		} {
			t.Run(by+" calls "+name, func(t *testing.T) { interoperate(t, call) })
		}
	}
}

func interoperate(t *testing.T, call caller) {
	for _, size := range []int{0, 1, 100, 64 << 10, 3 << 20} {
		payload := bytes.Repeat([]byte("x"), size)
		if got, err := call(payload); err != nil || !bytes.Equal(got, payload) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
	_, err := call(failing)
	var theirs *reference.RemoteError
	var ours *client.RemoteError
	if !(errors.As(err, &theirs) && theirs.Text == "it failed" || errors.As(err, &ours) && ours.Text == "it failed") {
		t.Errorf("an error arrives as %v", err)
	}
}
