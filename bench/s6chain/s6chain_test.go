package s6chain

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"credrpc/accessdb"
	"credrpc/bench/floor"
	"credrpc/client"
	"credrpc/internal/leak"
)

// TestMain fails if a test leaves a goroutine or a descriptor behind.
func TestMain(m *testing.M) { os.Exit(leak.Run(m)) }

// start starts the chain with one rule for this process's user, and returns its
// socket and its rules. It skips the test where something is missing.
func start(t *testing.T, decision accessdb.Decision) (socket, rules string) {
	t.Helper()
	dir := t.TempDir()
	socket, rules = filepath.Join(dir, "s"), filepath.Join(dir, "rules.cdb")
	writeRules(t, rules, decision)
	echo, err := Compile(t.Context(), dir)
	if err == nil {
		var command []string
		if command, err = Command(socket, rules, echo); err == nil {
			run(t, command, socket)
			return socket, rules
		}
	}
	if errors.Is(err, ErrUnavailable) && os.Getenv("CREDRPC_CI") != "1" {
		t.Skip(err)
	}
	t.Fatal(err)
	return "", ""
}

// writeRules replaces the rules.
func writeRules(t *testing.T, path string, decision accessdb.Decision) {
	t.Helper()
	b, err := accessdb.Create(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := errors.Join(b.Add(accessdb.Rule{Key: "uid/" + strconv.Itoa(os.Geteuid()), Decision: decision}), b.Commit()); err != nil {
		t.Fatal(err)
	}
}

// run starts a command that listens at socket, and ends it with the test.
func run(t *testing.T, command []string, socket string) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestEcho(t *testing.T) {
	socket, _ := start(t, accessdb.Allow)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := client.Client{Path: socket, MaxResponse: MaxPayload}
	for _, size := range []int{0, 1, 32, 1 << 20} {
		payload := bytes.Repeat([]byte("payload "), size/8+1)[:size]
		if answer, err := c.Call(ctx, payload); err != nil || !bytes.Equal(answer, payload) {
			t.Errorf("%d bytes: answer of %d, %v", size, len(answer), err)
		}
	}
	if answer, err := c.Call(ctx, make([]byte, MaxPayload+1)); err == nil {
		t.Errorf("a payload over the limit: answer of %d bytes", len(answer))
	}
	// More at once than the default of s6-ipcserver.
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			if answer, err := c.Call(ctx, []byte("x")); err != nil || string(answer) != "x" {
				t.Errorf("one of many: %q, %v", answer, err)
			}
		})
	}
	callers.Wait()
}

// TestRulesDecide has rules that deny, and replaces them.
func TestRulesDecide(t *testing.T) {
	socket, rules := start(t, accessdb.Deny)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := client.Client{Path: socket}
	if answer, err := c.Call(ctx, []byte("x")); err == nil {
		t.Errorf("denied, and answered %q", answer)
	}
	writeRules(t, rules, accessdb.Allow)
	if answer, err := c.Call(ctx, []byte("x")); err != nil || string(answer) != "x" {
		t.Errorf("allowed: %q, %v", answer, err)
	}
}

func TestUnavailable(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if command, err := Command("s", "rules", "echo"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%q, %v", command, err)
	}
	if path, err := Compile(t.Context(), t.TempDir()); !errors.Is(err, ErrUnavailable) || !errors.Is(err, floor.ErrNoCompiler) {
		t.Errorf("%q, %v", path, err)
	}
}
