package ipcserver

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// stubborn is a program that answers SIGTERM.
var stubborn = []string{"/bin/sh", "-c", "trap 'echo TERM; exit 3' TERM; echo up; read x; echo read"}

// expect reads what a program says.
func expect(t *testing.T, c *net.UnixConn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
		t.Fatalf("want %q, got %q, %v", want, b, err)
	}
}

// expectEnd checks that a program has ended without a word.
func expectEnd(t *testing.T, c *net.UnixConn) {
	t.Helper()
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		t.Fatalf("%q, %v", rest, err)
	}
}

// TestSignals does with each signal what the pages of s6-ipcserverd say.
func TestSignals(t *testing.T) {
	for _, tt := range []struct {
		signal   syscall.Signal
		ends     bool   // the server
		programs string // what they say before they end; "goes on" if they do not
		message  string
	}{
		{unix.SIGTERM, true, "goes on", "info: received SIGTERM, quitting"},
		{unix.SIGHUP, false, "TERM\n", "info: received SIGHUP, sending SIGTERM+SIGCONT to all connections"},
		{unix.SIGQUIT, true, "TERM\n", "info: received SIGQUIT, sending SIGTERM+SIGCONT to all connections and quitting"},
		{unix.SIGABRT, true, "", "info: received SIGABRT, sending SIGKILL to all connections and quitting"},
	} {
		t.Run(tt.signal.String(), func(t *testing.T) {
			s := running(t, []string{"-v"}, stubborn...)
			a, b := s.dial(), s.dial()
			expect(t, a, "up\n")
			expect(t, b, "up\n")
			programs := s.programs()
			t.Cleanup(func() {
				for _, p := range programs {
					p.signal(unix.SIGKILL)
					p.close()
				}
			})
			if tt.programs == "TERM\n" {
				programs[0].signal(unix.SIGSTOP) // it hears of SIGTERM after SIGCONT only
			}
			s.signal(tt.signal)
			for _, c := range []*net.UnixConn{a, b} {
				if tt.programs == "goes on" {
					io.WriteString(c, "\n")
					expect(t, c, "read\n")
				} else {
					expect(t, c, tt.programs)
				}
				expectEnd(t, c)
			}
			if !tt.ends {
				c := s.dial()
				expect(t, c, "up\n")
				c.Close()
				s.quiet()
				s.terminate()
				tt.message = "info: received SIGTERM, quitting"
			}
			if status := s.exit(); status != 0 {
				t.Errorf("exit status %d", status)
			}
			messages := s.lastMessages()
			for _, want := range []string{tt.message, "info: exiting"} {
				if !slices.Contains(messages, want) {
					t.Errorf("%q is missing: %q", want, messages)
				}
			}
		})
	}
}

// TestReload loads rules that were modified in place when told to, and such as were
// renamed over the old ones by itself.
func TestReload(t *testing.T) {
	needRoot(t)
	compiler := needProgram(t, "s6-accessrules-cdb-from-fs", "s6")
	file := filepath.Join(tempDir(t), "rules.cdb")
	compile := func(target, verdict string) {
		t.Helper()
		dir := rulesDir(t, map[string]string{"uid/1000/" + verdict: ""})
		if out, err := exec.Command(compiler, target, dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	compile(file, "allow")
	s := running(t, []string{"-v", "-x", file}, "/bin/echo", "served")
	served := func() bool {
		answer, _ := call(t, s.path, &first, "")
		return answer == "served\n"
	}
	if !served() {
		t.Fatalf("refused: %s", s.stderr)
	}
	compile(file, "deny")
	eventually(t, "the renamed file is in force", func() bool { return !served() })

	compile(file+".other", "allow")
	content, err := os.ReadFile(file + ".other")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if served() {
		t.Error("a file modified in place is in force before the signal")
	}
	s.signal(unix.SIGUSR1)
	eventually(t, "the modified file is in force", served)

	if err := os.WriteFile(file, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.signal(unix.SIGUSR1)
	eventually(t, "the server says what is wrong", func() bool {
		return strings.Contains(s.stderr.String(), name+": error: access rules not loaded")
	})
	if !served() {
		t.Error("the old rules are not in force any more")
	}
}

// TestSignalState starts the server with signals blocked and ignored, and looks at
// what programs start with.
func TestSignalState(t *testing.T) {
	env := needProgram(t, "env", "coreutils")
	dir := tempDir(t)
	path, server := filepath.Join(dir, "s"), filepath.Join(dir, serverName)
	cmd := ours(t, "-1", path, "/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
	if err := os.Symlink(cmd.Path, server); err != nil {
		t.Fatal(err)
	}
	cmd.Args = slices.Concat([]string{env, "--block-signal=TERM,HUP,USR1,CHLD,PIPE",
		"--ignore-signal=PIPE,CHLD,HUP,QUIT,ABRT,TERM", server}, cmd.Args[1:])
	cmd.Path = env
	s := launch(t, path, cmd)
	const none = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
	if answer, _ := call(t, s.path, nil, ""); answer != none {
		t.Errorf("got %q", answer)
	}
	s.quiet() // although the parent ignored SIGCHLD
	s.signal(unix.SIGTERM)
	s.exit()
}
