package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"credrpc/bench/reference"
	programs "credrpc/internal/program"

	"golang.org/x/sys/unix"
)

// TestExec runs a program for each call: what it writes, how it fails, what it is
// told.
func TestExec(t *testing.T) {
	path, _, _ := serve(t, "--handler=exec", "--without-rules", "--max-payload=100000", "--", "sh", "-c", `
		read -r command
		case $command in
		who) echo $IPCREMOTEPID $IPCREMOTEEUID $IPCREMOTEEGID $IPCLOCALPATH "${IPCRULE-no rule}" "$@";;
		fail) echo it failed >&2; exit 3;;
		much) head -c 100001 /dev/zero;;
		esac`, "name", "--flag", "two words")
	who := fmt.Sprintf("%d %d %d %s no rule --flag two words\n", os.Getpid(), os.Geteuid(), os.Getegid(), path)
	for _, row := range []struct {
		request, out, err string
		status            int
	}{
		{"who\n", who, "", exitOK},
		{"fail\n", "", "it failed\n", exitFailed},
		{"much\n", "", "the program's output is too large\n", exitFailed},
		{"else\n", "", "", exitOK},
	} {
		if status, out, stderr := result(row.request, "call", path); status != row.status || out != row.out || stderr != row.err {
			t.Errorf("%q: %d, %q, %q", row.request, status, out, stderr)
		}
	}
}

// TestExecInteroperability lets the naive client call a program, which is this
// program calling the naive server.
func TestExecInteroperability(t *testing.T) {
	naive := filepath.Join(tempDir(t), "naive")
	ref := &reference.Server{Handler: func(payload []byte, sender *unix.Ucred) ([]byte, error) {
		if len(payload) == 0 {
			return nil, errors.New("nothing to say")
		}
		return bytes.ToUpper(payload), nil
	}}
	go ref.ListenAndServe(naive)
	defer ref.Close()
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial("unix", naive)
		if err == nil {
			c.Close()
			break
		}
		if time.Since(begin) > patience {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path, _, _ := serve(t, "--handler=exec", "--without-rules", "--", "env", "CREDRPC_TEST_PROGRAM=1", self, "call", naive)
	client := reference.Client{Path: path}
	for _, size := range []int{1, 100_000} {
		if got, err := client.Call(bytes.Repeat([]byte("x"), size)); err != nil || !bytes.Equal(got, bytes.Repeat([]byte("X"), size)) {
			t.Errorf("%d bytes: %d, %v", size, len(got), err)
		}
	}
	var remote *reference.RemoteError
	if got, err := client.Call(nil); !errors.As(err, &remote) || remote.Text != "nothing to say" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestExecInherits checks that neither descriptors nor variables which the server was
// started with reach a program.
func TestExecInherits(t *testing.T) {
	path := filepath.Join(tempDir(t), "s")
	cmd := program(t, "serve", "--listen", path, "--handler=exec", "--without-rules", "--", "sh", "-c", "env; echo /proc/self/fd/*")
	cmd.Env = append(cmd.Env, "LD_BIND_NOW=1", "SECRET=1")
	cmd.ExtraFiles = []*os.File{os.Stderr, os.Stdin} // 3 and 4
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if line, err := bufio.NewReader(pipe).ReadString('\n'); !strings.HasSuffix(line, " msg=serving handler=exec on="+path+"\n") {
		t.Fatalf("the server says %q, %v", line, err)
	}
	status, out, stderr := result("", "call", path)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	// The shell sets PWD, and has the directory that it lists as descriptor 3.
	if status != exitOK || len(lines) != 8 || lines[7] != "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3" || strings.Contains(out, "SECRET") || strings.Contains(out, "LD_") {
		t.Errorf("%d, %q, %q", status, out, stderr)
	}
}

// TestExecStops checks that SIGTERM lets a program end that runs, and answers its
// caller.
func TestExecStops(t *testing.T) {
	dir := tempDir(t)
	path, cmd, _ := serve(t, "--handler=exec", "--without-rules", "--", "sh", "-c",
		fmt.Sprintf("cd %s && : >started && while ! [ -e go ]; do sleep 0.01; done; echo done", dir))
	type answer struct {
		status   int
		out, err string
	}
	answered := make(chan answer, 1)
	go func() {
		var a answer
		a.status, a.out, a.err = result("", "call", path)
		answered <- a
	}()
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "started")); err == nil {
			break
		} else if time.Since(begin) > patience {
			t.Fatal(err)
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			break // the server stops
		} else if time.Since(begin) > patience {
			t.Fatal("the socket stays")
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := <-answered; got != (answer{exitOK, "done\n", ""}) {
		t.Errorf("%+v", got)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); errors.As(err, &exit) {
		t.Errorf("the server ended with %v", err)
	}
}

// TestExecUsage checks status 2, and that the flag is named.
func TestExecUsage(t *testing.T) {
	path := filepath.Join(tempDir(t), "s")
	for _, tt := range []struct{ args, want string }{
		{"--handler exec", "-- PROGRAM"},
		{"--handler exec --", "-- PROGRAM"},
		{"--handler exec -- cat", "--without-rules"},
		{"--handler exec --without-rules cat --flag", "--flag"},
		{"--handler exec --without-rules -- no-such-program", `"no-such-program"`},
		{"--handler exec --without-rules -- /etc/passwd", "permission denied"},
		{"--handler exec --without-rules --on-loop -- cat", "--on-loop"},
		{"--handler exec --without-rules --max-programs 0 -- cat", "--max-programs"},
		{"--handler echo -- cat", "--handler exec only"},
		{"--max-programs 3", "--handler exec only"},
		{"--without-rules", "--handler exec only"},
	} {
		args := append([]string{"serve", "--listen", path}, strings.Fields(tt.args)...)
		if status, out, stderr := result("", args...); status != exitUsage || out != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: %d, %q, %q", tt.args, status, out, stderr)
		}
	}
	if _, out, _ := result("", "serve", "--help"); !strings.Contains(out, fmt.Sprintf("(%d)", programs.DefaultMaxPrograms)) {
		t.Errorf("--help does not say that %d is the default of --max-programs: %s", programs.DefaultMaxPrograms, out)
	}
}
