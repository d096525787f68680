package ipcserver

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lingering returns a descriptor whose last close takes until the test is over: a
// TCP socket with data that its peer does not read (socket(7), SO_LINGER).
func lingering(t *testing.T, listener net.Listener) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: listener.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	peer, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		peer.(*net.TCPConn).SetLinger(0) // a reset ends the waiting
		peer.Close()
	})
	unix.SetNonblock(fd, true)
	for fill := make([]byte, 64<<10); ; {
		if _, err := unix.Write(fd, fill); err == unix.EAGAIN {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	unix.SetNonblock(fd, false)
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 600}); err != nil {
		t.Fatal(err)
	}
	return fd
}

// TestFreeze has callers that will be refused pass descriptors that take ten minutes
// to close, many more than there are goroutines to close them. Others are refused
// and served meanwhile, and soon nobody waits for a close any more.
func TestFreeze(t *testing.T) {
	needRoot(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s := running(t, []string{"-q", "-c200", "-i", rulesDir(t, map[string]string{"uid/0/allow": "", "uid/1000/deny": ""})}, "/bin/cat")
	var closers sync.WaitGroup
	t.Cleanup(closers.Wait)
	s.stop() // so that the descriptors are there when it accepts
	for i := range 8 * undertakers {
		c, err := dialAs(s.path, &first)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			io.WriteString(c, "first some bytes")
		}
		fd := lingering(t, listener)
		if _, _, err := c.WriteMsgUnix([]byte("x"), unix.UnixRights(fd), nil); err != nil {
			t.Fatal(err)
		}
		closers.Go(func() { unix.Close(fd) }) // who closes last waits
	}
	s.signal(unix.SIGCONT)
	for range 100 {
		if answer, _ := call(t, s.path, nil, "request"); answer != "request" {
			t.Fatalf("a caller that may: %q", answer)
		}
		if answer, _ := call(t, s.path, &first, "request"); answer != "" {
			t.Fatalf("a caller that may not: %q", answer)
		}
	}
	eventually(t, "nobody waits for a close", func() bool { return closing(s) == 0 })
}

// closing returns how many threads of a server wait for a TCP socket to close.
func closing(s *testServer) (n int) {
	stacks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stack", s.cmd.Process.Pid))
	for _, stack := range stacks {
		if text, err := os.ReadFile(stack); err == nil && strings.Contains(string(text), "tcp_close") {
			n++
		}
	}
	return n
}

// TestPassedDescriptor hands a descriptor that a caller passes to the program, as
// s6-ipcserver does.
func TestPassedDescriptor(t *testing.T) {
	python := needProgram(t, "python3", "python3-minimal")
	s := running(t, nil, python, "-c", "import socket; s = socket.socket(fileno=0); print(len(socket.recv_fds(s, 10, 10)[1]))")
	c := s.dial()
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, _, err := c.WriteMsgUnix([]byte("x"), unix.UnixRights(int(null.Fd()), int(null.Fd())), nil); err != nil {
		t.Fatal(err)
	}
	expect(t, c, "2\n")
}

// TestCallersPath has a caller with an address that would forge messages.
func TestCallersPath(t *testing.T) {
	dir := tempDir(t)
	s := running(t, []string{"-v"}, "/bin/sh", "-c", "printf %s \"$IPCREMOTEPATH\"")
	forged := filepath.Join(dir, "a\n"+name+": info: allow\x1b[31m\xff=;uid=0")
	for path, want := range map[string]string{forged: forged, "@abstract-" + filepath.Base(dir): ""} {
		c, err := net.DialUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}, &net.UnixAddr{Name: s.path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		if answer, err := io.ReadAll(c); string(answer) != want || err != nil {
			t.Errorf("%q, %v", answer, err)
		}
	}
	s.quiet()
	for _, message := range s.terminate() {
		if !strings.HasPrefix(message, "info: ") || strings.Contains(message, "\x1b") || strings.Contains(message, "\xff") || strings.Contains(message, dir) {
			t.Errorf("message %q", message)
		}
	}
}

// TestUnknownCallers refuses callers of which the kernel cannot say who they are,
// whatever the rules say.
func TestUnknownCallers(t *testing.T) {
	needRoot(t)
	rules := rulesDir(t, map[string]string{"uid/default/allow": "", "uid/65534/allow": "", "gid/65534/allow": ""})
	for _, tt := range []struct {
		name      string
		namespace uintptr
		refused   *identity
		message   string
		served    *identity
	}{
		{"of another user namespace", unix.CLONE_NEWUSER, &first, "info: deny pid N uid 65534 gid 65534: the kernel does not know the caller", &root},
		{"whose group is of another user namespace", unix.CLONE_NEWUSER, &identity{0, 100}, "info: deny pid N uid 0 gid 65534: the kernel does not know the caller", &root},
		{"of another pid namespace", unix.CLONE_NEWPID | unix.CLONE_NEWNS, &root, "info: deny pid N uid 0 gid 0: the kernel does not know the caller", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(tempDir(t), "s")
			cmd := ours(t, "-1v", "-i", rules, path, "/bin/echo", "served")
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: tt.namespace}
			if tt.namespace&unix.CLONE_NEWUSER != 0 {
				toRoot := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
				cmd.SysProcAttr.UidMappings, cmd.SysProcAttr.GidMappings = toRoot, toRoot
			} else {
				// A pid namespace without its own /proc is no use.
				mount := `mount --make-rprivate / && mount -t proc proc /proc && exec -a "$1" "$0" "${@:2}"`
				cmd.Args = slices.Concat([]string{"/bin/bash", "-c", mount, cmd.Path, serverName}, cmd.Args[1:])
				cmd.Path = "/bin/bash"
			}
			s := launch(t, path, cmd)
			if answer, _ := call(t, path, tt.refused, ""); answer != "" {
				t.Errorf("%v: %q", *tt.refused, answer)
			}
			eventually(t, "the message about it", func() bool { return slices.Contains(s.stderr.messages(), tt.message) })
			if tt.served != nil {
				if answer, _ := call(t, path, tt.served, ""); answer != "served\n" {
					t.Errorf("%v: %q", *tt.served, answer)
				}
			}
		})
	}
}
