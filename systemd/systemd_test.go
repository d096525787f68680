package systemd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"credrpc/client"
	"credrpc/server"

	"golang.org/x/sys/unix"
)

// patience bounds every wait of a test that is about to fail.
const patience = 10 * time.Second

// TestMain makes the test binary a program that takes sockets when it is started so.
func TestMain(m *testing.M) {
	if os.Getenv("CREDRPC_TEST_SOCKETS") == "" {
		os.Exit(m.Run())
	}
	sockets, err := Sockets()
	for _, s := range sockets {
		fmt.Println(s.Name, s.Listener.Addr())
	}
	if err != nil {
		fmt.Println(err, errors.Is(err, ErrNoSockets))
	}
	for _, variable := range os.Environ() {
		if strings.HasPrefix(variable, "LISTEN_") {
			fmt.Println("left:", variable)
		}
	}
	if _, err := Sockets(); !errors.Is(err, ErrNoSockets) {
		fmt.Println("a second time:", err)
	}
	// What is left open in a child is passed on by mistake.
	out, err := exec.Command("/bin/sh", "-c", "for fd in 3 4 5; do [ -S /proc/self/fd/$fd ] && echo inherited $fd; done; true").CombinedOutput()
	fmt.Printf("%s%v\n", out, err)
	os.Exit(0)
}

// manager is a fake systemd, of whom services think that it listens at NOTIFY_SOCKET.
type manager struct {
	conn *net.UnixConn
}

// manage makes a manager for this process, whose name is abstract or a path.
func manage(t *testing.T, name string, watchdog time.Duration) *manager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", fmt.Sprint(watchdog.Microseconds()))
	t.Setenv("WATCHDOG_PID", fmt.Sprint(os.Getpid()))
	if watchdog == 0 {
		os.Unsetenv("WATCHDOG_USEC")
	}
	return &manager{conn}
}

// next returns the next message, or "" if none comes within the time.
func (m *manager) next(within time.Duration) string {
	buf := make([]byte, 4096)
	m.conn.SetReadDeadline(time.Now().Add(within))
	n, err := m.conn.Read(buf)
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

// newNotifier returns a notifier, which is closed with the test.
func newNotifier(t *testing.T) *Notifier {
	t.Helper()
	n, err := NewNotifier()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// TestNotifications sends each kind to a path and to an abstract name.
func TestNotifications(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "s"), fmt.Sprintf("@credrpc-notify-%d", os.Getpid())} {
		m := manage(t, name, 0)
		n := newNotifier(t)
		if os.Getenv("NOTIFY_SOCKET") != "" || os.Getenv("WATCHDOG_PID") != "" {
			t.Error("variables are left for children")
		}
		for _, step := range []struct {
			do   func() error
			want string
		}{
			{n.Ready, "READY=1"},
			{n.Stopping, "STOPPING=1"},
			{func() error { return n.Status("two\nREADY=1") }, "STATUS=two READY=1"},
		} {
			if err := step.do(); err != nil {
				t.Error(err)
			}
			if got := m.next(patience); got != step.want {
				t.Errorf("%q, want %q", got, step.want)
			}
		}
		if err := n.Reloading(); err != nil {
			t.Error(err)
		}
		var usec int64
		if got := m.next(patience); func() bool { _, err := fmt.Sscanf(got, "RELOADING=1\nMONOTONIC_USEC=%d", &usec); return err != nil }() || usec <= 0 {
			t.Errorf("%q", got)
		}
		if n.Watchdog() != 0 {
			t.Errorf("a watchdog of %v", n.Watchdog())
		}
		n.FeedWatchdog(t.Context(), nil, nil) // returns
	}
}

// TestNobodyListens uses a notifier without a manager, and names that make no sense.
func TestNobodyListens(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	n := newNotifier(t)
	if err := errors.Join(n.Ready(), n.Reloading(), n.Status("x"), n.Stopping(), n.Close()); err != nil || n.Listens() {
		t.Error(err)
	}
	for name, want := range map[string]string{
		"relative":        `systemd: NOTIFY_SOCKET="relative": want an absolute path, or @ and an abstract name`,
		"/no/such/socket": "systemd: NOTIFY_SOCKET: dial unixgram /no/such/socket: connect: no such file or directory",
	} {
		t.Setenv("NOTIFY_SOCKET", name)
		if _, err := NewNotifier(); err == nil || err.Error() != want {
			t.Errorf("%q: %v", name, err)
		}
	}
	t.Setenv("WATCHDOG_USEC", "soon")
	if _, err := NewNotifier(); err == nil || !strings.Contains(err.Error(), "WATCHDOG_USEC") {
		t.Error(err)
	}
}

// A service is a server with a watchdog that is fed, in a test.
type service struct {
	path   string
	srv    *server.Server
	notes  *manager
	logged *strings.Builder
}

// watched serves srv under a watchdog.
func watched(t *testing.T, srv *server.Server, watchdog time.Duration) *service {
	t.Helper()
	dir, err := os.MkdirTemp("", "credrpc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &service{path: filepath.Join(dir, "s"), srv: srv, logged: new(strings.Builder)}
	s.notes = manage(t, filepath.Join(dir, "n"), watchdog)
	n := newNotifier(t)
	srv.Ready = func() { n.Ready() }
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { srv.ListenAndServe(s.path) })
	if got := s.notes.next(patience); got != "READY=1" {
		t.Fatalf("%q", got)
	}
	all.Go(func() { n.FeedWatchdog(ctx, srv.Progress, slog.New(slog.NewTextHandler(s.logged, nil))) })
	t.Cleanup(func() {
		cancel()
		srv.Shutdown(context.Background())
		all.Wait()
	})
	return s
}

// fed counts the signs of life in the time, of which none may be later than the watchdog
// allows.
func (s *service) fed(t *testing.T, watchdog, during time.Duration) (n int) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < during; n++ {
		if got := s.notes.next(watchdog); got != "WATCHDOG=1" {
			t.Fatalf("after %d signs of life comes %q", n, got)
		}
	}
	return n
}

// TestWatchdogIsFed looks at a server that has nothing to do, and at one under full load.
func TestWatchdogIsFed(t *testing.T) {
	const watchdog = 1500 * time.Millisecond // of which a third is for one answer
	s := watched(t, &server.Server{Handler: server.HandlerFunc(echo)}, watchdog)
	s.fed(t, watchdog, watchdog/2)
	done := make(chan struct{})
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			c := client.Client{Path: s.path}
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := c.Call(context.Background(), []byte("x")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	before := s.srv.Stats().Answered
	s.fed(t, watchdog, 2*time.Second)
	if s.srv.Stats().Answered == before {
		t.Error("there was no load")
	}
	close(done)
	callers.Wait()
	if s.logged.Len() > 0 {
		t.Error(s.logged)
	}
}

// TestWatchdogExpires blocks the only loop: there are no more signs of life, until it
// goes on. Before Linux 6.16 no handler runs on a loop, and nothing is missing.
func TestWatchdogExpires(t *testing.T) {
	const watchdog = 300 * time.Millisecond
	entered, release := make(chan struct{}), make(chan struct{})
	s := watched(t, &server.Server{Loops: 1, HandlerOnLoop: true, Handler: server.HandlerFunc(func(_ context.Context, dst []byte, _ *server.Call) ([]byte, error) {
		close(entered)
		<-release
		return dst, nil
	})}, watchdog)
	s.fed(t, patience, watchdog)
	answered := make(chan error)
	go func() {
		_, err := new(client.Client{Path: s.path}).Call(context.Background(), nil)
		answered <- err
	}()
	<-entered
	if callersPassDescriptors(t) {
		s.fed(t, patience, 3*watchdog)
	} else {
		for s.notes.next(watchdog/3) != "" { // sent before
		}
		if got := s.notes.next(watchdog); got != "" {
			t.Errorf("although the loop is stuck it says %q", got)
		}
	}
	close(release)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	s.fed(t, patience, watchdog)
}

// callersPassDescriptors reports whether the kernel cannot keep them from it.
func callersPassDescriptors(t *testing.T) bool {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	_, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSRIGHTS)
	return err == unix.ENOPROTOOPT
}

func echo(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
	return append(dst, call.Payload...), nil
}

// TestSockets starts a program with descriptors as systemd does.
func TestSockets(t *testing.T) {
	dir := t.TempDir()
	file := func(network, name string) *os.File {
		t.Helper()
		var socket interface{ File() (*os.File, error) }
		var err error
		switch network {
		case "unixgram":
			socket, err = net.ListenUnixgram(network, &net.UnixAddr{Net: network, Name: filepath.Join(dir, name)})
		case "tcp":
			socket, err = net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		case "connection":
			socket, err = net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: filepath.Join(dir, name)})
		default:
			socket, err = net.ListenUnix(network, &net.UnixAddr{Net: network, Name: filepath.Join(dir, name)})
		}
		if err != nil {
			t.Fatal(err)
		}
		f, err := socket.File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	a, b := file("unix", "a"), file("unix", "b")
	connection, datagram, tcp := file("connection", "a"), file("unixgram", "d"), file("tcp", "")
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, tt := range []struct {
		name, env string
		files     []*os.File
		want      string
	}{
		{"two with names", "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=x:y", []*os.File{a, b}, "x DIR/a\ny DIR/b\n<nil>\n"},
		{"without names", "LISTEN_PID=$$ LISTEN_FDS=1", []*os.File{a}, "unknown DIR/a\n<nil>\n"},
		{"for another process", "LISTEN_PID=1 LISTEN_FDS=1", []*os.File{a}, "another one"},
		{"for one that had the number before", "LISTEN_PID=$$ LISTEN_PIDFDID=1 LISTEN_FDS=1", []*os.File{a}, "another one"},
		{"none", "LISTEN_PID=$$ LISTEN_FDS=0", nil, "LISTEN_FDS=0 true"},
		{"no variables", "X=1", []*os.File{a}, "LISTEN_PID is not set true"},
		{"too few names", "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=x", []*os.File{a, b}, `LISTEN_FDNAMES="x" has 1 names, LISTEN_FDS=2 false`},
		{"fewer descriptors than said", "LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES=x:y:z", []*os.File{a, b}, `systemd: descriptor 5, "z": is no socket`},
		{"a file", "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=x:y", []*os.File{a, null}, `descriptor 4, "y": is no socket; want ListenStream=`},
		{"a datagram socket", "LISTEN_PID=$$ LISTEN_FDS=1", []*os.File{datagram}, "is no stream socket; want ListenStream="},
		{"an internet socket", "LISTEN_PID=$$ LISTEN_FDS=1", []*os.File{tcp}, "is no UNIX socket; want a path"},
		{"a connection", "LISTEN_PID=$$ LISTEN_FDS=1", []*os.File{connection}, "does not listen; want Accept=no"},
	} {
		cmd := exec.Command("/bin/sh", "-c", tt.env+` CREDRPC_TEST_SOCKETS=1 exec "$0"`, os.Args[0])
		if tt.env == "X=1" {
			cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "LISTEN_") })
		}
		cmd.ExtraFiles = tt.files
		cmd.Env = append(cmd.Environ(), "GORACE=atexit_sleep_ms=0") // or each waits a second
		out, err := cmd.CombinedOutput()
		got := strings.ReplaceAll(string(out), dir, "DIR")
		if err != nil || !strings.Contains(got, tt.want) || strings.Contains(got, "left:") || strings.Contains(got, "a second time:") {
			t.Errorf("%s: %v, got %q, want %q", tt.name, err, got, tt.want)
		}
		if strings.HasSuffix(tt.want, "<nil>\n") && got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestNotifierRemovesVariables has none of them left for children, also after an error.
func TestNotifierRemovesVariables(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "soon")
	t.Setenv("NOTIFY_SOCKET", "/run/notify")
	if _, err := NewNotifier(); err == nil {
		t.Error("no error")
	}
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC"} {
		if value, ok := os.LookupEnv(name); ok {
			t.Errorf("%s=%s is left", name, value)
		}
	}
}
