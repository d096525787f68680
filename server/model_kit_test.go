package server

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A sender is somebody on whose bytes the kernel puts an identity of its own: a thread
// of this process that has become another user, or a process that was given the
// connection.
type sender struct {
	Credentials
	name   string
	do     func(func()) // runs a function as the sender; nil if it is another process
	deputy *os.File     // leads to the process otherwise
}

// A message to a deputy is a connection and what it is to send there; a message back is
// what came of that.
const maxDeputyMessage = 64 << 10

// startSenders returns senders of several users and groups and of two processes. The
// first ones are of this process, and can connect. For an ordinary user all are the
// same user.
func startSenders(t *testing.T) (senders []*sender) {
	t.Helper()
	ids := [][2]uint32{{uint32(os.Getuid()), uint32(os.Getgid())}}
	if os.Geteuid() == 0 {
		ids = append(ids, [][2]uint32{{1000, 1000}, {1000, 50}, {1001, 1001}}...)
	}
	for _, id := range ids {
		senders = append(senders, startThread(t, id[0], id[1]))
	}
	for _, id := range ids[:min(2, len(ids))] {
		senders = append(senders, startDeputy(t, id[0], id[1]))
	}
	return senders
}

// connecting returns how many of the senders can connect.
func connecting(senders []*sender) (n int) {
	for _, s := range senders {
		if s.do != nil {
			n++
		}
	}
	return n
}

// startThread makes a thread of this process that is uid and gid until the test ends.
// It is never unlocked, so that it ends with its goroutine.
func startThread(t *testing.T, uid, gid uint32) *sender {
	t.Helper()
	work, done, became := make(chan func()), make(chan struct{}), make(chan error)
	go func() {
		runtime.LockOSThread()
		became <- becomeThread(uid, gid)
		for f := range work {
			f()
			done <- struct{}{}
		}
	}()
	t.Cleanup(func() { close(work) })
	if err := <-became; err != nil {
		t.Fatalf("a thread of uid %d, gid %d: %v", uid, gid, err)
	}
	return &sender{
		Credentials: NewCredentials(os.Getpid(), uid, gid),
		name:        fmt.Sprintf("thread of %d:%d", uid, gid),
		do: func(f func()) {
			work <- f
			<-done
		},
	}
}

// becomeThread changes all ids of the calling thread and of no other: see "C
// library/kernel differences" in setresuid(2).
func becomeThread(uid, gid uint32) error {
	if int(uid) == os.Getuid() && int(gid) == os.Getgid() {
		return nil
	}
	for _, change := range []struct{ call, id uintptr }{{unix.SYS_SETRESGID, uintptr(gid)}, {unix.SYS_SETRESUID, uintptr(uid)}} {
		if _, _, errno := unix.RawSyscall(change.call, change.id, change.id, change.id); errno != 0 {
			return errno
		}
	}
	return nil
}

// startDeputy starts a process that sends for others as uid and gid.
func startDeputy(t *testing.T, uid, gid uint32) *sender {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "deputy"), os.NewFile(uintptr(pair[1]), "deputy")
	defer theirs.Close()
	a := startActor(t, []string{"deputy", fmt.Sprint(uid), fmt.Sprint(gid)}, withFile(theirs))
	t.Cleanup(func() { ours.Close() }) // before the process is killed
	return &sender{Credentials: NewCredentials(a.cmd.Process.Pid, uid, gid), name: fmt.Sprintf("process of %d:%d", uid, gid), deputy: ours}
}

// actDeputy sends what it is told to, as UID and GID, until descriptor 3 ends.
func actDeputy(args []string) error {
	if os.Geteuid() == 0 {
		if err := become(args[0], args[1]); err != nil {
			return err
		}
	}
	b, control := make([]byte, maxDeputyMessage), make([]byte, unix.CmsgSpace(4))
	for {
		n, controlled, _, _, err := unix.Recvmsg(3, b, control, unix.MSG_CMSG_CLOEXEC)
		if err != nil || n == 0 {
			return err
		}
		messages, err := unix.ParseSocketControlMessage(control[:controlled])
		if err != nil {
			return err
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil {
			return err
		}
		errno := unix.EINTR
		for errno == unix.EINTR {
			errno, _ = unix.Send(fds[0], b[:n], unix.MSG_NOSIGNAL).(unix.Errno)
		}
		unix.Close(fds[0])
		if _, err := unix.Write(3, strconv.AppendInt(nil, int64(errno), 10)); err != nil {
			return err
		}
	}
}

// connect connects to path.
func (s *sender) connect(path string) (fd int, err error) {
	s.do(func() {
		if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		}
	})
	limit := unix.NsecToTimeval(int64(modelPatience))
	for _, option := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err == nil {
			err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &limit)
		}
	}
	return fd, err
}

// send sends b, and descriptors beside it.
func (s *sender) send(fd int, b []byte, descriptors ...int) (err error) {
	if s.do == nil {
		return s.sendByDeputy(fd, b)
	}
	var control []byte
	if len(descriptors) > 0 {
		control = unix.UnixRights(descriptors...)
	}
	s.do(func() {
		for err = unix.EINTR; err == unix.EINTR; { // as readFD
			_, err = unix.SendmsgN(fd, b, control, nil, unix.MSG_NOSIGNAL)
		}
	})
	return err
}

func (s *sender) sendByDeputy(fd int, b []byte) error {
	if err := unix.Sendmsg(int(s.deputy.Fd()), b, unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("to the deputy: %w", err)
	}
	result := make([]byte, 16)
	n, err := unix.Read(int(s.deputy.Fd()), result)
	if err != nil {
		return fmt.Errorf("from the deputy: %w", err)
	}
	errno, err := strconv.Atoi(string(bytes.TrimSpace(result[:n])))
	if err != nil || errno == 0 {
		return err
	}
	return unix.Errno(errno)
}

// TestSenders checks what the model test relies on: that the kernel tells the senders
// apart, whoever of them connects and sends.
func TestSenders(t *testing.T) {
	runs := make(chan run, 1)
	srv := &Server{Mode: 0o666, AllowOtherSender: true, Handler: modelHandler(func(r run) { runs <- r }), HandlerOnLoop: true, Loops: 1}
	path := publicPath(t)
	startAt(t, srv, path)
	senders := startSenders(t)
	for _, connector := range senders[:connecting(senders)] {
		for _, s := range senders {
			fd, err := connector.connect(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.send(fd, request([]byte("x"))); err != nil {
				t.Fatal(err)
			}
			answer, err := response(readFD(fd))
			unix.Close(fd)
			if string(answer) != "x" || err != nil {
				t.Fatalf("%q, %v", answer, err)
			}
			if got, want := <-runs, (run{"x", s.Credentials, connector.Credentials}); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		}
	}
}

// settledDescriptors waits until the process has no more descriptors than given, and
// returns how many there are.
func settledDescriptors(t testing.TB, most int) (n int) {
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		if n = openDescriptors(t); n <= most || time.Since(begin) > modelPatience {
			return n
		}
	}
}
