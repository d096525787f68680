package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"credrpc/client"
)

// A fault is an error that system calls return without having done anything.
type fault struct {
	calls    string // names, separated by commas
	errno    string
	harmless bool // the server tries again: no call fails
}

// faults are the errors that the manual pages of these calls, in section 2, name and
// that a running server can meet, and some that it cannot.
var faults = []fault{
	{"accept4", "EMFILE", true},
	{"accept4", "ENFILE", true},
	{"accept4", "ENOBUFS", true},
	{"accept4", "ENOMEM", true},
	{"accept4", "EPERM", true},        // a security module
	{"accept4", "ENOSYS", true},       // strace leaves while the call is under way
	{"accept4", "ECONNABORTED", true}, // a real one takes a caller with it
	{"accept4", "EINTR", true},
	{"recvmsg", "EINTR", true},
	{"recvmsg", "EAGAIN", true},
	{"recvmsg", "ENOMEM", false},
	{"recvmsg", "ENOBUFS", false},
	{"recvmsg", "ECONNRESET", false},
	{"sendto", "EINTR", true},
	{"sendto", "EAGAIN", true},
	{"sendto", "EPIPE", false},
	{"sendto", "ENOBUFS", false},
	{"sendto", "ENOMEM", false},
	{"sendmsg", "EINTR", true},
	{"sendmsg", "EAGAIN", true},
	{"sendmsg", "EPIPE", false},
	{"sendmsg", "ENOBUFS", false},
	{"epoll_ctl", "ENOMEM", false},
	{"epoll_ctl", "ENOSPC", false},
	{"epoll_wait,epoll_pwait", "EINTR", true},
	{"ppoll", "EINTR", true},
	{"ppoll", "ENOMEM", true},
	{"close", "EINTR", true},
	{"close", "EIO", true},
	{"close_range", "ENOSYS", true}, // kernels before 5.9
	{"close_range", "EPERM", true},  // a filter
	{"getsockopt", "ENOBUFS", false},
	{"getsockopt", "ENOMEM", false},
	{"getsockopt", "ENOPROTOOPT", false},
	{"ioctl", "EINVAL", true},
	{"ioctl", "ENOMEM", true},
}

// occasions returns at which of its calls each thread of the server meets a fault, as
// strace(1) writes it: "3" is the third one, "3+5" that and every fifth after it.
func occasions() []string {
	if !whole() {
		return []string{"3", "2+7"}
	}
	var all []string
	for n := range 50 {
		all = append(all, strconv.Itoa(n+1))
	}
	return append(all, "2+7", "1+2")
}

// TestFaultyCalls has single system calls of one server fail, one kind of fault after
// another, while callers call.
func TestFaultyCalls(t *testing.T) {
	needTracing(t)
	path := filepath.Join(tempDir(t), "s")
	p := start(t, path, "--loops=2")
	if !p.serving() {
		t.Fatalf("it did not start: %s", &p.log)
	}
	if l := callers(path); len(l.failed)+len(l.bad) > 0 { // and threads and pools are made
		t.Fatalf("without a fault: %v %v", l.failed, l.bad)
	}
	beats := startPulse(t)
	var total struct{ runs, met, faults, answered, failed int }
	lost := 0 // descriptors that were never closed since the kernel was not asked
	level := p.descriptors()
	for _, f := range faults {
		t.Run(f.calls+"="+f.errno, func(t *testing.T) {
			met := total.met
			try := func(when string) {
				l, injected := withFault(t, p, path, f, when)
				for beats.stopped() {
					t.Logf("when=%s again: this process did not run for a while", when)
					lost += closes(f, injected)
					l, injected = withFault(t, p, path, f, when)
				}
				total.runs++
				total.answered += l.answered
				total.failed += len(l.failed)
				total.faults += injected
				if injected > 0 {
					total.met++
				}
				lost += closes(f, injected)
				name := fmt.Sprintf("when=%s, injected %d times", when, injected)
				if p.dead() {
					t.Fatalf("%s: the server ended: %s", name, &p.log)
				}
				if len(l.bad) > 0 || len(l.failed) > injected || f.harmless && len(l.failed) > 0 {
					t.Errorf("%s: %d answered; failed %q; wrong %q", name, l.answered, l.failed, l.bad)
				}
				for range 3 {
					if err := ordinary(&client.Client{Path: path}, []byte("afterwards")); err != nil {
						t.Fatalf("%s: afterwards: %v", name, err)
					}
				}
				eventually(t, name+": descriptors are closed", func() bool { return p.descriptors() <= level+lost })
			}
			for _, when := range occasions() {
				try(when)
			}
			for range 5 { // some calls are rare
				if total.met == met {
					try("2")
				}
			}
			if total.met == met {
				t.Error("the server has never met the fault")
			}
			if used := p.used(300 * time.Millisecond); used > 0.3 {
				t.Errorf("the idle server uses %.2f of a processor afterwards", used)
			}
		})
	}
	if lines := strings.Count(p.log.String(), "\n"); lines > 50 {
		t.Errorf("it has logged %d lines: %s", lines, &p.log)
	}
	t.Logf("%d runs, %d with a fault, %d faults; %d calls answered, %d failed", total.runs, total.met, total.faults, total.answered, total.failed)
}

// closes returns how many descriptors stay open after so many faults: the kernel was
// not asked to close them. A real close(2) that fails has closed.
func closes(f fault, injected int) int {
	if f.calls == "close" {
		return injected
	}
	return 0
}

// TestFaultsThatStay has all calls of one kind fail for a while. The server neither
// ends nor spins, and answers those who waited.
func TestFaultsThatStay(t *testing.T) {
	needTracing(t)
	for _, f := range []fault{
		{"accept4", "EMFILE", true},
		{"accept4", "ENFILE", true},
		{"accept4", "ENOBUFS", true},
		{"accept4", "ENOMEM", true},
		{"accept4", "EPERM", true},
		{"accept4", "ENOSYS", true},
		{"epoll_ctl", "ENOSPC", true},
	} {
		t.Run(f.calls+" "+f.errno, func(t *testing.T) {
			path := filepath.Join(tempDir(t), "s")
			p := start(t, path)
			if !p.serving() {
				t.Fatalf("it did not start: %s", &p.log)
			}
			s := trace(t, p, f, "1+")
			calls := make(chan error, 8)
			for range cap(calls) {
				go func() { calls <- inPieces(path, []byte("waiting")) }()
			}
			used := p.used(time.Second)
			s.detach()
			failed := 0
			for range cap(calls) {
				if err := <-calls; err != nil {
					failed++
					t.Log(err)
				}
			}
			if f.calls == "accept4" && failed > 0 {
				t.Errorf("%d of %d calls that waited failed", failed, cap(calls))
			}
			if p.dead() {
				t.Fatalf("the server ended: %s", &p.log)
			}
			if used > 0.3 { // most of it is strace's
				t.Errorf("it used %.2f of a processor", used)
			}
			if err := ordinary(&client.Client{Path: path}, []byte("afterwards")); err != nil {
				t.Errorf("afterwards: %v", err)
			}
			if lines := strings.Count(p.log.String(), "\n"); lines > 10 {
				t.Errorf("it has logged %d lines: %s", lines, &p.log)
			}
		})
	}
}

// withFault makes calls while the server meets a fault, and returns what came of
// them, and how often it met one.
func withFault(t *testing.T, p *process, path string, f fault, when string) (l *load, injected int) {
	t.Helper()
	s := trace(t, p, f, when)
	l = callers(path)
	s.settle()
	return l, s.detach()
}

// needTracing skips a test where a process that is no child cannot be traced.
func needTracing(t *testing.T) {
	t.Helper()
	needProgram(t, "strace")
	need(t, os.Getuid() == 0, "root, to trace")
}

// A tracer is strace(1), attached to a server.
type tracer struct {
	t   *testing.T
	cmd *exec.Cmd
	log lockedBuffer // what happens to strace itself
	out string       // file with the server's system calls
}

// trace attaches strace to the server's threads and has their system calls fail.
func trace(t *testing.T, p *process, f fault, when string) *tracer {
	t.Helper()
	s := &tracer{t: t, out: filepath.Join(tempDir(t), "calls")}
	s.cmd = exec.Command("strace", "-f", "-p", strconv.Itoa(p.cmd.Process.Pid), "-o", s.out,
		"-e", "signal=none", "-e", "trace="+f.calls, "-e", "inject="+f.calls+":error="+f.errno+":when="+when)
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill(); s.cmd.Wait() })
	eventually(t, "strace attaches", func() bool {
		return strings.Contains(s.log.String(), " attached") || p.dead()
	})
	return s
}

// settle waits until the server makes no more of the calls that are watched: one that
// is under way when strace leaves fails in yet another way.
func (s *tracer) settle() {
	s.t.Helper()
	size := int64(-1)
	eventually(s.t, "the server rests", func() bool {
		before := size
		info, err := os.Stat(s.out)
		if err != nil {
			s.t.Fatalf("%v: %s", err, &s.log)
		}
		size = info.Size()
		time.Sleep(15 * time.Millisecond)
		return size == before
	})
}

// detach lets the server go on by itself, and returns how many of its calls were made
// to fail.
func (s *tracer) detach() (injected int) {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGINT)
	s.cmd.Wait()
	calls, err := os.ReadFile(s.out)
	if err != nil {
		s.t.Fatalf("%v: %s", err, &s.log)
	}
	return strings.Count(string(calls), "(INJECTED)")
}
