package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"credrpc/internal/leak"
	"credrpc/server"
	"credrpc/servertest"
)

// patience bounds every wait of a test that is about to fail.
const patience = 20 * time.Second

// TestMain makes the test binary the program itself when it is started so.
func TestMain(m *testing.M) {
	if os.Getenv("CREDRPC_TEST_PROGRAM") == "1" {
		main()
	}
	status := leak.Run(m)
	os.RemoveAll(buildDir)
	os.Exit(status)
}

// program returns the program as a child process.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), "CREDRPC_TEST_PROGRAM=1")
	return cmd
}

// result runs the program in this process.
func result(in string, args ...string) (status int, out, err string) {
	var stdout, stderr bytes.Buffer
	status = run(args, streams{strings.NewReader(in), &stdout, &stderr})
	return status, stdout.String(), stderr.String()
}

// serve starts "credrpc serve" and waits until it is ready.
func serve(t *testing.T, args ...string) (path string, cmd *exec.Cmd, stderr *bufio.Reader) {
	t.Helper()
	path = filepath.Join(tempDir(t), "s")
	cmd = program(t, append([]string{"serve", "--listen", path}, args...)...)
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	stderr = bufio.NewReader(pipe)
	awaitLine(t, stderr, " msg=serving ") // after what it logs of rules
	return path, cmd, stderr
}

// awaitLine reads lines until one contains text.
func awaitLine(t *testing.T, from *bufio.Reader, text string) {
	t.Helper()
	for {
		line, err := from.ReadString('\n')
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			t.Fatalf("no line with %q: %v", text, err)
		}
	}
}

// tempDir returns a directory whose path leaves room for a socket's name.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "credrpc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// TestEcho checks that answers come out as they are, from either source.
func TestEcho(t *testing.T) {
	for _, flags := range [][]string{nil, {"--on-loop"}, {"--loops=2", "--max-calls=10"}, {"--rate-per-uid=0.5", "--burst-per-uid=2"}} {
		path, _, _ := serve(t, flags...)
		for _, payload := range []string{"", "hello", "two\nlines\n", string(make([]byte, 100000))} {
			if status, out, stderr := result(payload, "call", path); status != exitOK || out != payload || stderr != "" {
				t.Errorf("%v, from standard input, %d bytes: %d, %d bytes, %q", flags, len(payload), status, len(out), stderr)
			}
			if strings.HasPrefix(payload, "\x00") {
				continue
			}
			if status, out, stderr := result("not this", "call", path, payload); status != exitOK || out != payload || stderr != "" {
				t.Errorf("%v, argument %q: %d, %q, %q", flags, payload, status, out, stderr)
			}
		}
	}
}

// TestWhoami checks the answer against what the test knows of itself.
func TestWhoami(t *testing.T) {
	path, _, _ := serve(t, "--handler", "whoami")
	status, out, stderr := result("", "call", path)
	type ids struct{ PID, UID, GID int }
	var got struct{ Sender, Peer ids }
	want := ids{os.Getpid(), os.Getuid(), os.Getgid()}
	if err := json.Unmarshal([]byte(out), &got); status != exitOK || err != nil || got.Sender != want || got.Peer != want {
		t.Errorf("%d, %q, %q, %v", status, out, stderr, err)
	}
	if !strings.HasPrefix(out, `{"sender":{"pid":`) {
		t.Errorf("%q", out)
	}
}

// TestRemoteError checks status 1, and that a terminal is safe from the text.
func TestRemoteError(t *testing.T) {
	srv := servertest.Start(t, &server.Server{Handler: server.Plain(func(request []byte, _ server.Credentials) ([]byte, error) {
		return nil, errors.New(string(request))
	})})
	for text, want := range map[string]string{
		"no such thing":   "no such thing\n",
		"größer\ntwo":     "größer\ntwo\n",
		"\x1b[31mred":     `"\x1b[31mred"` + "\n",
		"not \xff UTF-8":  `"not \xff UTF-8"` + "\n",
		"":                "unspecified error\n",
		"100% d\tpercent": "100% d\tpercent\n",
	} {
		if status, out, stderr := result(text, "call", srv.Path); status != exitFailed || out != "" || stderr != want {
			t.Errorf("%q: %d, %q, %q", text, status, out, stderr)
		}
	}
}

// TestUnreachable checks status 3.
func TestUnreachable(t *testing.T) {
	dir := tempDir(t)
	garbage := alwaysAnswers(t, filepath.Join(dir, "garbage"), "garbage")
	large := alwaysAnswers(t, filepath.Join(dir, "large"), "\x00\x00\x00\x00\x00\x00\x00\x02hi")
	silent := filepath.Join(dir, "silent")
	s, err := net.Listen("unix", silent)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, tt := range []struct {
		name, path, want string
		args             []string
	}{
		{"no such socket", filepath.Join(dir, "none"), "no such file or directory", nil},
		{"not the protocol", garbage, "over the limit of 1048576; the server does not speak the protocol", nil},
		{"a large answer", large, "over the limit of 1; --max-answer allows more", []string{"--max-answer=1"}},
		{"never answers", silent, "deadline exceeded", []string{"--timeout=50ms"}},
	} {
		status, out, stderr := result("x", append([]string{"call", tt.path}, tt.args...)...)
		if status != exitUnreachable || out != "" || !strings.HasPrefix(stderr, "credrpc: ") || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: %d, %q, %q", tt.name, status, out, stderr)
		}
	}
}

// alwaysAnswers listens at path, answers whatever comes and returns path.
func alwaysAnswers(t *testing.T, path, answer string) string {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.WriteString(c, answer); io.Copy(io.Discard, c); c.Close() }()
		}
	}()
	return path
}

// TestUsage checks status 2, and that the flag is named.
func TestUsage(t *testing.T) {
	path := filepath.Join(tempDir(t), "s")
	for _, tt := range []struct{ args, want string }{
		{"", "expected one of"},
		{"dance", "dance"},
		{"call", "<path>"},
		{"call p x --timeout=-1s", "--timeout"},
		{"call p x --max-answer=0", "--max-answer"},
		{"serve", "--listen"},
		{"serve --listen P --mode 0", "--mode"},
		{"serve --listen P --mode 7777", "--mode"},
		{"serve --listen P --mode rw", "--mode"},
		{"serve --listen P --owner no-such-user", "--owner"},
		{"serve --listen P --group 4294967295", "--group"},
		{"serve --listen P --handler dance", "--handler"},
		{"serve --listen P --max-payload 0", "--max-payload"},
		{"serve --listen P --max-payload 200000000", "--max-payload"},
		{"serve --listen P --timeout 0s", "--timeout"},
		{"serve --listen P --max-calls 0", "--max-calls"},
		{"serve --listen P --rate-per-uid=-1", "--rate-per-uid"},
		{"serve --listen P --rate-per-uid=NaN", "--rate-per-uid"},
		{"serve --listen P --rate-per-uid=1 --burst-per-uid=-1", "--burst-per-uid"},
		{"serve --listen P --burst-per-uid=1", "--rate-per-uid"},
		{"serve --listen @abstract --mode 0660", "abstract"},
		{"serve --listen @abstract --takeover", "abstract"},
		{"serve --listen P --loops=-1", "--loops"},
		{"serve --listen P --no-such-flag", `Run "credrpc serve --help"`},
		{"rules check --no-such-flag", `Run "credrpc rules check --help"`},
		{"--no-such-flag", `Run "credrpc --help"`},
		{"rules lint DIR", `unexpected argument DIR; rules are named by a flag: --rules=DIR`},
		{"rules lint DIR", `Run "credrpc rules lint --help"`},
		{"rules check DIR --uid 1", `--rules=DIR`},
		{"call p x DIR", "unexpected argument DIR\n"},
	} {
		args := strings.Fields(strings.ReplaceAll(tt.args, " P ", " "+path+" "))
		if status, out, stderr := result("", args...); status != exitUsage || out != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: %d, %q, %q", tt.args, status, out, stderr)
		}
	}
	if status, out, _ := result("", "--help"); status != exitOK || !strings.Contains(out, "serve") {
		t.Errorf("--help: %d, %q", status, out)
	}
}

// TestServeFails checks status 1 when the socket cannot be made.
func TestServeFails(t *testing.T) {
	dir := tempDir(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := result("", "serve", "--listen", file); status != exitFailed || !strings.Contains(stderr, file) || !strings.Contains(stderr, "not a socket") {
		t.Errorf("%d, %q", status, stderr)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "precious" {
		t.Errorf("the file became %q, %v", got, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("beside the file there is something: %v, %v", entries, err)
	}
}

// TestAbstract serves an abstract name.
func TestAbstract(t *testing.T) {
	name := fmt.Sprintf("@credrpc-test-%d", os.Getpid())
	cmd := program(t, "serve", "--listen", name)
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	awaitLine(t, bufio.NewReader(pipe), " msg=serving ")
	if status, out, stderr := result("", "call", name, "hello"); status != exitOK || out != "hello" {
		t.Errorf("%d, %q, %q", status, out, stderr)
	}
}

// TestSignals checks that SIGTERM and SIGINT answer what is in flight, remove
// the socket and exit 0.
func TestSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(fmt.Sprint(sig), func(t *testing.T) {
			path, cmd, stderr := serve(t, "--mode=0600")
			info, err := os.Lstat(path)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the socket: %v, %v", info, err)
			}
			c, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			c.Write([]byte("\x00\x00\x00\x02a"))
			// A call that is answered later shows that this one is accepted.
			if status, _, stderr := result("x", "call", path); status != exitOK {
				t.Fatalf("%d, %q", status, stderr)
			}
			cmd.Process.Signal(sig)
			if line, err := stderr.ReadString('\n'); err != nil || !strings.HasSuffix(line, " msg=stopping\n") {
				t.Errorf("the server says %q, %v", line, err)
			}
			c.Write([]byte("b"))
			if got, err := io.ReadAll(c); err != nil || string(got) != "\x00\x00\x00\x00\x00\x00\x00\x02ab" {
				t.Errorf("in flight: %q, %v", got, err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("the server ended with %v", err)
			}
			if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the socket is left: %v", err)
			}
		})
	}
}

// TestManual checks that the manual page is that of this program. "go generate
// ./cmd/..." makes it anew.
func TestManual(t *testing.T) {
	want, err := os.ReadFile("../../docs/man/credrpc.1")
	if err != nil {
		t.Fatal(err)
	}
	if status, out, stderr := result("", "--man"); status != exitOK || out != string(want) || stderr != "" {
		t.Errorf("%d, %q: docs/man/credrpc.1 is out of date; run \"go generate ./cmd/...\"", status, stderr)
	}
}

// TestVersion checks both forms.
func TestVersion(t *testing.T) {
	status, out, stderr := result("", "version")
	if status != exitOK || stderr != "" || !regexp.MustCompile(`^credrpc \S+\ncommit  .+\ndate    .+\ngo      go\S+ linux/\S+\n$`).MatchString(out) {
		t.Errorf("%d, %q, %q", status, out, stderr)
	}
	status, out, _ = result("", "version", "--json")
	var object struct{ Version, Go, Platform string }
	if err := json.Unmarshal([]byte(out), &object); status != exitOK || err != nil || object.Version == "" || object.Go == "" || object.Platform == "" {
		t.Errorf("%d, %q, %v", status, out, err)
	}
}
