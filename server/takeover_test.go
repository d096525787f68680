package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// takeovers is how many servers follow each other in tests, or what the environment
// says.
func takeovers(t testing.TB) int {
	text := os.Getenv("CREDRPC_TAKEOVERS")
	if text == "" {
		return 10
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// checkServed checks that servers have accepted as many calls as were made, and
// answered them all.
func checkServed(t *testing.T, calls uint64, sum served) {
	t.Helper()
	if sum.Accepted != calls || sum.Answered != calls {
		t.Errorf("%d calls, %d accepted, %d answered", calls, sum.Accepted, sum.Answered)
	}
	t.Logf("%d calls", calls)
}

// TestTakeovers lets servers follow each other under load. Every call is answered, by
// one of them.
func TestTakeovers(t *testing.T) {
	path := socketPath(t)
	server := succeed(t, path)
	tr := startTraffic(t, path)
	var sum served
	for range takeovers(t) {
		tr.more(50)
		next := succeed(t, path)
		s := server.ending()
		if s.Err != ErrTakenOver.Error() {
			t.Errorf("the server ends with %q", s.Err)
		}
		if s.Accepted == 0 {
			t.Error("a server got no calls")
		}
		sum.Accepted, sum.Answered = sum.Accepted+s.Accepted, sum.Answered+s.Answered
		server = next
	}
	tr.more(50)
	calls := tr.stop()
	s := server.terminate()
	sum.Accepted, sum.Answered = sum.Accepted+s.Accepted, sum.Answered+s.Answered
	checkServed(t, calls, sum)
	for _, name := range []string{path, path + ".takeover"} {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
}

// TestInheritedSuccessors lets servers follow each other on a socket that the test
// holds. The one that ends leaves the backlog to the next.
func TestInheritedSuccessors(t *testing.T) {
	path := socketPath(t)
	listener := rawListener(t, path, 4096, true)
	if err := unix.SetsockoptInt(int(listener.Fd()), unix.SOL_SOCKET, unix.SO_PASSRIGHTS, 0); err != nil && err != unix.ENOPROTOOPT {
		t.Fatal(err)
	}
	start := func() *actor {
		a := startActor(t, []string{"inherit"}, withFile(listener))
		if line := a.line(); line != "ready" {
			t.Fatalf("%q, %s", line, a.log)
		}
		return a
	}
	server := start()
	tr := startTraffic(t, path)
	var sum served
	add := func(s served) { sum.Accepted, sum.Answered = sum.Accepted+s.Accepted, sum.Answered+s.Answered }
	for i := range takeovers(t) {
		tr.more(50)
		if i%2 == 0 {
			next := start() // both accept
			add(server.terminate())
			server = next
			continue
		}
		add(server.terminate()) // callers wait in between
		server = start()
	}
	tr.more(50)
	calls := tr.stop()
	add(server.terminate())
	checkServed(t, calls, sum)
}

// TestBacklogAtTheEnd ends a server while callers are in the backlog: that of its own
// socket is answered, that of an inherited one is left to the next.
func TestBacklogAtTheEnd(t *testing.T) {
	const queued = 200
	queue := func(a *actor, path string) (conns []*net.UnixConn) {
		freeze(t, a)
		for range queued {
			c := dial(t, path)
			c.Write(request([]byte("queued")))
			conns = append(conns, c)
		}
		a.cmd.Process.Signal(syscall.SIGTERM)
		a.cmd.Process.Signal(syscall.SIGCONT)
		return conns
	}
	answered := func(conns []*net.UnixConn) {
		for i, c := range conns {
			if got, err := response(c); err != nil || string(got) != "queued" {
				t.Fatalf("caller %d: %q, %v", i, got, err)
			}
		}
	}
	t.Run("own", func(t *testing.T) {
		path := socketPath(t)
		a := succeed(t, path)
		conns := queue(a, path)
		if s := a.ending(); s.Answered != queued {
			t.Errorf("answered %d", s.Answered)
		}
		answered(conns)
	})
	t.Run("inherited", func(t *testing.T) {
		path := socketPath(t)
		listener := rawListener(t, path, 4096, true)
		a := startActor(t, []string{"inherit"}, withFile(listener))
		a.line()
		conns := queue(a, path)
		first := a.ending() // whether the signal or a caller comes first is open
		b := startActor(t, []string{"inherit"}, withFile(listener))
		b.line()
		answered(conns)
		if second := b.terminate(); first.Answered+second.Answered != queued {
			t.Errorf("answered %d and %d", first.Answered, second.Answered)
		}
	})
}

// TestAdoptLeavesSocketNonBlocking has a server begin on a socket from which another
// one accepts.
func TestAdoptLeavesSocketNonBlocking(t *testing.T) {
	path := socketPath(t)
	listener := rawListener(t, path, 10, true)
	fd := int(listener.Fd())
	unix.SetNonblock(fd, true)
	stop, blocking := make(chan struct{}), make(chan bool)
	go func() {
		for was := false; ; {
			select {
			case <-stop:
				blocking <- was
				return
			default:
				flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
				was = was || flags&unix.O_NONBLOCK == 0
			}
		}
	}()
	for range 2000 {
		l, err := net.FileListener(listener)
		if err != nil {
			t.Fatal(err)
		}
		ln, err := adopt(l.(*net.UnixListener), (&Server{}).logger())
		if err != nil {
			t.Fatal(err)
		}
		ln.close()
	}
	close(stop)
	if <-blocking {
		t.Error("the socket was blocking for a moment")
	}
}

// TestOthersDoNotTakeOver has processes of other users ask, and offer.
func TestOthersDoNotTakeOver(t *testing.T) {
	needRoot(t)
	stranger := withAttr(&syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}})
	t.Run("asking", func(t *testing.T) {
		path := publicPath(t)
		startAt(t, &Server{Handler: echo, Takeover: true}, path)
		ask := func() string { return startActor(t, []string{"ask", path + ".takeover"}, stranger).line() }
		if got := ask(); !strings.Contains(got, "permission denied") {
			t.Errorf("heard %q", got)
		}
		// If the permissions are lost the kernel still says who it is.
		if err := os.Chmod(path+".takeover", 0o666); err != nil {
			t.Fatal(err)
		}
		if got := ask(); got != "EOF" {
			t.Errorf("heard %q", got)
		}
		if _, err := call(t, path, nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("offering", func(t *testing.T) {
		path := publicPath(t)
		if err := os.Chown(filepath.Dir(path), 1000, 1000); err != nil {
			t.Fatal(err)
		}
		a := startActor(t, []string{"succeed", path}, stranger)
		if line := a.line(); line != "ready" {
			t.Fatal(line)
		}
		taken := func() error { return errors.New("it was offered the place, and trusts that") }
		err := (&Server{Handler: echo, Takeover: true, Mode: 0o666, AllowUntrustedDirectory: true, Listening: taken}).ListenAndServe(path)
		if err == nil || !strings.Contains(err.Error(), "user 1000") {
			t.Errorf("got %v", err)
		}
		if _, err := call(t, path, nil); err != nil {
			t.Error(err)
		}
	})
}

// actAsk says what it hears at a control socket.
func actAsk(args []string) error {
	c, err := net.Dial("unixpacket", args[0])
	if err == nil {
		_, err = c.Read(make([]byte, 100))
	}
	if err == io.EOF {
		err = errors.New("EOF")
	}
	fmt.Println(err)
	return nil
}

// TestNotTaken has successors that must not take over.
func TestNotTaken(t *testing.T) {
	path := socketPath(t)
	startAt(t, &Server{Handler: echo, Takeover: true}, path)
	refusal := errors.New("no")
	other := uint32(4711)
	for name, row := range map[string]struct {
		srv  *Server
		want string
	}{
		"without Takeover":       {&Server{}, ErrAddressInUse.Error()},
		"Listening fails":        {&Server{Takeover: true, Listening: func() error { return refusal }}, "no"},
		"another mode":           {&Server{Takeover: true, Mode: 0o666}, "mode 0600, want 0666"},
		"another owner":          {&Server{Takeover: true, Owner: &other}, "want 4711"},
		"another group":          {&Server{Takeover: true, Group: &other}, "want 4711"},
		"a field makes no sense": {&Server{Takeover: true, Loops: -1}, "Loops"},
		"closed before it takes": {closing(), ErrServerClosed.Error()},
	} {
		row.srv.Handler = echo
		before := openDescriptors(t)
		if err := row.srv.ListenAndServe(path); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := call(t, path, []byte("x")); err != nil || string(got) != "x" {
			t.Errorf("%s: afterwards %q, %v", name, got, err)
		}
		eventually(t, name+": no descriptor is left", func() bool { return openDescriptors(t) <= before })
	}
	for name, err := range map[string]error{
		"an abstract name":   (&Server{Handler: echo, Takeover: true}).ListenAndServe("@credrpc-test"),
		"another's listener": (&Server{Handler: echo, Takeover: true}).Serve(listenUnix(t, socketPath(t), true)),
	} {
		var config *ConfigError
		if !errors.As(err, &config) || config.Field != "Takeover" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// closing is a server that is closed by the time it would take over.
func closing() *Server {
	srv := &Server{Takeover: true}
	srv.Listening = srv.Close
	return srv
}

// TestNothingOffered has a server run that was not started to be taken over.
func TestNothingOffered(t *testing.T) {
	path := socketPath(t)
	startAt(t, &Server{Handler: echo}, path)
	err := (&Server{Handler: echo, Takeover: true}).ListenAndServe(path)
	if !errors.Is(err, ErrAddressInUse) || !strings.Contains(err.Error(), "nobody offers") {
		t.Errorf("got %v", err)
	}
}

// TestControlLeftAlone has a file stand where the control socket belongs.
func TestControlLeftAlone(t *testing.T) {
	path := socketPath(t)
	if err := os.WriteFile(path+".takeover", []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&Server{Handler: echo, Takeover: true}).ListenAndServe(path); !errors.Is(err, ErrNotSocket) {
		t.Errorf("got %v", err)
	}
	if got, err := os.ReadFile(path + ".takeover"); string(got) != "precious" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}
