package program

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"credrpc/server"

	"golang.org/x/sys/unix"
)

// TestTransparency sends bytes of every value and size through a program that
// reads and writes at once.
func TestTransparency(t *testing.T) {
	path := serve(t, &server.Server{}, Config{Program: []string{"cat"}})
	random := rand.NewChaCha8([32]byte{7})
	for _, size := range []int{0, 1, 2, 511, 512, 513, 4095, 4096, 4097, 65535, 65536, 65537, 200_000, 1<<20 - 1, 1 << 20} {
		request := make([]byte, size)
		random.Read(request)
		if got, err := call(t, path, string(request)); err != nil || got != string(request) {
			t.Errorf("%d bytes: %d came back, %v", size, len(got), err)
		}
	}
}

// TestOutput checks what becomes of what programs do with their pipes.
func TestOutput(t *testing.T) {
	const limit = 100_000
	path := serve(t, &server.Server{}, Config{MaxOutput: limit})
	for _, row := range []struct{ name, request, answer, text string }{
		{"no output", "O0", "", ""},
		{"as much output as the limit allows", "O100000", strings.Repeat("\x00", limit), ""},
		{"one byte more", "O100001", "", "the program's output is too large"},
		{"output without end", "o", "", "the program's output is too large"},
		{"much on standard error, and success", "X", "done", ""},
		{"output that is closed long before the end", "c", "closed", ""},
		{"a child that holds the pipes open", "fanswer", "answer", ""},
	} {
		got, err := call(t, path, row.request)
		if got != row.answer || remoteText(err) != row.text || (err == nil) != (row.text == "") {
			t.Errorf("%s: %d bytes, %v", row.name, len(got), err)
		}
	}
	nothingLeft(t)

	unread := serve(t, &server.Server{}, Config{Program: []string{toolPath(t), "unread"}})
	for _, size := range []int{0, 1, 65536, 65537, 1 << 20} {
		if got, err := call(t, unread, strings.Repeat("x", size)); err != nil || got != "unread" {
			t.Errorf("%d bytes that nobody reads: %q, %v", size, got, err)
		}
	}
}

// TestFailures checks what a caller is told of programs that fail.
func TestFailures(t *testing.T) {
	path := serve(t, &server.Server{}, Config{})
	long := strings.Repeat("0123456789", 300)
	for _, row := range []struct{ name, request, want string }{
		{"no text", "x\x03", "exit status 3"},
		{"the greatest status", "x\xff", "exit status 255"},
		{"one line", "x\x01cannot do that\n", "cannot do that"},
		{"a line without an end", "x\x01cannot do that", "cannot do that"},
		{"several lines", "x\x01first\nsecond\n", "first"},
		{"blank lines before", "x\x01\n \t\r\n\n  first  \nsecond", "first"},
		{"only blank lines", "x\x04\n \n\t\n", "exit status 4"},
		{"the end of a line of another system", "x\x01first\r\nsecond\r\n", "first"},
		{"tabs", "x\x01a\tb", "a b"},
		{"what commands a terminal", "x\x01\x1b[31mred\x07", "\ufffd[31mred\ufffd"},
		{"a character that changes the direction", "x\x01a\u202eb", "a\ufffdb"},
		{"no UTF-8", "x\x01a\xff\xfeb", "a\ufffd\ufffdb"},
		{"characters of several bytes", "x\x01größer als 1 €", "größer als 1 €"},
		{"zero bytes", "x\x01a\x00b", "a\ufffdb"},
		{"a line over the limit", "x\x01" + long, long[:maxErrorText]},
		{"a limit within a character", "x\x01" + long[:maxErrorText-1] + "€", long[:maxErrorText-1]},
		{"a text that grows", "x\x01" + strings.Repeat("\x01", 2000), strings.Repeat("\ufffd", maxErrorText/3)},
		{"much after the first line", "x\x01first\n" + strings.Repeat(long, 100), "first"},
		{"a signal", "k" + string(rune(unix.SIGTERM)), "the program was killed by SIGTERM"},
		{"the signal that nothing stops", "k" + string(rune(unix.SIGKILL)), "the program was killed by SIGKILL"},
		{"a crash", "k" + string(rune(unix.SIGSEGV)), "the program was killed by SIGSEGV"},
		{"a signal without a name", "k" + string(rune(40)), "the program was killed by signal 40"},
	} {
		got, err := call(t, path, row.request)
		if got != "" || remoteText(err) != row.want {
			t.Errorf("%s: %q, %q, want %q", row.name, got, err, row.want)
		}
	}
	nothingLeft(t)
}

// TestFirstLineIsSafe gives firstLine what it could not have foreseen.
func TestFirstLineIsSafe(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	texts := 0
	for range 20_000 {
		b := make([]byte, random.IntN(maxErrorText+1))
		for i := range b {
			b[i] = byte(random.IntN(256)) >> random.IntN(8)
		}
		text := firstLine(b)
		if !utf8.ValidString(text) || len(text) > maxErrorText || strings.TrimSpace(text) != text {
			t.Fatalf("%q becomes %q", b, text)
		}
		if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Fatalf("%q becomes %q", b, text)
		}
		if text != "" {
			texts++
		}
	}
	if texts < 10_000 {
		t.Errorf("only %d texts", texts)
	}
}

// TestMemory checks that an answer is appended in place where there is room, and
// that room grows with what is written, not with the limit.
func TestMemory(t *testing.T) {
	h := handler(t, Config{WithoutRules: true, MaxOutput: 100 << 20})
	peer := server.NewCredentials(1, 2, 3)
	dst := make([]byte, 0, 512)
	answer, err := h.ServeCall(t.Context(), dst, &server.Call{Peer: peer, Payload: []byte("ehello")})
	if err != nil || string(answer) != "hello" || &answer[0] != &dst[:1][0] {
		t.Errorf("%q, %v: not in place", answer, err)
	}
	answer, err = h.ServeCall(t.Context(), dst, &server.Call{Peer: peer, Payload: []byte("O300000")})
	if err != nil || len(answer) != 300_000 || cap(answer) > 700_000 {
		t.Errorf("%d bytes in %d, %v", len(answer), cap(answer), err)
	}
}

// TestCannotRun checks what callers and the log are told of programs that vanish,
// or that the kernel does not take.
func TestCannotRun(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"no such file or directory": os.Remove,
		"permission denied":         func(path string) error { return os.Chmod(path, 0) },
		"exec format error":         func(path string) error { return os.WriteFile(path, []byte("no program"), 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "program")
			if err := os.WriteFile(program, []byte("#!/bin/sh\necho hello\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			log := new(lockedBuffer)
			path := serve(t, &server.Server{}, Config{Program: []string{program}, Logger: logTo(log)})
			if got, err := call(t, path, ""); err != nil || got != "hello\n" {
				t.Fatalf("%q, %v", got, err)
			}
			if err := spoil(program); err != nil {
				t.Fatal(err)
			}
			before := openDescriptors(t)
			for range 20 {
				if _, err := call(t, path, ""); remoteText(err) != "the program cannot be run" {
					t.Errorf("%v", err)
				}
			}
			eventually(t, "no descriptor is left", func() bool { return openDescriptors(t) <= before })
			if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, program) || !strings.Contains(text, name) {
				t.Errorf("the log says %q", text)
			}
			nothingLeft(t)
		})
	}
}
