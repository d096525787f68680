package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"credrpc/client"
)

// TestServe serves under load with the strictest sandbox that lets the socket be
// removed: with collections all the time, and with far more threads than before.
func TestServe(t *testing.T) {
	needRoot(t)
	needKernel(t, 1)
	for _, uid := range []uint32{0, stranger} {
		t.Run(fmt.Sprintf("uid=%d", uid), func(t *testing.T) {
			dir := testDir(t)
			if err := os.Chown(dir, int(uid), int(uid)); err != nil {
				t.Fatal(err)
			}
			a := startActor(t, "serve", uid, script{Options: Options{Remove: []string{dir}}, Dir: dir}, "GOGC=1")
			a.tell()
			path := filepath.Join(dir, "s")
			load(t, path)
			threads := a.statuses()
			if len(threads) < blockers {
				t.Errorf("only %d threads", len(threads))
			}
			for _, thread := range threads {
				expectConfined(t, thread, uid == 0)
			}
			a.cmd.Process.Signal(syscall.SIGTERM)
			if err := a.end(); err != nil {
				t.Errorf("the server ended with %v", err)
			}
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the socket is left: %v", err)
			}
			if _, err := os.Lstat(path + ".lock"); err != nil {
				t.Errorf("the lock is gone: %v", err)
			}
		})
	}
}

// TestNothingRefused looks for calls that serving and stopping make, and that the
// sandbox refuses: some would only be missed on a bad day.
func TestNothingRefused(t *testing.T) {
	needRoot(t)
	needKernel(t, 1)
	if _, err := exec.LookPath("strace"); err != nil {
		lacking(t, "strace is not installed")
	}
	dir := testDir(t)
	trace := filepath.Join(dir, "trace")
	a := startActor(t, "serve", 0, script{Options: Options{Remove: []string{dir}}, Dir: dir, Trace: trace}, "GOGC=1")
	a.tell()
	path := filepath.Join(dir, "s")
	load(t, path)
	// A call that is in flight when the server stops.
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("\x00\x00\x00\x02a"))
	// A call that is answered later shows that this one is accepted.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	later := client.Client{Path: path}
	for _, size := range []int{1, 100_000} { // large answers are followed until they are read
		if _, err := later.Call(ctx, make([]byte, size)); err != nil {
			t.Error(err)
		}
	}
	time.AfterFunc(100*time.Millisecond, func() { c.Write([]byte("b")) })
	if err := a.end(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	text, err := os.ReadFile(trace)
	if err != nil || !bytes.Contains(text, []byte("EAGAIN")) {
		t.Fatalf("a trace without the usual failures: %d bytes, %v", len(text), err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "epoll_ctl") {
			continue // regular files cannot be waited for (epoll_ctl(2), EPERM)
		}
		if strings.Contains(line, "= -1 EPERM") || strings.Contains(line, "= -1 EACCES") || strings.Contains(line, "= -1 ENOSYS") {
			t.Errorf("refused: %s", line)
		}
	}
}

// load makes calls of all sizes, and so many that block that each needs a thread.
func load(t *testing.T, path string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := client.Client{Path: path}
	check := func(payload []byte) error {
		answer, err := c.Call(ctx, payload)
		if err == nil && !bytes.Equal(answer, payload) {
			err = fmt.Errorf("%d bytes became %d", len(payload), len(answer))
		}
		return err
	}
	var callers sync.WaitGroup
	for range blockers {
		callers.Go(func() {
			if err := check([]byte("block")); err != nil {
				t.Errorf("a call that blocks: %v", err)
			}
		})
	}
	for i := range 8 {
		callers.Go(func() {
			for k := range 100 {
				if err := check([]byte(strings.Repeat("x", (1000*i+k*k)%(1<<16)))); err != nil {
					t.Errorf("a call: %v", err)
					return
				}
			}
		})
	}
	callers.Wait()
}
