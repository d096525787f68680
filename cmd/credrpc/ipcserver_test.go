package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestIPCServerUsage leaves everything behind the command's name to the command.
func TestIPCServerUsage(t *testing.T) {
	if status, out, stderr := result("", "--help"); status != exitOK || !strings.Contains(out, "ipcserver") || stderr != "" {
		t.Errorf("%d, %q, %q", status, out, stderr)
	}
	for _, tt := range []struct {
		args        string
		status      int
		out, stderr string
	}{
		{"--help", exitOK, "Usage: credrpc ipcserver [options] path prog...\n", ""},
		{"-h", exitOK, "Usage: credrpc ipcserver [options] path prog...\n", ""},
		{"", 100, "", "credrpc ipcserver: want a path and a program\n"},
		{"-vcx path prog --help", 100, "", "credrpc ipcserver: -c \"x\": want a number\n"},
		{"-- path", 100, "", "credrpc ipcserver: want a path and a program\n"},
	} {
		status, out, stderr := result("", append([]string{"ipcserver"}, strings.Fields(tt.args)...)...)
		if status != tt.status || !strings.HasPrefix(out, tt.out) || !strings.HasPrefix(stderr, tt.stderr) || (tt.stderr == "") != (stderr == "") {
			t.Errorf("%q: %d, %q, %q", tt.args, status, out, stderr)
		}
	}
}

// TestIPCServer runs a program that has options like those of the command.
func TestIPCServer(t *testing.T) {
	path := filepath.Join(tempDir(t), "s")
	cmd := program(t, "ipcserver", "-v1", "--", path, "sh", "-c", "echo $1 $IPCREMOTEEUID", "-v", "--help")
	ready, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if notice, err := io.ReadAll(ready); string(notice) != "\n" || err != nil {
		t.Fatalf("%q, %v", notice, err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	want := "--help " + strconv.Itoa(os.Getuid()) + "\n"
	if answer, err := io.ReadAll(c); string(answer) != want || err != nil {
		t.Errorf("want %q, got %q, %v", want, answer, err)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
