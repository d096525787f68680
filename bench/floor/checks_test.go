package floor

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// everyCheck are the words and what shows in a trace of one call.
var everyCheck = []struct {
	word       string
	asksPeer   bool // getsockopt(SO_PEERCRED)
	asksSender bool // SCM_CREDENTIALS in what recvmsg returns
}{
	{CheckNone, false, false},
	{CheckPeercred, true, false},
	{CheckSCM, false, true},
	{CheckBoth, true, true},
}

// TestChecksInTrace looks at the system calls of one call.
func TestChecksInTrace(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err == nil {
		err = exec.Command(strace, "-o", os.DevNull, "true").Run()
	}
	if err != nil {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatal("strace is not installed or may not trace: ", err)
		}
		t.Skip("strace is not installed or may not trace: ", err)
	}
	program := compile(t)
	for _, tt := range everyCheck {
		dir := t.TempDir()
		path, trace := filepath.Join(dir, "s"), filepath.Join(dir, "trace")
		serve(t, exec.Command(strace, "-f", "-o", trace, "-e", "trace=getsockopt,recvmsg,close", program, path, "1", tt.word), path)
		if got := exchange(t, path, []byte{0, 0, 0, 1, 'a'}); string(got) != "\x00\x00\x00\x00\x00\x00\x00\x01a" {
			t.Errorf("%s: answer %q", tt.word, got)
		}
		text := waitForLine(t, trace, "recvmsg", `"\0\0\0\1a"`)
		if got := strings.Contains(text, "SO_PEERCRED"); got != tt.asksPeer {
			t.Errorf("%s: asks for the credentials of the connection: %v\n%s", tt.word, got, text)
		}
		if got := strings.Contains(text, "SCM_CREDENTIALS"); got != tt.asksSender {
			t.Errorf("%s: gets the credentials of the sender: %v\n%s", tt.word, got, text)
		}
	}
}

// waitForLine returns what is in file once it has a line with all of words.
func waitForLine(t *testing.T, file string, words ...string) string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			has := strings.HasSuffix(line, "\n")
			for _, word := range words {
				has = has && strings.Contains(line, word)
			}
			if has {
				return string(text)
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no line with %q:\n%s", words, text)
		}
	}
}

// TestSenderIsNotTheConnector has root connect and another user send. Only a
// server that asks for both can know.
func TestSenderIsNotTheConnector(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatal("another user's process is needed, which takes root")
		}
		t.Skip("another user's process is needed, which takes root")
	}
	program := compile(t)
	for _, tt := range everyCheck {
		path := run(t, program, "1", tt.word)
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		socket, err := conn.(*net.UnixConn).File()
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", `printf '\000\000\000\001a'`)
		cmd.Dir, cmd.Stdout = "/", socket
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		answer, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("%q", "\x00\x00\x00\x00\x00\x00\x00\x01a")
		if tt.asksPeer && tt.asksSender {
			want = `""`
		}
		if got := fmt.Sprintf("%q", answer); got != want {
			t.Errorf("%s: answer %s, want %s", tt.word, got, want)
		}
	}
}
