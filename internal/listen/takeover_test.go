package listen

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"credrpc/internal/leak"

	"golang.org/x/sys/unix"
)

// TestMain fails if a test leaves a goroutine or a descriptor behind.
func TestMain(m *testing.M) { os.Exit(leak.Run(m)) }

// patience bounds every wait of a test that is about to fail.
const patience = 20 * time.Second

// mode is that of the sockets of these tests.
const mode = 0o600

// A server is what package server is to this one.
type server struct {
	t       *testing.T
	fd      int
	file    *File
	stopped atomic.Int32
	asker   chan Asker // who has taken over; closed when nobody can any more
}

// newServer makes a socket at path and offers it.
func newServer(t *testing.T, path string) *server {
	t.Helper()
	s := &server{t: t, fd: newSocket(t, unix.SOCK_STREAM)}
	var err error
	if s.file, err = Bind(s.fd, path, Options{Mode: mode}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.file.Offer(s.fd), unix.Listen(s.fd, 10)); err != nil {
		t.Fatal(err)
	}
	s.await()
	return s
}

// await waits for a successor until the test ends.
func (s *server) await() {
	s.asker = make(chan Asker, 1)
	go func() {
		defer close(s.asker)
		if who, ok := s.file.AwaitSuccessor(func() { s.stopped.Add(1) }); ok {
			s.asker <- who
		}
	}()
	s.t.Cleanup(func() {
		s.file.Withdraw()
		for range s.asker {
		}
		unix.Close(s.fd)
	})
}

// takenOver waits until the server has been taken over.
func (s *server) takenOver() {
	s.t.Helper()
	select {
	case who, ok := <-s.asker:
		if !ok || who.PID != int32(os.Getpid()) || who.UID != uint32(os.Getuid()) || s.stopped.Load() != 1 {
			s.t.Errorf("taken over by %+v, %v, stopped %d times", who, ok, s.stopped.Load())
		}
	case <-time.After(patience):
		s.t.Fatal("it is not taken over")
	}
}

func newSocket(t *testing.T, kind int) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// socketPath returns a path that fits into an address.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "credrpc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// lockIsHeld reports whether a third would find the lock of path taken.
func lockIsHeld(t *testing.T, path string) bool {
	t.Helper()
	file, err := lock(path + lockSuffix)
	if err == nil {
		file.Close()
	}
	if err != nil && !errors.Is(err, ErrAddressInUse) {
		t.Fatal(err)
	}
	return err != nil
}

// TestSuccession hands a place on three times. The lock is held throughout, and the
// file goes away with the last.
func TestSuccession(t *testing.T) {
	path := socketPath(t)
	s := newServer(t, path)
	for range 3 {
		next, err := Take(path, Options{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		if s.stopped.Load() != 0 {
			t.Error("it has stopped before it was taken over")
		}
		if err := next.Claim(); err != nil {
			t.Fatal(err)
		}
		s.takenOver()
		s.file.Withdraw()
		if !lockIsHeld(t, path) {
			t.Error("the lock is free")
		}
		if _, err := net.Dial("unix", path); err != nil {
			t.Errorf("nobody listens: %v", err)
		}
		s = &server{t: t, fd: next.Listener, file: next.File}
		s.await()
	}
	s.file.Withdraw()
	if lockIsHeld(t, path) {
		t.Error("the lock is left")
	}
	for _, name := range []string{path, path + controlSuffix} {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
}

// TestAskers has processes ask who do not take over, for one reason or another. The
// server goes on, and has no descriptor more.
func TestAskers(t *testing.T) {
	path := socketPath(t)
	s := newServer(t, path)
	before := descriptors(t)
	for name, say := range map[string]func(c *net.UnixConn) (hears bool){
		"one who leaves at once":    func(*net.UnixConn) bool { return false },
		"one who says other things": func(c *net.UnixConn) bool { c.Write([]byte("taken")); return true },
		"one who says too much":     func(c *net.UnixConn) bool { c.Write(make([]byte, 2*longestSaid)); return true },
		"one who passes a descriptor": func(c *net.UnixConn) bool {
			_, _, err := c.WriteMsgUnix([]byte("x"), unix.UnixRights(0), nil)
			return !errors.Is(err, unix.EPERM) // since Linux 6.16 it cannot
		},
	} {
		c, err := net.Dial("unixpacket", path+controlSuffix)
		if err != nil {
			t.Fatal(err)
		}
		conn := c.(*net.UnixConn)
		conn.SetDeadline(time.Now().Add(patience))
		_, fds, err := receiveOffer(conn)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		closeAll(fds)
		if say(conn) {
			if last, err := hear(conn); err != nil || !strings.HasPrefix(last, no) {
				t.Errorf("%s hears %q, %v", name, last, err)
			}
		}
		conn.Close()
	}
	next, err := Take(path, Options{Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	next.Decline()
	next.File.Withdraw()
	unix.Close(next.Listener)
	for begin := time.Now(); descriptors(t) > before; time.Sleep(time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("%d descriptors, %d before", descriptors(t), before)
		}
	}
	if s.stopped.Load() != 0 || !lockIsHeld(t, path) {
		t.Error("the server does not go on")
	}
}

// TestEndingServer has a server end while its place is offered. Its files are gone,
// the lock is free, and the successor hears why it must not serve.
func TestEndingServer(t *testing.T) {
	path := socketPath(t)
	s := newServer(t, path)
	next, err := Take(path, Options{Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	s.file.Withdraw()
	select {
	case _, taken := <-s.asker:
		if taken {
			t.Error("it is taken over")
		}
	case <-time.After(patience):
		t.Error("it waits for a successor that says nothing")
	}
	if err := next.Claim(); err == nil || !strings.Contains(err.Error(), errEnding.Error()) {
		t.Errorf("got %v", err)
	}
	next.File.Withdraw()
	unix.Close(next.Listener)
	newServer(t, path)
}

// TestHear hears the last word of somebody who has left something unread, and of
// somebody who says nothing.
func TestHear(t *testing.T) {
	path := socketPath(t)
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, unread := range []bool{false, true} {
		for _, word := range []string{"", "no: reason"} {
			c, err := net.Dial("unixpacket", path)
			if err != nil {
				t.Fatal(err)
			}
			other, err := l.AcceptUnix()
			if err != nil {
				t.Fatal(err)
			}
			if unread {
				c.Write([]byte(take))
			}
			if word != "" {
				other.Write([]byte(word))
			}
			other.Close()
			c.SetDeadline(time.Now().Add(patience))
			said, err := hear(c.(*net.UnixConn))
			if said != word || word == "" && err != io.EOF || word != "" && err != nil {
				t.Errorf("unread %v, word %q: heard %q, %v", unread, word, said, err)
			}
			c.Close()
		}
	}
}

// TestOffers has running servers offer what a successor must not take.
func TestOffers(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, o *offerParts){
		"a message of another version": func(_ *testing.T, o *offerParts) { o.message[len(offerHead)-2] = '2' },
		"a shorter message":            func(_ *testing.T, o *offerParts) { o.message = o.message[:len(o.message)-1] },
		"no message":                   func(_ *testing.T, o *offerParts) { o.message = []byte("x") },
		"another socket file":          func(_ *testing.T, o *offerParts) { o.message[len(offerHead)+15]++ },
		"two descriptors":              func(_ *testing.T, o *offerParts) { o.fds = o.fds[:2] },
		"four descriptors":             func(_ *testing.T, o *offerParts) { o.fds = append(o.fds, 0) },
		"descriptors in another order": func(_ *testing.T, o *offerParts) { o.fds[0], o.fds[2] = o.fds[2], o.fds[0] },
		"a socket that does not listen": func(t *testing.T, o *offerParts) {
			o.fds[0] = newSocket(t, unix.SOCK_STREAM)
			t.Cleanup(func() { unix.Close(o.fds[0]) })
		},
		"another lock": func(t *testing.T, o *offerParts) {
			other, err := lock(filepath.Join(t.TempDir(), "other"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { other.Close() })
			o.fds[1] = int(other.Fd())
		},
		"the lock, which another has locked": func(t *testing.T, o *offerParts) {
			other, err := os.Open(o.path + lockSuffix)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { other.Close() })
			o.fds[1] = int(other.Fd())
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffer(t)
			spoil(t, o)
			before := descriptors(t)
			if _, err := o.take(); err == nil {
				t.Error("it is taken")
			} else {
				fmt.Fprintf(t.Output(), "%v\n", err)
			}
			if after := descriptors(t); after > before {
				t.Errorf("%d descriptors, %d before", after, before)
			}
		})
	}
	t.Run("what it should", func(t *testing.T) {
		s, err := newOffer(t).take()
		if err != nil {
			t.Fatal(err)
		}
		s.Decline()
		s.File.Withdraw()
		unix.Close(s.Listener)
	})
}

// offerParts are what a server that is played by a test offers.
type offerParts struct {
	path    string
	message []byte
	fds     []int
	control *net.UnixListener
}

// newOffer makes a server with nobody who hears askers, and what it should offer.
func newOffer(t *testing.T) *offerParts {
	t.Helper()
	path, fd := socketPath(t), newSocket(t, unix.SOCK_STREAM)
	file, err := Bind(fd, path, Options{Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Offer(fd), unix.Listen(fd, 10)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Withdraw(); unix.Close(fd) })
	return &offerParts{path, appendOffer(nil, file.socket, file.control.file),
		[]int{fd, int(file.lock.Fd()), file.control.fd}, file.control.listener}
}

// take takes what o offers.
func (o *offerParts) take() (*Succession, error) {
	offered := make(chan struct{})
	go func() {
		defer close(offered)
		conn, err := o.control.AcceptUnix()
		if err != nil {
			return
		}
		conn.WriteMsgUnix(o.message, unix.UnixRights(o.fds...), nil)
		conn.Close()
	}()
	s, err := Take(o.path, Options{Mode: mode})
	<-offered
	return s, err
}
