package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"credrpc/accessdb"
	"credrpc/client"
	"credrpc/control"
)

// serveControlled starts a server with a control socket.
func serveControlled(t *testing.T, args ...string) (path, operators string, cmd *exec.Cmd, stderr *bufio.Reader) {
	t.Helper()
	operators = filepath.Join(tempDir(t), "c")
	path, cmd, stderr = serve(t, append([]string{"--control", operators}, args...)...)
	return path, operators, cmd, stderr
}

// controlStats asks a server how it does.
func controlStats(t *testing.T, operators string) (s control.Stats) {
	t.Helper()
	status, out, stderr := result("", "call", operators, "stats")
	if err := json.Unmarshal([]byte(out), &s); status != exitOK || err != nil {
		t.Fatalf("%d, %q, %q, %v", status, out, stderr, err)
	}
	return s
}

// TestControl gives the commands with the program that operators have.
func TestControl(t *testing.T) {
	dir := tempDir(t)
	rules := filepath.Join(dir, "rules.cdb")
	writeRules(t, rules, accessdb.Rule{Key: "uid/default", Decision: accessdb.Allow})
	path, operators, cmd, stderr := serveControlled(t, "--rules", rules)
	if info, err := os.Lstat(operators); err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("the control socket is %v, %v", info, err)
	}
	checkEcho(t, path)
	expect := func(command string, status int, want string) {
		t.Helper()
		got, out, stderr := result("", "call", operators, command)
		if got != status || out+stderr != want {
			t.Errorf("%s: %d, %q, %q; want %d, %q", command, got, out, stderr, status, want)
		}
	}
	writeRules(t, rules, accessdb.Rule{Key: "uid/7", Decision: accessdb.Allow})
	expect("reload", exitOK, "rules loaded\n")
	expectCall(t, path, exitFailed, "access denied\n")
	if err := os.WriteFile(rules, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, text := result("", "call", operators, "reload"); status != exitFailed || !strings.HasPrefix(text, "the rules in force stay: accessdb: ") {
		t.Errorf("%d, %q", status, text)
	}
	expect("log-level debug", exitOK, "debug, before info\n")
	expect("log-level", exitOK, "debug\n")
	if s := controlStats(t, operators); s.PID != cmd.Process.Pid || s.Calls.Answered != 1 || s.Calls.Refused["access"] != 1 || s.Rules.Generation != 2 || s.Rules.Failures != 1 {
		t.Errorf("%+v", s)
	}
	awaitLine(t, stderr, `level=DEBUG msg="operator's command" command=stats`)
	if _, out, _ := result("", "call", operators, "pprof heap"); !strings.HasPrefix(out, "\x1f\x8b") {
		t.Errorf("the profile begins with %.10q", out)
	}
	expect("pprof x", exitFailed, "pprof \"x\": want pprof cpu|trace DURATION, pprof heap|goroutine\n")
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(operators); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the control socket is left: %v", err)
	}
}

// TestControlStrangers lets other users ask, in vain unless rules say otherwise.
func TestControlStrangers(t *testing.T) {
	needSandbox(t)                          // root, and a program that others may run
	if _, err := withoutCgo(); err != nil { // first, since servers wait for a limited time
		t.Fatal(err)
	}
	rules := filepath.Join(tempDir(t), "rules.cdb")
	writeRules(t, rules, accessdb.Rule{Key: fmt.Sprintf("uid/%d", stranger), Decision: accessdb.Allow})
	open := func(flags ...string) (operators string) {
		t.Helper()
		_, operators, _, _ = serveControlled(t, flags...)
		if err := os.Chmod(filepath.Dir(operators), 0o755); err != nil {
			t.Fatal(err)
		}
		return operators
	}
	expect := func(uid uint32, operators, want string) {
		t.Helper()
		if got, _ := sandboxCommand(t, uid, "call", operators, "help").CombinedOutput(); !strings.Contains(string(got), want) {
			t.Errorf("uid %d gets %q, want %q", uid, got, want)
		}
	}
	closed := open()
	expect(stranger, closed, "permission denied") // of the kernel: nobody else can connect
	expect(0, closed, "stats [USERS]")
	wide := open("--control-mode=0666")
	expect(stranger, wide, "access denied")
	expect(0, wide, "stats [USERS]")
	ruled := open("--control-mode=0666", "--control-rules", rules)
	expect(stranger, ruled, "stats [USERS]")
	expect(stranger+1, ruled, "access denied")
	expect(0, ruled, "access denied")
	// What strangers try is not told apart from what is denied, and counts for nobody.
	if s := controlStats(t, wide); s.Calls.Accepted != 0 || len(s.Users) != 0 {
		t.Errorf("calls of operators are among those of callers: %+v", s)
	}
	theirs := serveSandboxed(t, stranger, "--control="+filepath.Join(tempDirOf(t, stranger), "c"), "--control-mode=0666")
	operators := strings.TrimPrefix(theirs.cmd.Args[len(theirs.cmd.Args)-2], "--control=")
	expect(stranger, operators, "stats [USERS]")
	expect(0, operators, "stats [USERS]")
	expect(stranger+1, operators, "access denied")
	theirs.stop()
}

// tempDirOf returns a directory of a user.
func tempDirOf(t *testing.T, uid int) string {
	t.Helper()
	dir := tempDir(t)
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chown(dir, uid, uid)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestDrainUnderLoad drains while callers call without a pause and one call takes long.
// Every call is answered, or has never reached the server.
func TestDrainUnderLoad(t *testing.T) {
	fifo := filepath.Join(tempDir(t), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	script := `read -r ask; if [ "$ask" = hold ]; then cat ` + fifo + `; else printf %s "$ask"; fi`
	path, operators, cmd, stderr := serveControlled(t, "--handler=exec", "--without-rules", "--", "/bin/sh", "-c", script)
	c := &client.Client{Path: path}
	var answered, unreachable atomic.Int64
	call := func(ask, want string) (again bool) {
		got, err := c.Call(t.Context(), []byte(ask))
		switch {
		case err == nil && string(got) == want:
			answered.Add(1)
			return true
		case errors.Is(err, client.ErrUnreachable):
			unreachable.Add(1)
		default:
			t.Errorf("call %s: %q, %v", ask, got, err)
		}
		return false
	}
	var held, others sync.WaitGroup
	held.Go(func() { call("hold", "held") })
	for i := range 8 {
		others.Go(func() {
			for n := 0; call(fmt.Sprint(i, n), fmt.Sprint(i, n)); n++ {
			}
		})
	}
	awaitStats(t, operators, func(s *control.Stats) bool { return s.Calls.Answered >= 50 })
	status, out, text := result("", "call", operators, "drain")
	if status != exitOK || !strings.HasPrefix(out, "draining: the server accepts no more, and ends when the calls in flight, ") {
		t.Errorf("%d, %q, %q", status, out, text)
	}
	awaitLine(t, stderr, " msg=stopping")
	others.Wait() // nobody can connect any more
	// The server lives until the long call is answered, and tells so.
	s := awaitStats(t, operators, func(s *control.Stats) bool { return s.Calls.InFlight == 1 })
	if s.Calls.Answered != uint64(answered.Load()) || s.Calls.Failed+s.Calls.Dropped+s.Calls.RefusedTotal() != 0 || unreachable.Load() != 8 {
		t.Errorf("%d calls were answered, %d callers found nobody, the server says %+v", answered.Load(), unreachable.Load(), s.Calls)
	}
	if err := os.WriteFile(fifo, []byte("held"), 0); err != nil {
		t.Fatal(err)
	}
	held.Wait()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ends with %v", err)
	}
	for _, socket := range []string{path, operators} {
		if _, err := os.Lstat(socket); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", socket, err)
		}
	}
}

// awaitStats asks until ok holds.
func awaitStats(t *testing.T, operators string, ok func(*control.Stats) bool) control.Stats {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		s := controlStats(t, operators)
		if ok(&s) {
			return s
		}
		if time.Since(begin) > patience {
			t.Fatalf("not within %v: %+v", patience, s)
		}
	}
}

// TestControlSandbox has all commands work after the sandbox has taken what it takes.
func TestControlSandbox(t *testing.T) {
	needSandbox(t)
	for _, uid := range []int{0, stranger} {
		operators := filepath.Join(tempDirOf(t, uid), "c")
		s := serveSandboxed(t, uint32(uid), "--control", operators)
		ask := func(command string) string {
			t.Helper()
			out, _ := sandboxCommand(t, 0, "call", operators, command).CombinedOutput()
			return string(out)
		}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { // something to see in the profile
			c := client.Client{Path: s.path}
			for {
				select {
				case <-stop:
					return
				default:
					c.Call(context.Background(), make([]byte, 100000))
				}
			}
		})
		for begin := time.Now(); ; {
			profile := ask("pprof cpu 200ms")
			if strings.Contains(unzipped(t, profile), "credrpc/server.(*") {
				break // functions have names where there was something to see
			}
			if time.Since(begin) > patience/2 {
				t.Errorf("uid %d: there is nothing in the profile: %q", uid, unzipped(t, profile))
				break
			}
		}
		close(stop)
		wg.Wait()
		if heap := ask("pprof heap"); !strings.HasPrefix(heap, "\x1f\x8b") {
			t.Errorf("uid %d: the heap's profile is %.80q", uid, heap)
		}
		if got := ask("reload"); got != "there are no rules to load\n" {
			t.Errorf("uid %d: reload: %q", uid, got)
		}
		var stats control.Stats
		if err := json.Unmarshal([]byte(ask("stats")), &stats); err != nil || stats.Calls.Answered == 0 || stats.Process.CPU == 0 {
			t.Errorf("uid %d: %+v, %v", uid, stats, err)
		}
		s.stop()
		if _, err := os.Lstat(operators); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("uid %d: the control socket is left: %v", uid, err)
		}
	}
}

// unzipped returns what is in a profile.
func unzipped(t *testing.T, profile string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(profile))
	if err != nil {
		t.Fatalf("%.80q: %v", profile, err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestControlTakeover hands the control socket on with the main one. Whoever asks is
// always answered, by one server or the other.
func TestControlTakeover(t *testing.T) {
	dir := tempDir(t)
	path, operators := filepath.Join(dir, "s"), filepath.Join(dir, "c")
	server := takeOver(t, path, "--control", operators)
	done := make(chan struct{})
	var asked atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		c := client.Client{Path: operators}
		for {
			select {
			case <-done:
				return
			default:
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			if _, err := c.Call(ctx, []byte("stats")); err != nil {
				t.Errorf("while it changes hands: %v", err)
			}
			cancel()
			asked.Add(1)
		}
	})
	for range 4 {
		next := takeOver(t, path, "--control", operators)
		if s := controlStats(t, operators); s.PID != next.cmd.Process.Pid {
			t.Errorf("process %d answers, want %d", s.PID, next.cmd.Process.Pid)
		}
		begin := time.Now()
		server.takenOver(t)
		if d := time.Since(begin); d > patience/2 {
			t.Errorf("the server that was taken over ended after %v", d)
		}
		server = next
	}
	close(done)
	wg.Wait()
	if asked.Load() < 4 {
		t.Errorf("only %d questions", asked.Load())
	}
	// Who has none takes none over.
	next := takeOver(t, path)
	server.takenOver(t)
	if _, err := os.Lstat(operators); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the control socket is left: %v", err)
	}
	checkEcho(t, path)
	// The next one makes it anew.
	last := takeOver(t, path, "--control", operators)
	next.takenOver(t)
	if s := controlStats(t, operators); s.PID != last.cmd.Process.Pid {
		t.Errorf("process %d answers, want %d", s.PID, last.cmd.Process.Pid)
	}
}

// TestControlTakeoverSandbox hands the control socket to a server that could not make
// one any more when it gets it, and on from there.
func TestControlTakeoverSandbox(t *testing.T) {
	needSandbox(t)
	if _, err := withoutCgo(); err != nil {
		t.Fatal(err)
	}
	dir := tempDir(t)
	path, operators := filepath.Join(dir, "s"), filepath.Join(dir, "c")
	server := takeOver(t, path, "--control", operators)
	for range 2 {
		next := startTaker(t, sandboxCommand(t, 0, "serve", "--takeover", "--listen", path, "--control", operators, "--sandbox"))
		awaitLine(t, next.stderr, " msg=serving ")
		if s := controlStats(t, operators); s.PID != next.cmd.Process.Pid {
			t.Errorf("process %d answers, want %d", s.PID, next.cmd.Process.Pid)
		}
		server.takenOver(t)
		server = next
	}
}

// TestControlFails serves nothing without the control socket that was asked for, and
// leaves a running server alone.
func TestControlFails(t *testing.T) {
	dir := tempDir(t)
	path, operators := filepath.Join(dir, "s"), filepath.Join(dir, "c")
	open := tempDir(t)
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		status     int
		args, want string
	}{
		"a directory that is missing": {exitFailed, "--control " + dir + "/none/c", "--control: server: listen on "},
		"an abstract name":            {exitUsage, "--control @c", `--control: "@c" is abstract, no permissions protect it; want a path`},
		"the main socket":             {exitUsage, "--control " + dir + "/./s", "--listen, --control: both would make "},
		"the socket of metrics":       {exitUsage, "--takeover --control " + operators + " --metrics unix:" + operators, "--control, --metrics: both would make "},
		"what is beside another":      {exitUsage, "--takeover --control " + path + ".takeover", "--listen, --control: both would make "},
		"where records go":            {exitUsage, "--audit all --audit-to " + path + ".lock", "--listen, --audit-to: both would make "},
		"where others could replace":  {exitFailed, "--allow-untrusted-directory --control " + open + "/c", "choose a directory that only root or this user can write to\n"},
		"a mode that is none":         {exitUsage, "--control " + operators + " --control-mode 999", `--control-mode "999": want an octal number`},
		"rules without a socket":      {exitUsage, "--control-rules x", "make one with --control"},
		"a mode without a socket":     {exitUsage, "--control-mode 0666", "make one with --control"},
		"no rules":                    {exitUsage, "--control-rules= --control " + operators, "--control-rules: is empty"},
		"rules that are missing":      {exitFailed, "--control-rules " + dir + "/none --control " + operators, "--control-rules: accessdb: "},
	} {
		status, _, stderr := result("", append([]string{"serve", "--listen", path}, strings.Fields(tt.args)...)...)
		if status != tt.status || !strings.Contains(stderr, tt.want) || strings.Contains(stderr, "serving") {
			t.Errorf("%s: %d, %q; want %d, %q", name, status, stderr, tt.status, tt.want)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the socket is left: %v", name, err)
		}
	}
	server := takeOver(t, path, "--control", operators)
	status, _, stderr := result("", "serve", "--takeover", "--listen", path, "--control", operators, "--control-mode=0660")
	if status != exitFailed || !strings.Contains(stderr, "has mode 0600, want 0660") {
		t.Errorf("%d, %q", status, stderr)
	}
	checkEcho(t, path)
	if s := controlStats(t, operators); s.PID != server.cmd.Process.Pid {
		t.Errorf("process %d answers, want %d", s.PID, server.cmd.Process.Pid)
	}
}
