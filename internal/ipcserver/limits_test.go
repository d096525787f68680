package ipcserver

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// rulesDir makes a directory of rules: files with their content.
func rulesDir(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(tempDir(t), "rules")
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// childFaults returns the page faults of the server's reaped children: no process
// gets by without one. See proc(5), cminflt.
func (s *testServer) childFaults() (n int) {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(text), ") ")
	fmt.Sscan(strings.Fields(fields)[8], &n)
	return n
}

// TestRefusedCostNoProcess refuses 1,000 callers by rules, by the limit of a user
// and because of an error, and starts nothing.
func TestRefusedCostNoProcess(t *testing.T) {
	needRoot(t)
	mark := filepath.Join(tempDir(t), "mark")
	s := running(t, []string{"-q", "-C1", "-i", rulesDir(t, map[string]string{
		"uid/0/allow": "", "uid/1000/deny": "", "uid/1001/allow": "", "uid/1001/env/sub/x": "",
	})}, "/bin/sh", "-c", "echo started >>"+mark+"; cat")
	call(t, s.path, &first, "request") // it has started entirely
	before := s.descriptors()
	for i := range 1000 {
		who := []identity{first, second, nobody}[i%3]
		if answer, end := call(t, s.path, &who, "request"); answer != "" || end != "end" && end != "reset" {
			t.Fatalf("caller %v: %q, %s", who, answer, end)
		}
	}
	if faults := s.childFaults(); faults != 0 || len(s.children()) != 0 {
		t.Errorf("children were started: %d page faults", faults)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the program was run")
	}
	held := s.dial()
	eventually(t, "the program starts", func() bool { return len(s.children()) == 1 })
	for range 10 {
		if answer, _ := call(t, s.path, nil, "request"); answer != "" {
			t.Errorf("over the limit: %q", answer)
		}
	}
	held.Close()
	s.quiet()
	if text, _ := os.ReadFile(mark); string(text) != "started\n" {
		t.Errorf("the program ran: %q", text)
	}
	if s.childFaults() == 0 {
		t.Error("the count of page faults shows nothing")
	}
	s.noMoreOpen(before)
}

// exchange sends a line and reads it back.
func exchange(t testing.TB, c *net.UnixConn) {
	t.Helper()
	if _, err := io.WriteString(c, "line\n"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "line\n" {
		t.Fatalf("%q, %v", b, err)
	}
}

// TestMaxConnections lets callers wait, and serves them as soon as others end.
func TestMaxConnections(t *testing.T) {
	s := running(t, []string{"-v", "-c2", "-C2"}, "/bin/cat")
	a, b := s.dial(), s.dial()
	exchange(t, a)
	exchange(t, b)
	waiting := []*net.UnixConn{s.dial(), s.dial(), s.dial()}
	for _, c := range waiting {
		io.WriteString(c, "line\n")
	}
	waiting[0].SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := waiting[0].Read(make([]byte, 5)); err == nil {
		t.Errorf("served beyond the limit: %d bytes", n)
	}
	if got := len(s.children()); got != 2 {
		t.Errorf("%d programs run", got)
	}
	for i, c := range waiting {
		[]*net.UnixConn{a, b, waiting[0]}[i].Close()
		c.SetReadDeadline(time.Now().Add(patience))
		line := make([]byte, 5)
		if _, err := io.ReadFull(c, line); err != nil {
			t.Fatalf("caller %d in the backlog: %v", i, err)
		}
	}
	if strings.Contains(s.stderr.String(), "deny") || strings.Contains(s.stderr.String(), "3/2") {
		t.Errorf("messages: %s", s.stderr)
	}
}

// TestMaxPerUser closes a user's connections above the limit, whatever others do.
func TestMaxPerUser(t *testing.T) {
	needRoot(t)
	s := running(t, []string{"-q", "-C", "2"}, "/bin/sh", "-c", "echo $IPCREMOTEEUID $IPCCONNNUM; cat")
	var held []*net.UnixConn
	for _, want := range []string{"1000 1\n", "1000 2\n", ""} {
		c, err := dialAs(s.path, &first)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		if want == "" {
			if rest, err := io.ReadAll(c); len(rest) != 0 || err != nil {
				t.Errorf("above the limit: %q, %v", rest, err)
			}
			continue
		}
		line := make([]byte, len(want))
		if _, err := io.ReadFull(c, line); string(line) != want {
			t.Fatalf("want %q, got %q, %v", want, line, err)
		}
		held = append(held, c)
	}
	if answer, _ := call(t, s.path, &second, ""); answer != "1001 1\n" {
		t.Errorf("another user: %q", answer)
	}
	eventually(t, "the message about it", func() bool {
		return slices.Equal(s.stderr.messages(), []string{"info: deny 1000:100 count 2/2"})
	})
	held[0].Close()
	eventually(t, "the user has room again", func() bool {
		answer, _ := call(t, s.path, &first, "")
		return answer == "1000 2\n"
	})
}

// TestBeyondThousand holds more connections than s6-ipcserver can.
func TestBeyondThousand(t *testing.T) {
	const many = 1050
	s := running(t, []string{"-q", "-c2000", "-C2000", "-b", "2000"}, "/bin/cat")
	exchange(t, s.dial()) // it has started entirely
	before := len(s.descriptors())
	held := make([]*net.UnixConn, many)
	for i := range held {
		held[i] = s.dial()
		io.WriteString(held[i], "line\n")
	}
	line := make([]byte, 5)
	for i, c := range held {
		if _, err := io.ReadFull(c, line); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	if got := len(s.children()); got != many+1 {
		t.Errorf("%d programs run", got)
	}
	if after := len(s.descriptors()); after > before {
		t.Errorf("%d descriptors for %d connections", after-before, many)
	}
	for _, c := range held {
		c.Close()
	}
	eventually(t, "programs end", func() bool { return len(s.children()) == 1 })
}

// TestNoDescriptors takes from the server the right to open anything more. It waits
// without spinning, and goes on when it can.
func TestNoDescriptors(t *testing.T) {
	s := running(t, nil, "/bin/cat")
	exchange(t, s.dial())
	var old unix.Rlimit
	if err := unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_NOFILE, nil, &old); err != nil {
		t.Fatal(err)
	}
	none := unix.Rlimit{Cur: 3, Max: old.Max}
	if err := unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_NOFILE, &none, nil); err != nil {
		t.Fatal(err)
	}
	c := s.dial()
	io.WriteString(c, "line\n")
	eventually(t, "the server says that it cannot accept", func() bool {
		return strings.Contains(s.stderr.String(), "warning: unable to accept: too many open files")
	})
	ticks := s.ticks()
	time.Sleep(500 * time.Millisecond)
	if used := s.ticks() - ticks; used > 15 { // of 50, see proc(5)
		t.Errorf("waiting takes %d of 50 ticks of processor time", used)
	}
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	if n, err := c.Read(make([]byte, 5)); err == nil {
		t.Errorf("answered with %d bytes", n)
	}
	if err := unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_NOFILE, &old, nil); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Errorf("after that: %v", err)
	}
	if n := strings.Count(s.stderr.String(), "unable to accept"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

// TestNoProcesses lets the server's user have only so many processes. Callers for
// whom there is none are closed, the others go on, and so does the server.
func TestNoProcesses(t *testing.T) {
	needRoot(t)
	const user, limit, callers = "4242424", 100, 120 // nobody else is that user
	path := filepath.Join(tempDir(t), "s")
	cmd := ours(t, "-1q", "-u", user, "-c200", "-C200", path, "/bin/cat")
	cmd.Args = slices.Concat([]string{"/bin/bash", "-c", fmt.Sprintf(`ulimit -u %d && exec -a "$1" "$0" "${@:2}"`, limit), cmd.Path, serverName}, cmd.Args[1:])
	cmd.Path = "/bin/bash"
	s := launch(t, path, cmd)
	var held []*net.UnixConn
	for range callers {
		c := s.dial()
		io.WriteString(c, "line\n")
		if _, err := io.ReadFull(c, make([]byte, 5)); err == nil {
			held = append(held, c)
		}
	}
	if got := len(s.children()); got != len(held) || got < 5 || got >= limit {
		t.Errorf("%d programs run, %d callers were served", got, len(held))
	}
	eventually(t, "messages about it", func() bool {
		return strings.Count(s.stderr.String(), name+": error: unable to run /bin/cat: resource temporarily unavailable\n") == callers-len(held)
	})
	exchange(t, held[0])
	for _, c := range held {
		c.Close()
	}
	s.quiet()
	for range 5 {
		exchange(t, s.dial())
	}
}

// ticks returns the processor time that the server has used.
func (s *testServer) ticks() int {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(text), ") ")
	var user, system int
	fmt.Sscan(strings.Join(strings.Fields(fields)[11:13], " "), &user, &system)
	return user + system
}
