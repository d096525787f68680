package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"credrpc/client"
)

// actSucceed serves at a path and takes it over. With a second argument it waits for a
// line before it takes.
func actSucceed(args []string) error {
	input := bufio.NewReader(os.Stdin)
	srv := succeeding()
	srv.Takeover, srv.Mode = true, 0o666
	if len(args) > 1 {
		srv.Listening = func() error {
			fmt.Println("listening")
			_, err := input.ReadString('\n')
			fmt.Println("taking")
			return err
		}
	}
	return reportServing(srv, func() error { return srv.ListenAndServe(args[0]) })
}

// actInherit serves on descriptor 3.
func actInherit([]string) error {
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	srv := succeeding()
	return reportServing(srv, func() error { return srv.Serve(l) })
}

// succeeding is a server whose answers are those of sleepy.
func succeeding() *Server {
	return &Server{Handler: sleepy, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), Ready: func() { fmt.Println("ready") }}
}

// A served is what a server says at its end.
type served struct {
	Err      string
	Accepted uint64
	Answered uint64
}

// reportServing serves until the end or SIGTERM, and prints what was served.
func reportServing(srv *Server, serve func() error) error {
	signals, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	down := make(chan struct{})
	go func() {
		defer close(down)
		<-signals.Done()
		srv.Shutdown(context.Background())
	}()
	err := serve()
	if errors.Is(err, ErrServerClosed) {
		<-down
	}
	stats := srv.Stats()
	text, jsonErr := json.Marshal(served{fmt.Sprint(err), stats.Accepted, stats.Answered})
	fmt.Println(string(text))
	return jsonErr
}

// succeed starts a server that takes path over, and waits until it is ready.
func succeed(t testing.TB, path string) *actor {
	t.Helper()
	a := startActor(t, []string{"succeed", path})
	if line := a.line(); line != "ready" {
		t.Fatalf("the successor says %q and logs %s", line, a.log)
	}
	return a
}

// succeedSlowly starts one that stops before it takes. It is let go with goOn.
func succeedSlowly(t testing.TB, path string) *actor {
	t.Helper()
	a := startActor(t, []string{"succeed", path, "wait"})
	if line := a.line(); line != "listening" {
		t.Fatalf("the successor says %q and logs %s", line, a.log)
	}
	return a
}

// goOn lets it take.
func (a *actor) goOn() {
	a.t.Helper()
	a.stdin.Write([]byte("\n"))
	if line := a.line(); line != "taking" {
		a.t.Fatalf("the successor says %q and logs %s", line, a.log)
	}
}

// ending returns what a server says at its end, which the caller has brought about.
func (a *actor) ending() (s served) {
	a.t.Helper()
	line := a.line()
	if err := json.Unmarshal([]byte(line), &s); err != nil {
		a.t.Fatalf("the server says %q at its end", line)
	}
	a.finish()
	return s
}

// terminate ends a server by SIGTERM.
func (a *actor) terminate() served {
	a.t.Helper()
	a.cmd.Process.Signal(syscall.SIGTERM)
	return a.ending()
}

// A traffic is calls without a pause.
type traffic struct {
	t     testing.TB
	calls atomic.Uint64
	done  chan struct{}
	wg    sync.WaitGroup
}

// startTraffic calls path until stop. Every call must get its own answer.
func startTraffic(t testing.TB, path string) *traffic {
	tr := &traffic{t: t, done: make(chan struct{})}
	c := &client.Client{Path: path}
	for i := range 8 {
		tr.wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-tr.done:
					return
				default:
				}
				tr.call(c, i, n)
			}
		})
	}
	return tr
}

func (tr *traffic) call(c *client.Client, i, n int) {
	ask := fmt.Sprintf("q%d/%d", i, n)
	switch {
	case n%50 == 0:
		ask = "s" + ask // sleeps
	case n%50 == 25:
		ask += strings.Repeat(".", 300_000) // takes several pieces
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if got, err := c.Call(ctx, []byte(ask)); err != nil || string(got) != ask {
		tr.t.Errorf("call %.20q: %.20q, %v", ask, got, err)
	}
	tr.calls.Add(1)
}

// stop ends the traffic and returns how many calls were made.
func (tr *traffic) stop() uint64 {
	close(tr.done)
	tr.wg.Wait()
	return tr.calls.Load()
}

// more waits for n more calls.
func (tr *traffic) more(n uint64) {
	from := tr.calls.Load()
	eventually(tr.t, "calls are answered", func() bool { return tr.calls.Load() >= from+n })
}
