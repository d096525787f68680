package control_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"credrpc/accessdb"
	"credrpc/client"
	"credrpc/control"
	"credrpc/server"
)

// A journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// TestCommands gives every command, right and wrong, to a handler that has all.
func TestCommands(t *testing.T) {
	var level slog.LevelVar
	var reloads, drains atomic.Int32
	var log journal
	h := &control.Handler{
		LogLevel: &level, Profiles: true, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Reload: func() (string, error) {
			if reloads.Add(1) > 1 {
				return "", errors.New("no such file")
			}
			return "rules loaded", nil
		},
		Drain: func() { drains.Add(1) },
	}
	p := start(t, h, new(server.Server))
	const all = "want stats [USERS], reload, drain, log-level [LEVEL], pprof cpu|trace DURATION, pprof heap|goroutine, help"
	for _, tt := range []struct{ command, answer, refusal string }{
		{"reload", "rules loaded\n", ""},
		{"reload\n", "", "no such file"},
		{"log-level", "info\n", ""},
		{"  log-level   debug ", "debug, before info\n", ""},
		{"log-level", "debug\n", ""},
		{"log-level loud", "", `log-level "loud": want debug, info, warn or error`},
		{"drain", "draining: the server accepts no more, and ends when the calls in flight, 0 now, are answered\n", ""},
		{"drain now", "", "drain: wrong number of arguments; want drain"},
		{"stats -1", "", `stats "-1": want the number of users to list, 0 to 5000`},
		{"stats 5001", "", `stats "5001": want the number of users to list, 0 to 5000`},
		{"pprof", "", "pprof: wrong number of arguments; want pprof cpu|trace DURATION, pprof heap|goroutine"},
		{"pprof mutex", "", `pprof "mutex": want pprof cpu|trace DURATION, pprof heap|goroutine`},
		{"pprof heap 1s", "", `pprof "heap": want pprof cpu|trace DURATION, pprof heap|goroutine`},
		{"pprof cpu 61s", "", `pprof cpu "61s": want a duration up to 60s, such as 5s`},
		{"pprof cpu -1s", "", `pprof cpu "-1s": want a duration up to 60s, such as 5s`},
		{"pprof trace 5", "", `pprof trace "5": want a duration up to 60s, such as 5s`},
		{"shutdown", "", `unknown command "shutdown"; ` + all},
		{"", "", "there is no command; " + all},
		{"stats\nreload", "", `want one line of text, such as "help"`},
		{"stats\x00", "", `want one line of text, such as "help"`},
		{strings.Repeat("x", 300), "", "request too large"},
	} {
		if answer, refusal := p.ask(tt.command); answer != tt.answer || refusal != tt.refusal {
			t.Errorf("%q: %q, %q; want %q, %q", tt.command, answer, refusal, tt.answer, tt.refusal)
		}
	}
	if help, _ := p.ask("help"); strings.Count(help, "\n") != 7 {
		t.Errorf("the help is %q", help)
	}
	if reloads.Load() != 2 || drains.Load() != 1 || level.Level() != slog.LevelDebug {
		t.Errorf("%d reloads, %d drains, level %v", reloads.Load(), drains.Load(), level.Level())
	}
	said := log.String()
	for _, want := range []string{`command=reload pid=`, `command="log-level debug" pid=`, `error="no such file"`} {
		if !strings.Contains(said, want) {
			t.Errorf("the log lacks %q: %s", want, said)
		}
	}
	if strings.Contains(said, "command=help") {
		t.Errorf("questions are in the log: %s", said)
	}
}

// TestNothingIsAllowedUnasked refuses what the zero value leaves out.
func TestNothingIsAllowedUnasked(t *testing.T) {
	p := start(t, new(control.Handler), new(server.Server))
	for _, command := range []string{"reload", "drain", "log-level", "log-level debug", "pprof heap", "pprof cpu 1s"} {
		name, _, _ := strings.Cut(command, " ")
		if answer, refusal := p.ask(command); answer != "" || refusal != `unknown command "`+name+`"; want stats [USERS], help` {
			t.Errorf("%q: %q, %q", command, answer, refusal)
		}
	}
}

// TestMainIsFull has callers take every place of the main server. Operators do not notice.
func TestMainIsFull(t *testing.T) {
	p := start(t, new(control.Handler), &server.Server{MaxCalls: 2})
	var full int64
	await(t, "the main server refuses calls", func() bool {
		c, err := net.Dial("unix", p.callers.Path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		s := p.stats("stats")
		full = s.Calls.InFlight
		return s.Calls.RefusedTotal() > 0
	})
	for range 100 {
		if s := p.stats("stats"); s.Calls.InFlight < full {
			t.Fatalf("%d calls in flight, there were %d", s.Calls.InFlight, full)
		}
	}
}

// TestOperators allows root and the own user.
func TestOperators(t *testing.T) {
	check := control.Operators()
	for uid, want := range map[uint32]accessdb.Decision{
		0: accessdb.Allow, own(): accessdb.Allow, own() + 54321: accessdb.NotFound, server.NoID: accessdb.NotFound,
	} {
		if r, err := check.Check(uid, 0); err != nil || r.Decision != want {
			t.Errorf("uid %d: %v, %v; want %v", uid, r.Decision, err, want)
		}
	}
}

// TestProfiles makes each kind, one at a time.
func TestProfiles(t *testing.T) {
	p := start(t, &control.Handler{Profiles: true}, new(server.Server))
	for command, begins := range map[string]string{
		"pprof cpu 100ms":   "\x1f\x8b", // gzip
		"pprof heap":        "\x1f\x8b",
		"pprof goroutine":   "\x1f\x8b",
		"pprof trace 100ms": "go 1.",
	} {
		if answer, refusal := p.ask(command); !strings.HasPrefix(answer, begins) {
			t.Errorf("%s: %.10q, %q", command, answer, refusal)
		}
	}
	// Whoever hangs up ends his profile, and until then there is no other.
	ctx, cancel := context.WithCancel(t.Context())
	hungUp := make(chan error)
	go func() {
		for {
			_, err := p.operators.Call(ctx, []byte("pprof cpu 60s"))
			var refused *client.RemoteError
			if !errors.As(err, &refused) { // by one of those below
				hungUp <- err
				return
			}
		}
	}()
	await(t, "the second is refused", func() bool {
		_, refusal := p.ask("pprof heap")
		return strings.Contains(refusal, "another profile is being made")
	})
	cancel()
	if err := <-hungUp; !errors.Is(err, context.Canceled) {
		t.Errorf("the first one: %v", err)
	}
	await(t, "the next is made", func() bool {
		_, refusal := p.ask("pprof heap")
		return refusal == ""
	})
}

// await waits until ok holds.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
