package program

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"credrpc/server"
)

// TestKilled looks at each reason to end a program, with a shell that has a child in
// the background and one in the foreground. All three are gone afterwards.
func TestKilled(t *testing.T) {
	for _, row := range []struct {
		name    string
		timeout time.Duration
		end     func(srv *server.Server, hangUp context.CancelFunc)
		text    string // that the caller is told, "" if it is told nothing
	}{
		{"the deadline", 300 * time.Millisecond, func(*server.Server, context.CancelFunc) {}, "the call took too long"},
		{"the caller hangs up", time.Hour, func(_ *server.Server, hangUp context.CancelFunc) { hangUp() }, ""},
		{"the server closes", time.Hour, func(srv *server.Server, _ context.CancelFunc) { srv.Close() }, "server is closing"},
	} {
		t.Run(row.name, func(t *testing.T) {
			// A deadline that has passed before the shell has begun shows nothing.
			for timeout := row.timeout; ; timeout *= 2 {
				srv := &server.Server{CallTimeout: timeout}
				group, text := killShell(t, srv, func(hangUp context.CancelFunc) { row.end(srv, hangUp) })
				if text != row.text {
					t.Errorf("the caller is told %q", text)
				}
				eventually(t, "the group is gone", func() bool { return !slices.ContainsFunc(group, alive) })
				nothingLeft(t)
				if len(group) > 0 {
					break
				}
				if timeout > patience {
					t.Fatal("the shell never begins")
				}
			}
		})
	}
}

// killShell has srv run a shell with two children, calls end once they all run, and
// returns which processes they were and what the caller was told. group is nil if the
// call was over before that.
func killShell(t *testing.T, srv *server.Server, end func(hangUp context.CancelFunc)) (group []int, text string) {
	pids := filepath.Join(t.TempDir(), "pids")
	script := fmt.Sprintf("sleep 1000 & echo $$ >%s; echo some output; sleep 1000; true", pids)
	path := serve(t, srv, Config{Program: []string{"sh", "-c", script}})
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	answered := make(chan error, 1)
	go func() {
		_, err := callUntil(ctx, path, "")
		answered <- err
	}()
	for begin := time.Now(); len(group) < 3; time.Sleep(time.Millisecond) {
		select {
		case err := <-answered:
			return nil, remoteText(err)
		default:
		}
		if time.Since(begin) > 2*patience {
			t.Fatal("the shell has no children and the call does not end")
		}
		group = groupOf(pids)
	}
	end(hangUp)
	return group, remoteText(<-answered)
}

// groupOf returns the group whose leader has written its number to a file.
func groupOf(file string) (group []int) {
	text, err := os.ReadFile(file)
	leader, bad := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || bad != nil || !strings.HasSuffix(string(text), "\n") {
		return nil
	}
	for _, p := range processes() {
		if p.group == leader {
			group = append(group, p.pid)
		}
	}
	return group
}

// TestTooMuchOutput checks that a program is ended that goes on after its output has
// become too large, and its group with it.
func TestTooMuchOutput(t *testing.T) {
	path := serve(t, &server.Server{CallTimeout: time.Hour}, Config{MaxOutput: 10,
		Program: []string{"sh", "-c", "trap '' PIPE; sleep 1000 & echo 01234567890123456789; sleep 1000; true"}})
	if _, err := call(t, path, ""); remoteText(err) != "the program's output is too large" {
		t.Errorf("%v", err)
	}
	nothingLeft(t)
}

// TestDescendants checks that nobody waits for a descendant that holds the pipes
// open; that one in the program's group is killed, and that one which has left it is
// not.
func TestDescendants(t *testing.T) {
	path := serve(t, &server.Server{CallTimeout: time.Hour}, Config{})
	if got, err := call(t, path, "fanswer"); got != "answer" {
		t.Errorf("in the group: %q, %v", got, err)
	}
	eventually(t, "the descendant is gone", func() bool { return len(running()) == 0 })
	if got, err := call(t, path, "Fanswer"); got != "answer" {
		t.Errorf("out of the group: %q, %v", got, err)
	}
	left := running()
	if len(left) != 1 {
		t.Fatalf("%d descendants are left", len(left))
	}
	syscall.Kill(left[0], syscall.SIGKILL)
	nothingLeft(t)
}

// TestEndless checks that a descendant which has left the group and writes without
// end does not make the answer endless.
func TestEndless(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	script := fmt.Sprintf("setsid sh -c 'echo $$ >%s; exec yes' & while ! [ -s %s ]; do :; done; exit 0", pid, pid)
	path := serve(t, &server.Server{CallTimeout: time.Hour}, Config{MaxOutput: 1 << 20, Program: []string{"sh", "-c", script}})
	if got, err := call(t, path, ""); strings.Trim(got, "y\n") != "" || err != nil && remoteText(err) != "the program's output is too large" {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	text, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	// Nobody reads: SIGPIPE has ended it.
	eventually(t, "the writer is gone", func() bool { return !alive(n) })
	nothingLeft(t)
}

// TestEndedBefore looks at a program that has ended before anything of its output is
// read: all of it is in the pipes.
func TestEndedBefore(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, row := range []struct {
		script, answer string
		err            string
	}{
		{"yes | head -c 60000", strings.Repeat("y\n", 30000), ""},
		{"yes | head -c 60000; echo it failed >&2; exit 1", "", "it failed"},
	} {
		c, err := start(command{path: "/bin/sh", arguments: []string{"sh", "-c", row.script}, environment: []string{"PATH=" + safePath}})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the program has ended", func() bool {
			p, ok := readProcess(c.pid)
			return ok && p.state == "Z"
		})
		out := output{limit: 60000}
		status, err := c.run(t.Context(), []byte("request"), &out)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := out.result(status)
		if string(answer) != row.answer || (err == nil) != (row.err == "") || err != nil && err.Error() != row.err {
			t.Errorf("%q: %d bytes, %v", row.script, len(answer), err)
		}
	}
	nothingLeft(t)
}

// TestServerDies kills a server that runs a program, which gets SIGKILL then.
func TestServerDies(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	cmd, lines := startRole(t, "serve", path, toolPath(t))
	if !lines.Scan() {
		t.Fatal("the server has not started")
	}
	answered := make(chan error, 1)
	go func() {
		_, err := callUntil(t.Context(), path, "s")
		answered <- err
	}()
	eventually(t, "the program runs", func() bool { return len(running()) == 1 })
	cmd.Process.Kill()
	if err := <-answered; err == nil || remoteText(err) != "" {
		t.Errorf("the caller is told %v", err)
	}
	eventually(t, "the program is gone", func() bool { return len(running()) == 0 })
}
