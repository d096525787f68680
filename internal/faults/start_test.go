package faults

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"credrpc/client"
)

// TestFaultyStart has one system call of a server's start fail. It serves without, or
// it ends with an error and leaves no socket; and the next start serves.
func TestFaultyStart(t *testing.T) {
	needTracing(t)
	served, ended := 0, 0
	for _, f := range []struct {
		call, errno string
		first       int // which call is the first to fail
	}{
		{"socket", "EMFILE", 1},
		{"fchmod", "EPERM", 1},
		{"bind", "EACCES", 1},
		{"bind", "EADDRINUSE", 1},
		{"listen", "EADDRINUSE", 1},
		{"setsockopt", "ENOMEM", 1},
		{"flock", "ENOLCK", 1},
		{"flock", "EAGAIN", 1},
		{"eventfd2", "EMFILE", 1},
		{"epoll_create1", "EMFILE", 1},
		{"epoll_ctl", "ENOSPC", 5}, // those before are the runtime's
		{"chmod", "EPERM", 1},
		{"prlimit64", "EPERM", 1},
	} {
		for when := range 3 {
			name := fmt.Sprintf("%s=%s:when=%d", f.call, f.errno, f.first+when)
			dir := tempDir(t)
			path := filepath.Join(dir, "s")
			p := startTraced(t, path, "inject="+strings.Replace(name, "=", ":error=", 1))
			if p.serving() {
				served++
				if err := ordinary(&client.Client{Path: path}, []byte("hello")); err != nil {
					t.Errorf("%s: it serves, but: %v", name, err)
				}
				continue
			}
			ended++
			t.Logf("%s: %s", name, strings.SplitN(p.log.String(), "\n", 2)[0])
			if said := p.log.String(); p.cmd.ProcessState.Success() || !strings.Contains(said, "credrpc: server: ") && !strings.Contains(said, "fatal error: runtime") {
				t.Errorf("%s: %v, and said %q", name, p.cmd.ProcessState, said)
			}
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: it left a socket: %v", name, err)
			}
			next := start(t, path)
			if !next.serving() {
				t.Errorf("%s: the next server does not start: %s", name, &next.log)
			}
			next.kill()
		}
	}
	t.Logf("%d starts that served, %d that ended", served, ended)
	if served == 0 || ended == 0 {
		t.Error("both have to occur")
	}
}

// startTraced is start under strace, which makes calls fail from the first one on.
func startTraced(t *testing.T, path, inject string) *process {
	t.Helper()
	server, err := program()
	if err != nil {
		t.Fatal(err)
	}
	// -D: the process that is started is the server, and strace watches from elsewhere.
	return run(t, exec.Command("strace", "-D", "-f", "-o", filepath.Join(filepath.Dir(path), "calls"),
		"-e", "signal=none", "-e", inject, server, "serve", "--listen", path))
}
