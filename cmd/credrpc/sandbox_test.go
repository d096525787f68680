package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"credrpc/accessdb"
	"credrpc/internal/sys"

	landlock "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// stranger is a user that this machine has given nothing.
const stranger = 54321

// buildDir has the program without cgo; set by withoutCgo, removed by TestMain.
var buildDir string

// withoutCgo returns the program as it has to be built for --sandbox, in a directory
// that everybody may look into.
var withoutCgo = sync.OnceValues(func() (path string, err error) {
	if buildDir, err = os.MkdirTemp("", "credrpc"); err != nil {
		return "", err
	}
	path = filepath.Join(buildDir, "credrpc")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building without cgo: %w: %s", err, out)
	}
	return path, os.Chmod(buildDir, 0o755)
})

// needSandbox is for tests of what not every kernel and user has.
func needSandbox(t *testing.T) {
	t.Helper()
	abi, err := landlock.LandlockGetABIVersion()
	what := ""
	switch {
	case os.Getuid() != 0:
		what = "acting as other users needs root"
	case err != nil || abi < 3:
		what = fmt.Sprintf("the kernel has Landlock ABI %d, the test needs 3 (%v)", abi, err)
	default:
		if _, err := os.Stat("/proc/sys/kernel/seccomp/actions_avail"); err == nil {
			return
		}
		what = "the kernel has no seccomp filters"
	}
	if os.Getenv("CREDRPC_CI") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// A sandboxed is "credrpc serve --sandbox".
type sandboxed struct {
	t      *testing.T
	path   string
	cmd    *exec.Cmd
	stderr *bufio.Reader
	said   string // about the sandbox
	before string // all that it said before it served
}

// serveSandboxed starts a server as uid, with its socket in a directory of that user.
func serveSandboxed(t *testing.T, uid uint32, args ...string) *sandboxed {
	t.Helper()
	dir := tempDir(t)
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chown(dir, int(uid), int(uid))); err != nil {
		t.Fatal(err)
	}
	s := &sandboxed{t: t, path: filepath.Join(dir, "s")}
	s.cmd = sandboxCommand(t, uid, append([]string{"serve", "--listen", s.path, "--mode=0666", "--sandbox"}, args...)...)
	pipe, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill(); s.cmd.Wait() })
	s.stderr = bufio.NewReader(pipe)
	for {
		line, err := s.stderr.ReadString('\n')
		if err != nil {
			t.Fatalf("it ends: %q, %v", line, err)
		}
		s.before += line
		if strings.Contains(line, "sandbox in force") {
			s.said = line
		}
		if strings.Contains(line, " msg=serving ") {
			return s
		}
	}
}

// sandboxCommand returns the program, to be run by uid.
func sandboxCommand(t *testing.T, uid uint32, args ...string) *exec.Cmd {
	t.Helper()
	program, err := withoutCgo()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program, args...)
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	return cmd
}

// expect lets uid call, and checks what the program says.
func (s *sandboxed) expect(uid uint32, request, want string) {
	s.t.Helper()
	cmd := sandboxCommand(s.t, uid, "call", s.path, request)
	if got, _ := cmd.CombinedOutput(); !strings.Contains(string(got), want) {
		s.t.Errorf("uid %d gets %q, want %q", uid, got, want)
	}
}

// stop ends the server with SIGTERM and checks what it leaves behind.
func (s *sandboxed) stop() {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	awaitLine(s.t, s.stderr, " msg=stopping")
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("the server ended with %v", err)
	}
	if _, err := os.Lstat(s.path); !errors.Is(err, fs.ErrNotExist) {
		s.t.Errorf("the socket is left: %v", err)
	}
	if _, err := os.Lstat(s.path + ".lock"); err != nil {
		s.t.Errorf("the lock is gone: %v", err)
	}
}

// TestSandboxEcho serves without rules, as root and as somebody else.
func TestSandboxEcho(t *testing.T) {
	needSandbox(t)
	for _, uid := range []uint32{0, stranger} {
		for _, flags := range [][]string{nil, {"--on-loop"}, {"--loops=2"}} {
			s := serveSandboxed(t, uid, flags...)
			if !strings.Contains(s.said, " sandbox.landlock=") || !strings.Contains(s.said, " sandbox.capabilities=none sandbox.read=none ") {
				t.Errorf("it says %q", s.said)
			}
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
			if err != nil || !strings.Contains(string(status), "CapEff:\t0000000000000000") || !strings.Contains(string(status), "Seccomp:\t2") {
				t.Errorf("%s, %v", status, err)
			}
			s.expect(0, "hello", "hello")
			s.expect(stranger, strings.Repeat("long", 10000), "longlong")
			s.cmd.Process.Signal(syscall.SIGHUP)
			awaitLine(t, s.stderr, "there are no rules to load")
			s.stop()
		}
	}
}

// TestSandboxRules replaces rules by rename: with SIGHUP and without, and with bad ones.
func TestSandboxRules(t *testing.T) {
	needSandbox(t)
	dir := tempDir(t)
	rules, link := filepath.Join(dir, "rules.cdb"), filepath.Join(tempDir(t), "link.cdb")
	if err := os.Symlink(rules, link); err != nil {
		t.Fatal(err)
	}
	key := fmt.Sprintf("uid/%d", stranger)
	for _, path := range []string{rules, link} {
		writeRules(t, rules, accessdb.Rule{Key: key, Decision: accessdb.Allow})
		s := serveSandboxed(t, 0, "--handler=whoami", "--rules", path)
		s.expect(stranger, "", fmt.Sprintf(`"rule":%q`, key))
		s.expect(0, "", "access denied")

		writeRules(t, rules, accessdb.Rule{Key: "uid/0", Decision: accessdb.Allow})
		s.cmd.Process.Signal(syscall.SIGHUP)
		awaitLine(t, s.stderr, "SIGHUP: rules loaded")
		s.expect(stranger, "", "access denied")
		s.expect(0, "", `"rule":"uid/0"`)

		if err := os.WriteFile(rules, []byte("not a database"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.cmd.Process.Signal(syscall.SIGHUP)
		awaitLine(t, s.stderr, "SIGHUP: the rules in force stay")
		s.expect(0, "", `"rule":"uid/0"`)

		writeRules(t, rules, accessdb.Rule{Key: key, Decision: accessdb.Allow})
		awaitLine(t, s.stderr, "access rules in force") // noticed
		s.expect(stranger, "", fmt.Sprintf(`"rule":%q`, key))
		s.stop()
	}
}

// TestSandboxRulesDirectory reads rules at every call.
func TestSandboxRulesDirectory(t *testing.T) {
	needSandbox(t)
	dir := tempDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "uid", fmt.Sprint(stranger), "env"), 0o755); err != nil {
		t.Fatal(err)
	}
	allow := filepath.Join(dir, "uid", fmt.Sprint(stranger), "allow")
	role := filepath.Join(dir, "uid", fmt.Sprint(stranger), "env", "ROLE")
	if err := errors.Join(os.WriteFile(allow, nil, 0o644), os.WriteFile(role, []byte("tester"), 0o644)); err != nil {
		t.Fatal(err)
	}
	s := serveSandboxed(t, 0, "--handler=whoami", "--rules", dir)
	s.expect(stranger, "", `"env":["ROLE=tester"]`)
	if err := os.Remove(allow); err != nil {
		t.Fatal(err)
	}
	s.expect(stranger, "", "access denied")
	s.stop()
}

// TestSandboxExec runs programs: they work, they may do no more than the server, and
// they are killed when their callers hang up.
func TestSandboxExec(t *testing.T) {
	needSandbox(t)
	dir := tempDir(t)
	if err := os.WriteFile(filepath.Join(dir, "known"), []byte("known\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "script") // outside of /usr
	text := `#!/bin/sh
		read -r command
		case $command in
		read) cat ` + dir + `/known;;
		write) echo new > ` + dir + `/new && cat ` + dir + `/new;;
		shadow) cat /etc/shadow 2>&1; echo "status $?";;
		chmod) chmod 777 ` + dir + `/known 2>&1; echo "status $?";;
		set) grep -c . /proc/self/status 2>&1; id -u;;
		sleep) sleep 60;;
		pipe) seq 1000 | sort -n | tail -n 1;;
		esac`
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, uid := range []uint32{0, stranger} {
		s := serveSandboxed(t, uid, "--handler=exec", "--without-rules", "--max-programs=1", "--sandbox-read", dir, "--", script)
		s.expect(0, "read\n", "known\n")
		s.expect(stranger, "pipe\n", "1000\n")
		s.expect(stranger, "shadow\n", "Permission denied\nstatus 1\n")
		s.expect(0, "chmod\n", "Operation not permitted\nstatus 1\n")
		s.expect(0, "write\n", "Permission denied")
		s.expect(0, "set\n", fmt.Sprintf("Permission denied\n%d\n", uid))
		// The only place for a program is free again at once.
		hangUp := sandboxCommand(t, 0, "call", "--timeout=200ms", s.path, "sleep\n")
		if out, err := hangUp.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("deadline")) {
			t.Errorf("a caller that hangs up: %q, %v", out, err)
		}
		begin := time.Now()
		s.expect(0, "read\n", "known\n")
		if d := time.Since(begin); d > patience/2 {
			t.Errorf("the program of a caller that has gone held its place for %v", d)
		}
		s.stop()
	}
	s := serveSandboxed(t, 0, "--handler=exec", "--without-rules", "--sandbox-write", dir, "--", script)
	s.expect(0, "write\n", "new\n")
	s.stop()
}

// TestSandboxFails serves nothing where later something could not be done.
func TestSandboxFails(t *testing.T) {
	needSandbox(t)
	theirs := tempDir(t)
	rules := filepath.Join(theirs, "rules.cdb")
	writeRules(t, rules, accessdb.Rule{Key: "uid/default", Decision: accessdb.Allow})
	if err := errors.Join(os.Chown(theirs, stranger, stranger), os.Chown(rules, stranger, stranger)); err != nil {
		t.Fatal(err)
	}
	sockets := filepath.Join(tempDir(t), "sockets")
	if err := errors.Join(os.Mkdir(sockets, 0o755), os.Chown(sockets, stranger, stranger)); err != nil {
		t.Fatal(err)
	}
	free := filepath.Join(tempDir(t), "s")
	for _, row := range []struct {
		name, want, socket string
		args               []string
	}{
		{"a path that is missing", `--sandbox-read "/none": no such file`, free, []string{"--sandbox-read=/none"}},
		{"a capability that is none", `"CHOWN" is not a name`, free, []string{"--sandbox-capability=CHOWN"}},
		{"rules of somebody else", "permission denied", free, []string{"--rules", rules}},
		{"a directory of somebody else", "CAP_DAC_OVERRIDE", filepath.Join(sockets, "s"), []string{"--allow-untrusted-directory"}},
		{"an untrusted directory", "add --allow-untrusted-directory", filepath.Join(sockets, "s"), nil},
	} {
		out, err := sandboxCommand(t, 0, append([]string{"serve", "--sandbox", "--listen", row.socket}, row.args...)...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.Contains(string(out), row.want) {
			t.Errorf("%s: %v, %q", row.name, err, out)
		}
		if bytes.Contains(out, []byte("serving")) {
			t.Errorf("%s: it serves: %q", row.name, out)
		}
	}
	s := serveSandboxed(t, 0, "--rules", rules, "--sandbox-capability=CAP_DAC_READ_SEARCH")
	s.expect(0, "hello", "hello")
	s.stop()
}

// TestSandboxCgo says what to do about a program that cannot have a sandbox.
func TestSandboxCgo(t *testing.T) {
	if sys.PrctlAllThreads(unix.PR_GET_NO_NEW_PRIVS, 0, 0) != unix.ENOTSUP {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatal("this test binary is built without cgo")
		}
		t.Skip("this test binary is built without cgo")
	}
	socket := filepath.Join(tempDir(t), "s")
	out, err := program(t, "serve", "--sandbox", "--listen", socket).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "CGO_ENABLED=0") {
		t.Errorf("%v, %q", err, out)
	}
	if _, err := os.Lstat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

// TestSandboxUsage has flags that mean nothing.
func TestSandboxUsage(t *testing.T) {
	path := filepath.Join(tempDir(t), "s")
	for _, row := range []struct{ want, args string }{
		{"--sandbox keeps", "--sandbox-read=/etc"},
		{"--sandbox keeps", "--sandbox-capability=CAP_CHOWN"},
		{"is empty", "--sandbox --sandbox-read="},
		{"--handler exec only", "--sandbox --sandbox-execute=/usr"},
		{"--handler exec only", "--sandbox --sandbox-write=/tmp"},
		{`--sandbox-read ".": want an absolute path`, "--sandbox --sandbox-read=/etc --sandbox-read=."},
	} {
		status, _, stderr := result("", append([]string{"serve", "--listen", path}, strings.Fields(row.args)...)...)
		if status != exitUsage || !strings.Contains(stderr, row.want) {
			t.Errorf("%s: %d, %q", row.args, status, stderr)
		}
	}
}
