package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"credrpc/client"
)

// takeovers is how many servers follow each other, or what the environment says.
func takeovers(t *testing.T) int {
	text := os.Getenv("CREDRPC_TAKEOVERS")
	if text == "" {
		return 10
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A taker is "credrpc serve --takeover".
type taker struct {
	cmd    *exec.Cmd
	stderr *bufio.Reader
}

// startTaker starts cmd, which is killed with the test.
func startTaker(t *testing.T, cmd *exec.Cmd) *taker {
	t.Helper()
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return &taker{cmd, bufio.NewReader(pipe)}
}

// takeOver starts a server that takes path over, and waits until it serves.
func takeOver(t *testing.T, path string, flags ...string) *taker {
	t.Helper()
	tk := startTaker(t, program(t, append([]string{"serve", "--takeover", "--listen", path}, flags...)...))
	awaitLine(t, tk.stderr, " msg=serving ")
	return tk
}

// takenOver waits until tk has ended because another server has the socket.
func (tk *taker) takenOver(t *testing.T) {
	t.Helper()
	awaitLine(t, tk.stderr, ` msg="taken over" on=`)
	if err := tk.cmd.Wait(); err != nil {
		t.Errorf("the server that was taken over ends with %v", err)
	}
}

// end kills tk.
func (tk *taker) end() {
	tk.cmd.Process.Kill()
	tk.cmd.Wait()
}

// TestTakeovers lets programs follow each other under load, by turns this one and,
// where there are sandboxes, one without cgo in a sandbox.
func TestTakeovers(t *testing.T) {
	sandbox := false
	t.Run("in a sandbox", func(t *testing.T) {
		needSandbox(t)
		sandbox = true
	})
	path := filepath.Join(tempDir(t), "s")
	server := takeOver(t, path)
	var calls, failed atomic.Int64
	done := make(chan struct{})
	c := &client.Client{Path: path}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				ask := fmt.Sprintf("%d/%d%s", i, n, strings.Repeat(".", n%50*2000))
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				if got, err := c.Call(ctx, []byte(ask)); err != nil || string(got) != ask {
					failed.Add(1)
					t.Errorf("call %.20q: %.20q, %v", ask, got, err)
				}
				cancel()
				calls.Add(1)
			}
		})
	}
	n := takeovers(t)
	for i := range n {
		for from, begin := calls.Load(), time.Now(); calls.Load() < from+50; time.Sleep(time.Millisecond) {
			if time.Since(begin) > patience {
				t.Fatal("no calls are answered")
			}
		}
		var next *taker
		if sandbox && i%2 == 0 {
			next = startTaker(t, sandboxCommand(t, 0, "serve", "--takeover", "--listen", path, "--sandbox"))
			awaitLine(t, next.stderr, "sandbox in force")
			awaitLine(t, next.stderr, " msg=serving ")
		} else {
			next = takeOver(t, path)
		}
		server.takenOver(t)
		server = next
	}
	close(done)
	wg.Wait()
	t.Logf("%d takeovers, %d calls, %d failed", n, calls.Load(), failed.Load())
	server.end()
}

// TestTakeoverKilled kills the running server or its successor at moments all over the
// successor's start. Whatever is left, the next server starts at once.
func TestTakeoverKilled(t *testing.T) {
	const moments = 8
	dir := tempDir(t)
	begin := time.Now()
	takeOver(t, filepath.Join(dir, "measure")).end()
	start := time.Since(begin)
	for moment := range 2 * moments {
		path := filepath.Join(dir, strconv.Itoa(moment))
		server := takeOver(t, path)
		next := startTaker(t, program(t, "serve", "--takeover", "--listen", path))
		time.Sleep(start * time.Duration(moment/2) * 5 / (4 * moments)) // beyond the whole start
		if moment%2 == 0 {
			server.end()
			awaitLine(t, next.stderr, " msg=serving ") // it has taken over, or begins anew
			checkEcho(t, path)
		} else {
			next.end()
			if status, _, _ := result("x", "call", "--timeout=5s", path); status != exitOK {
				// It was killed between take and serving: the other one ends.
				server.takenOver(t)
			}
		}
		server.end()
		next.end()
		plain := startTaker(t, program(t, "serve", "--listen", path))
		awaitLine(t, plain.stderr, " msg=serving ")
		checkEcho(t, path)
		plain.end()
	}
}

func checkEcho(t *testing.T, path string) {
	t.Helper()
	if status, out, stderr := result("x", "call", path); status != exitOK || out != "x" {
		t.Errorf("%d, %q, %q", status, out, stderr)
	}
}

// TestTakeoverFails has successors that cannot serve. The running server goes on.
func TestTakeoverFails(t *testing.T) {
	dir := tempDir(t)
	path, rules := filepath.Join(dir, "s"), filepath.Join(dir, "rules.cdb")
	if err := os.WriteFile(rules, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	takeOver(t, path)
	for _, tt := range []struct{ flags, want string }{
		{"--rules " + rules, "rules.cdb"},
		{"--mode 0666", "has mode 0600, want 0666"},
		{"--sandbox --sandbox-read " + dir + "/missing", "no such file"},
		{"--sandbox --sandbox-capability CHOWN", "sandbox"},
	} {
		status, _, stderr := result("", append([]string{"serve", "--takeover", "--listen", path}, strings.Fields(tt.flags)...)...)
		if status != exitFailed || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: %d, %q", tt.flags, status, stderr)
		}
		checkEcho(t, path)
	}
}
