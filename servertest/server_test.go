package servertest

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"credrpc/server"
)

// TestStart calls a server as oneself, and looks at what is left of it.
func TestStart(t *testing.T) {
	var path string
	ready := 0
	t.Run("inner", func(t *testing.T) {
		s := Start(t, &server.Server{Handler: whoami, Ready: func() { ready++ }})
		path = s.Path
		answer, err := s.Client().Call(t.Context(), nil)
		got := read(t, answer, err)
		if got.users() != [2]User{Self(), Self()} || got.Sender.PID != os.Getpid() {
			t.Errorf("got %+v", got)
		}
		answer, err = s.Call(Self(), nil)
		if read(t, answer, err) != got {
			t.Errorf("Call: %s, %v", answer, err)
		}
		if stats := s.Config.Stats(); stats.Answered != 2 {
			t.Errorf("%+v", stats)
		}
	})
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
	if ready != 1 {
		t.Errorf("Ready was called %d times", ready)
	}
}

// TestLongTempDir has a socket where the directory for temporary files has no room.
func TestLongTempDir(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), strings.Repeat("x", 90)))
	s := Start(t, &server.Server{Handler: echo})
	if got, err := s.Client().Call(t.Context(), []byte("x")); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestCannotStart tells why, and leaves nothing.
func TestCannotStart(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	_, err := NewServer(&server.Server{Handler: echo, MaxCalls: -1})
	var config *server.ConfigError
	if !errors.As(err, &config) || config.Field != "MaxCalls" {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(os.TempDir()); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// TestClose ends callers that have sent half a request, and is repeated.
func TestClose(t *testing.T) {
	s, err := NewServer(&server.Server{Handler: echo})
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, s, Self())
	if err := c.WritePieces(Request([]byte("hello")), 6, 9); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Answer(); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	half := dial(t, s, Self())
	half.Write(Request([]byte("hello"))[:6])
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if stats := s.Config.Stats(); stats.InFlight != 0 {
		t.Errorf("%+v", stats)
	}
}

// TestPanicsAreSeen shows the test what a handler panicked with, until the test ends.
func TestPanicsAreSeen(t *testing.T) {
	var text strings.Builder
	tb := &recorder{TB: t, output: &text}
	s := Start(tb, &server.Server{Handler: server.HandlerFunc(func(context.Context, []byte, *server.Call) ([]byte, error) {
		panic("a bug")
	})})
	_, err := s.Client().Call(t.Context(), nil)
	wantRemote(t, "a panic", err, "internal error")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(text.String(), "a bug") {
		t.Errorf("the output is %q", text.String())
	}
	o := &testOutput{w: &text}
	o.end()
	if io.WriteString(o, "late"); strings.Contains(text.String(), "late") {
		t.Error("it writes after the end")
	}
}

// A recorder is a [testing.TB] that records what becomes of the test.
type recorder struct {
	testing.TB
	output          io.Writer
	failed, skipped string
}

func (r *recorder) Output() io.Writer { return r.output }
func (r *recorder) Fatal(args ...any) { r.failed = args[0].(string) }
func (r *recorder) Skip(args ...any)  { r.skipped = args[0].(string) }
