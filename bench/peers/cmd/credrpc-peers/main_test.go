package main

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"credrpc/bench/peers"
)

// commandVariable makes the test program the command.
const commandVariable = "CREDRPC_PEERS_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(commandVariable) == "1" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), commandVariable+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// TestServerAndLoad runs both, and ends the server with a signal.
func TestServerAndLoad(t *testing.T) {
	for _, system := range []string{peers.TTRPC, peers.GRPC, peers.NetRPC} {
		path := filepath.Join(t.TempDir(), "s")
		server := command(t, "server", system, path)
		server.Stderr = os.Stderr
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			c, err := net.Dial("unix", path)
			if err == nil {
				c.Close()
				break
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
		load := command(t, "load", system, "--socket", path, "--callers", "3", "--connections", "1", "--seconds", "0.02", "--json")
		load.Stderr = os.Stderr
		out, err := load.Output()
		var r peers.Result
		if err := errors.Join(err, json.Unmarshal(out, &r)); err != nil {
			t.Fatalf("%s: %v\n%s", system, err, out)
		}
		if r.System != system || r.Calls == 0 || r.Errors() != 0 || r.Callers != 3 || r.Connections != 1 {
			t.Errorf("%s: %+v", system, r)
		}
		if err := server.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := server.Wait(); err != nil {
			t.Errorf("%s ended with %v", system, err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the socket is left: %v", system, err)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"server", "other", "s"}, {"server", "credrpc", "s"}, {"server", "ttrpc"}, {"load", "ttrpc"}} {
		var exit *exec.ExitError
		if err := command(t, args...).Run(); !errors.As(err, &exit) || exit.ExitCode() != exitUsage {
			t.Errorf("%q: %v", args, err)
		}
	}
}
