package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"credrpc/accessdb"
	"credrpc/audit"
)

// scrape asks for the metrics at network and address.
func scrape(t *testing.T, network, address string) string {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport, Timeout: patience}).Get("http://localhost/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", response.Status, err)
	}
	return string(text)
}

// auditRecords returns the records of a log file once there are n of calls.
func auditRecords(t *testing.T, path string, n int) (calls []audit.Record) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		calls = nil
		for line := range strings.Lines(string(text)) {
			var r audit.Record
			if json.Unmarshal([]byte(line), &r) == nil && r.Event == audit.EventCall {
				calls = append(calls, r)
			}
		}
		if len(calls) >= n {
			return calls
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d records in %s: %s", n, path, text)
		}
	}
}

// contains checks that text has all lines.
func contains(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+text, "\n"+line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
}

// TestMetrics serves metrics on a socket and on a loopback address: the numbers are those
// of the calls made, and both end with the server.
func TestMetrics(t *testing.T) {
	socket := filepath.Join(tempDir(t), "m")
	for _, tt := range []struct{ network, flag string }{{"unix", "unix:" + socket}, {"tcp", "127.0.0.1:0"}} {
		cmd := program(t, "serve", "--listen", filepath.Join(tempDir(t), "s"), "--metrics", tt.flag)
		path := cmd.Args[3]
		pipe, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		stderr := bufio.NewReader(pipe)
		address := servesMetrics(t, stderr)
		awaitLine(t, stderr, " msg=serving ")
		const calls = 11
		for range calls {
			if status, _, stderr := result("", "call", path, "hello"); status != exitOK {
				t.Fatalf("%d, %q", status, stderr)
			}
		}
		contains(t, scrape(t, tt.network, address),
			fmt.Sprintf(`credrpc_calls_total{outcome="answered"} %d`, calls),
			fmt.Sprintf(`credrpc_call_duration_seconds_count %d`, calls),
			fmt.Sprintf(`credrpc_received_bytes_total %d`, calls*(4+5)),
			fmt.Sprintf(`credrpc_sent_bytes_total %d`, calls*(8+5)),
			`credrpc_calls_refused_total{reason="access"} 0`)
		if info, err := os.Lstat(socket); tt.network == "unix" && (err != nil || info.Mode() != fs.ModeSocket|0o600) {
			t.Errorf("the socket: %v, %v", info, err)
		}
		cmd.Process.Signal(syscall.SIGTERM)
		awaitLine(t, stderr, " msg=stopping")
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
		if _, err := os.Lstat(socket); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket is left: %v", err)
		}
	}
}

// servesMetrics returns where a server says that it serves metrics.
func servesMetrics(t *testing.T, from *bufio.Reader) string {
	t.Helper()
	for {
		line, err := from.ReadString('\n')
		if found := regexp.MustCompile(`msg="serving metrics" on=(\S+)`).FindStringSubmatch(line); found != nil {
			return found[1]
		}
		if err != nil {
			t.Fatalf("%q, %v", line, err)
		}
	}
}

// TestMetricsTakenOver has a server taken over: the next one serves the metrics of both
// kinds of address.
func TestMetricsTakenOver(t *testing.T) {
	dir := tempDir(t)
	path, socket := filepath.Join(dir, "s"), filepath.Join(dir, "m")
	first := takeOver(t, path, "--metrics", "unix:"+socket)
	if status, _, stderr := result("", "call", path, "hello"); status != exitOK {
		t.Fatalf("%d, %q", status, stderr)
	}
	contains(t, scrape(t, "unix", socket), `credrpc_calls_total{outcome="answered"} 1`)
	second := takeOver(t, path, "--metrics", "unix:"+socket)
	awaitLine(t, first.stderr, ` msg="taken over"`)
	if err := first.cmd.Wait(); err != nil {
		t.Errorf("the first one ended with %v", err)
	}
	contains(t, scrape(t, "unix", socket), `credrpc_calls_total{outcome="answered"} 0`)
	second.cmd.Process.Signal(syscall.SIGTERM)
	if err := second.cmd.Wait(); err != nil {
		t.Errorf("the second one ended with %v", err)
	}

	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	first = takeOver(t, path, "--metrics", address)
	takeOver(t, path, "--metrics", address)
	if err := first.cmd.Wait(); err != nil {
		t.Errorf("the first one ended with %v", err)
	}
	contains(t, scrape(t, "tcp", address), `credrpc_calls_total{outcome="answered"} 0`)
}

// TestAudit writes denied calls to a file, which is rotated, and all calls to standard
// error.
func TestAudit(t *testing.T) {
	rules, log := filepath.Join(tempDir(t), "rules.cdb"), filepath.Join(tempDir(t), "audit")
	writeRules(t, rules, accessdb.Rule{Key: fmt.Sprintf("uid/%d", os.Getuid()), Decision: accessdb.Deny})
	path, cmd, stderr := serve(t, "--rules", rules, "--audit=denied", "--audit-to", log)
	for _, file := range []string{log, log + ".1"} {
		result("", "call", path, "hello")
		r := auditRecords(t, log, 1)[0]
		if r.Outcome != "refused" || r.Reason != "access" || r.Peer == nil || r.Peer.UID != uint32(os.Getuid()) || r.Peer.PID != os.Getpid() || r.Hint == nil || r.Hint.Executable == "" {
			t.Errorf("%s: %+v, hint %+v", file, r, r.Hint)
		}
		if file == log {
			if err := os.Rename(log, log+".1"); err != nil {
				t.Fatal(err)
			}
			cmd.Process.Signal(syscall.SIGHUP)
			awaitLine(t, stderr, "audit file opened again")
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if text, err := os.ReadFile(log); err != nil || !strings.HasSuffix(string(text), `"event":"end","bytes_in":0,"bytes_out":0,"seconds":0}`+"\n") {
		t.Errorf("%s, %v", text, err)
	}

	path, _, stderr = serve(t, "--audit=all")
	result("", "call", path, "hello")
	awaitLine(t, stderr, `"event":"call","outcome":"answered"`)
}

// TestLogFormat checks that every line is JSON, and that the level counts.
func TestLogFormat(t *testing.T) {
	cmd := program(t, "serve", "--listen", filepath.Join(tempDir(t), "s"), "--log-format=json", "--metrics=127.0.0.1:0")
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewScanner(pipe)
	var said []string
	for lines.Scan() {
		var line struct{ Time, Level, Msg string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Errorf("%q: %v", lines.Text(), err)
		}
		said = append(said, line.Msg)
		if line.Msg == "serving" {
			cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	if want := []string{"serving metrics", "serving", "stopping"}; !slices.Equal(said, want) {
		t.Errorf("%q, want %q", said, want)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestLogLevel checks that a server of which only errors are logged says nothing, but what
// is wrong about its flags, as text whatever the format.
func TestLogLevel(t *testing.T) {
	path := filepath.Join(tempDir(t), "s")
	var said bytes.Buffer
	cmd := program(t, "serve", "--listen", path, "--log-format=json", "--log-level=error")
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if status, _, stderr := result("", "call", path, "x"); status == exitOK {
			break
		} else if time.Since(begin) > patience {
			t.Fatal(stderr)
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil || said.Len() > 0 {
		t.Errorf("%v, %q", err, said.String())
	}
	for flags, want := range map[string]string{
		"--listen=" + path + " --max-calls=0":         "credrpc: --max-calls: want at least 1\n",
		"--listen=/nonexistent/s":                     "credrpc: server: ",
		"--listen=" + path + " --listen=/nonexistent": "credrpc: --listen is given more than once; for several sockets run a server each, or --listen systemd:\n",
	} {
		if status, _, stderr := result("", append([]string{"serve", "--log-format=json"}, strings.Fields(flags)...)...); status == exitOK || !strings.HasPrefix(stderr, want) {
			t.Errorf("%s: %d, %q", flags, status, stderr)
		}
	}
}

// TestTold has the log say why a service ends that has served, and the program why one
// cannot begin.
func TestTold(t *testing.T) {
	failure := errors.New("out of sockets")
	for ready, want := range map[int]string{0: "", 1: `"msg":"the service has failed","error":"out of sockets"`} {
		var said bytes.Buffer
		v := &service{ready: ready, log: (&logFlags{LogFormat: "json"}).logger(&said)}
		var exit *exitError
		err := v.told(failure)
		if !strings.Contains(said.String(), want) || (said.Len() > 0) != (ready > 0) || errors.Is(err, failure) != (ready == 0) {
			t.Errorf("%d ready: %v, %q", ready, err, said.String())
		}
		if ready > 0 && (!errors.As(err, &exit) || exit.status != exitFailed || exit.err != nil) {
			t.Errorf("it ends with %+v", err)
		}
		if v.told(nil) != nil {
			t.Error("an end that was asked for is an error")
		}
	}
}

// TestSandboxWatched has metrics and an audit log inside the sandbox.
func TestSandboxWatched(t *testing.T) {
	needSandbox(t)
	dir := tempDir(t)
	rules, log := filepath.Join(tempDir(t), "rules.cdb"), filepath.Join(dir, "audit")
	writeRules(t, rules, accessdb.Rule{Key: "uid/0", Decision: accessdb.Allow})
	for _, tt := range []struct {
		metrics, network string
		flags            []string
		reopened         string
	}{
		{"unix:" + filepath.Join(dir, "m"), "unix", []string{"--sandbox-write", dir, "--sandbox-read", "/proc"}, "audit file opened again"},
		{"127.0.0.1:0", "tcp", nil, "the audit file in use stays"},
	} {
		flags := append([]string{"--rules", rules, "--audit=denied", "--audit-to", log, "--metrics", tt.metrics}, tt.flags...)
		s := serveSandboxed(t, 0, flags...)
		address := regexp.MustCompile(`msg="serving metrics" on=(\S+)`).FindStringSubmatch(s.before)
		if address == nil {
			t.Fatalf("it says %q", s.before)
		}
		before := len(auditRecords(t, log, 0))
		s.expect(stranger, "", "access denied")
		s.expect(0, "hello", "hello")
		if r := auditRecords(t, log, before+1)[before]; r.Peer == nil || r.Peer.UID != stranger {
			t.Errorf("%+v", r)
		}
		contains(t, scrape(t, tt.network, address[1]), `credrpc_calls_refused_total{reason="access"} 1`, `credrpc_calls_total{outcome="answered"} 1`, `credrpc_audit_records_total 1`)
		if ofProcess := strings.Contains(scrape(t, tt.network, address[1]), "\nprocess_cpu_seconds_total "); ofProcess != slices.Contains(tt.flags, "/proc") {
			t.Errorf("%v: metrics of the process: %v", tt.flags, ofProcess)
		}
		s.cmd.Process.Signal(syscall.SIGHUP)
		awaitLine(t, s.stderr, tt.reopened)
		s.expect(stranger, "", "access denied")
		auditRecords(t, log, before+2)
		s.stop()
		if _, err := os.Lstat(filepath.Join(dir, "m")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket for metrics is left: %v", err)
		}
	}
}

// TestWatchUsage has flags that mean nothing, and addresses that others can reach.
func TestWatchUsage(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"--metrics=unix:", "want a path"},
		{"--metrics=unix:@x", "abstract"},
		{"--metrics=unix:/x --metrics-mode=9", "--metrics-mode"},
		{"--metrics=unix:/x --metrics-any-address", "--metrics-any-address"},
		{"--metrics-mode=0660", "--metrics-mode"},
		{"--metrics=9436", "127.0.0.1:9436"},
		{"--metrics=127.0.0.1:http", "127.0.0.1:9436"},
		{"--metrics=127.0.0.1:99999", "127.0.0.1:9436"},
		{"--metrics=example.org:9436", "numeric"},
		{"--metrics=0.0.0.0:9436", "--metrics-any-address"},
		{"--metrics=:9436", "127.0.0.1:9436"},
		{"--metrics=[::]:9436", "--metrics-any-address"},
		{"--metrics=192.0.2.1:9436", "--metrics-any-address"},
		{"--audit-to=x", "--audit denied"},
		{"--audit-rate=5", "--audit denied"},
		{"--audit=denied --audit-to=", "--audit-to: is empty"},
		{"--audit=denied --audit-sample=0.5", "--audit all"},
		{"--audit=all --audit-sample=0", "more than 0"},
		{"--audit=all --audit-sample=NaN", "more than 0"},
		{"--audit=all --audit-rate=0", "--audit-rate"},
		{"--audit=all --audit-max-size=5", "--audit-to"},
		{"--audit=all --audit-to=x --audit-max-size=-5", "--audit-max-size"},
		{"--audit=some", "--audit"},
		{"--log-format=xml", "--log-format"},
		{"--log-level=loud", "--log-level"},
		{"--sandbox --sandbox-write=/tmp --audit=all", "--audit-to PATH"},
	} {
		socket := filepath.Join(tempDir(t), "s")
		args := append([]string{"serve", "--listen", socket}, strings.Fields(tt.args)...)
		if status, out, stderr := result("", args...); status != exitUsage || out != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: %d, %q, %q", tt.args, status, out, stderr)
		}
	}
}

// TestAuditFails checks status 1 where records have no place, before anything is served.
func TestAuditFails(t *testing.T) {
	dir := tempDir(t)
	socket, link := filepath.Join(dir, "s"), filepath.Join(dir, "link")
	if err := os.Symlink("/dev/null", link); err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{link: "symbolic link", filepath.Join(dir, "none", "x"): "no such file"} {
		if status, _, stderr := result("", "serve", "--listen", socket, "--audit=all", "--audit-to", to); status != exitFailed || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d, %q", to, status, stderr)
		}
	}
	taken := filepath.Join(dir, "taken")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := result("", "serve", "--listen", socket, "--metrics", "unix:"+taken); status != exitFailed || !strings.Contains(stderr, "--metrics") || !strings.Contains(stderr, "not a socket") {
		t.Errorf("%d, %q", status, stderr)
	}
	if _, err := os.Lstat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}
