package reference

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"credrpc/internal/leak"

	"golang.org/x/sys/unix"
)

// TestMain fails if a test leaves a goroutine or a descriptor behind.
func TestMain(m *testing.M) { os.Exit(leak.Run(m)) }

// start serves handler and returns the path of its socket.
func start(t *testing.T, handler Handler) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	srv := &Server{Handler: handler}
	ended := make(chan error, 1)
	go func() { ended <- srv.ListenAndServe(path) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the server ended with %v", err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn, err := net.Dial("unix", path)
		if err == nil {
			conn.Close()
			return path
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

func echo(payload []byte, _ *unix.Ucred) ([]byte, error) { return payload, nil }

func TestEcho(t *testing.T) {
	client := Client{Path: start(t, echo)}
	for _, size := range []int{0, 1, firstRead - headerSize, firstRead, 64 << 10, 1 << 20, 16 << 20} {
		payload := bytes.Repeat([]byte("0123456"), size/7+1)[:size]
		got, err := client.Call(payload)
		if err != nil || !bytes.Equal(got, payload) {
			t.Errorf("%d bytes: %d came back, %v", size, len(got), err)
		}
	}
}

// TestCredentials checks what a handler is told about the caller: this process.
func TestCredentials(t *testing.T) {
	client := Client{Path: start(t, func(_ []byte, sender *unix.Ucred) ([]byte, error) {
		b := binary.BigEndian.AppendUint32(nil, uint32(sender.Pid))
		b = binary.BigEndian.AppendUint32(b, sender.Uid)
		return binary.BigEndian.AppendUint32(b, sender.Gid), nil
	})}
	got, err := client.Call(nil)
	if err != nil || len(got) != 12 {
		t.Fatalf("%v, %v", got, err)
	}
	for i, want := range []int{os.Getpid(), os.Getuid(), os.Getgid()} {
		if n := int(binary.BigEndian.Uint32(got[4*i:])); n != want {
			t.Errorf("id %d is %d, want %d", i, n, want)
		}
	}
}

func TestErrors(t *testing.T) {
	client := Client{Path: start(t, func(payload []byte, _ *unix.Ucred) ([]byte, error) {
		if len(payload) > 1 {
			return make([]byte, maxPayload+1), nil
		}
		return nil, errors.New(string(payload))
	})}
	for request, want := range map[string]string{
		"x":  "x",
		"":   "unspecified error",
		"xx": "too large",
	} {
		answer, err := client.Call([]byte(request))
		var remote *RemoteError
		if answer != nil || !errors.As(err, &remote) || !strings.Contains(remote.Error(), want) {
			t.Errorf("%q: %q, %v", request, answer, err)
		}
	}
	if _, err := client.Call(make([]byte, maxPayload+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a request over the largest: %v", err)
	}
	nobody := Client{Path: filepath.Join(t.TempDir(), "s")}
	var remote *RemoteError
	if _, err := nobody.Call(nil); err == nil || errors.As(err, &remote) {
		t.Errorf("nobody listens: %v", err)
	}
}

// exchange sends the pieces one after another and returns what comes back. It
// shuts its writing side down if end is set.
func exchange(t *testing.T, path string, end bool, pieces ...[]byte) []byte {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	for _, p := range pieces {
		if _, err := conn.Write(p); err != nil {
			break // the server has seen enough
		}
	}
	if end {
		conn.(*net.UnixConn).CloseWrite()
	}
	answer, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, unix.ECONNRESET) { // it closes with bytes unread
		t.Fatal(err)
	}
	return answer
}

func TestEverySplit(t *testing.T) {
	path := start(t, echo)
	request := []byte("\x00\x00\x00\x07payload")
	want := "\x00\x00\x00\x00\x00\x00\x00\x07payload"
	for cut := range len(request) + 1 {
		if got := exchange(t, path, false, request[:cut], request[cut:]); string(got) != want {
			t.Errorf("cut at %d: %q", cut, got)
		}
	}
	if got := exchange(t, path, false, bytes.SplitAfter(request, nil)...); string(got) != want {
		t.Errorf("byte by byte: %q", got)
	}
}

// TestMalformed sends requests that get no answer.
func TestMalformed(t *testing.T) {
	path := start(t, echo)
	for name, request := range map[string]string{
		"nothing":                  "",
		"half a header":            "\x00\x00",
		"a payload cut short":      "\x00\x00\x00\x02a",
		"a length over the limit":  "\x09\x00\x00\x00abc",
		"text that was printed in": "sudo: a password is required\n",
	} {
		if got := exchange(t, path, true, []byte(request)); len(got) != 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestSenderOf checks which control messages are credentials.
func TestSenderOf(t *testing.T) {
	self := unix.UnixCredentials(&unix.Ucred{Pid: 7, Uid: 8, Gid: 9})
	nobody := unix.UnixCredentials(&unix.Ucred{Uid: 8, Gid: 9})
	tests := []struct {
		name    string
		control []byte
		flags   int
		ok      bool
	}{
		{"credentials", self, 0, true},
		{"the flag that package net sets", self, unix.MSG_CMSG_CLOEXEC, true},
		{"ancillary data cut off", self, unix.MSG_CTRUNC, false},
		{"ancillary data cut off, and the flag of package net", self, unix.MSG_CTRUNC | unix.MSG_CMSG_CLOEXEC, false},
		{"no control message", nil, 0, false},
		{"a message cut short", self[:20], 0, false},
		{"two messages", append(append([]byte{}, self...), self...), 0, false},
		{"descriptors", unix.UnixRights(1), 0, false},
		{"pid 0", nobody, 0, false},
	}
	for _, tt := range tests {
		sender, err := senderOf(tt.control, tt.flags)
		if tt.ok && (err != nil || *sender != unix.Ucred{Pid: 7, Uid: 8, Gid: 9}) {
			t.Errorf("%s: %v, %v", tt.name, sender, err)
		}
		if !tt.ok && (sender != nil || !errors.Is(err, ErrCredentials)) {
			t.Errorf("%s: %v, %v", tt.name, sender, err)
		}
	}
}

// TestDescriptorsAreRefused passes a descriptor with a request.
func TestDescriptorsAreRefused(t *testing.T) {
	path := start(t, echo)
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _, err = conn.(*net.UnixConn).WriteMsgUnix([]byte("\x00\x00\x00\x01a"), unix.UnixRights(int(os.Stdin.Fd())), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
}

func TestCloseBeforeListen(t *testing.T) {
	srv := &Server{Handler: echo}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if err := srv.ListenAndServe(filepath.Join(t.TempDir(), "s")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}
