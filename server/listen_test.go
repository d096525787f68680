package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// rawListener listens on path with a backlog of n, and with SO_PASSCRED set
// before that if asked for.
func rawListener(t testing.TB, path string, n int, passcred bool) *os.File {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), path)
	t.Cleanup(func() { file.Close() })
	if passcred {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	}
	if err = errors.Join(err, unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, n)); err != nil {
		t.Fatal(err)
	}
	return file
}

// listenUnix returns a listener as a service gets it from its supervisor.
func listenUnix(t testing.TB, path string, passcred bool) *net.UnixListener {
	t.Helper()
	l, err := net.FileListener(rawListener(t, path, 4096, passcred))
	if err != nil {
		t.Fatal(err)
	}
	return l.(*net.UnixListener)
}

// serveOn serves srv on l until the test ends.
func serveOn(t testing.TB, srv *Server, l net.Listener) {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	eventually(t, "the server serves", func() bool { return running(srv) != nil })
	t.Cleanup(func() { stop(t, srv, served) })
}

func running(srv *Server) *serving {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.serving
}

// staleSocket leaves a socket file at path on which nobody listens.
func staleSocket(t testing.TB, path string) {
	t.Helper()
	rawListener(t, path, 1, false).Close()
}

// inode identifies what is at path, without following a link.
func inode(t testing.TB, path string) (st unix.Stat_t) {
	t.Helper()
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// TestSocketFileFromItsFirstMoment starts servers over and over while a user
// who may not connect tries to and watches the file.
func TestSocketFileFromItsFirstMoment(t *testing.T) {
	needRoot(t)
	id := func(n uint32) *uint32 { return &n }
	rows := []struct {
		name         string
		umask        int
		mode         fs.FileMode
		owner, group *uint32
		final        string // mode, owner, group
		most         uint32 // the most permission bits at any moment
	}{
		{"by default, without a umask", 0, 0, nil, nil, "140600 0 0", 0o600},
		{"by default, with a strict umask", 0o077, 0, nil, nil, "140600 0 0", 0o600},
		{"for a group, without a umask", 0, 0o660, nil, id(2000), "140660 0 2000", 0o660},
		{"for a group, with a strict umask", 0o077, 0o660, nil, id(2000), "140660 0 2000", 0o660},
		{"for another owner, without a umask", 0, 0o600, id(2000), nil, "140600 2000 0", 0o600},
		{"more than the umask leaves", 0o177, 0o620, id(2000), id(2001), "140620 2000 2001", 0o620},
	}
	starts := 200
	if testing.Short() {
		starts = 30
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			path := publicPath(t)
			watcher := startActor(t, []string{"connect", path, "1000", "1000"})
			if line := watcher.line(); line != "ready" {
				t.Fatal(line)
			}
			defer unix.Umask(unix.Umask(row.umask))
			for range starts {
				srv := &Server{Handler: echo, Mode: row.mode, Owner: row.owner, Group: row.group}
				served := make(chan error, 1)
				go func() { served <- srv.ListenAndServe(path) }()
				awaitListening(t, path, served)
				if st := inode(t, path); fmt.Sprintf("%o %d %d", st.Mode, st.Uid, st.Gid) != row.final {
					t.Fatalf("%o %d %d, want %s", st.Mode, st.Uid, st.Gid, row.final)
				}
				stop(t, srv, served)
			}
			watcher.stdin.Close()
			var report struct {
				Connected int
				Seen      map[string]bool
			}
			if err := json.Unmarshal([]byte(watcher.line()), &report); err != nil {
				t.Fatal(err)
			}
			if report.Connected > 0 {
				t.Errorf("connected %d times", report.Connected)
			}
			if len(report.Seen) == 0 {
				t.Error("the watcher saw no socket file")
			}
			for seen := range report.Seen {
				var mode, uid, gid uint32
				fmt.Sscanf(seen, "%o %d %d", &mode, &uid, &gid)
				if mode&0o7777&^row.most != 0 {
					t.Errorf("seen with mode, owner, group %s", seen)
				}
			}
		})
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := socketPath(t)
	staleSocket(t, path)
	startAt(t, &Server{Handler: echo}, path)
	if answer, err := call(t, path, []byte("new")); string(answer) != "new" {
		t.Errorf("%q, %v", answer, err)
	}
}

// TestUntrustedDirectory starts servers where somebody else could replace the socket,
// and where nobody could.
func TestUntrustedDirectory(t *testing.T) {
	needRoot(t)
	rows := []struct {
		name  string
		uid   int
		mode  fs.FileMode
		allow bool
		want  error
	}{
		{"another user's", 1000, 0o755, false, ErrUntrustedDirectory},
		{"another user's, sticky", 1000, 0o755 | fs.ModeSticky, false, ErrUntrustedDirectory},
		{"everybody's", 0, 0o777, false, ErrUntrustedDirectory},
		{"everybody's, sticky", 0, 0o777 | fs.ModeSticky, false, nil},
		{"root's", 0, 0o755, false, nil},
		{"everybody's, allowed", 1000, 0o777, true, nil},
	}
	for _, row := range rows {
		for _, below := range []string{"", "/root's"} {
			dir := filepath.Dir(socketPath(t)) + "/d"
			if err := errors.Join(os.MkdirAll(dir+below, 0o755), os.Chown(dir, row.uid, -1), os.Chmod(dir, row.mode)); err != nil {
				t.Fatal(err)
			}
			srv := &Server{Handler: echo, AllowUntrustedDirectory: row.allow}
			srv.Ready = func() { srv.Close() }
			err := srv.ListenAndServe(dir + below + "/s")
			if row.want == nil {
				row.want = ErrServerClosed
			}
			if !errors.Is(err, row.want) {
				t.Errorf("%s%s: got %v, want %v", row.name, below, err, row.want)
			}
			if left, _ := os.ReadDir(dir + below); row.want == ErrUntrustedDirectory && below != "" && len(left) > 0 {
				t.Errorf("%s%s: left %v", row.name, below, left)
			}
		}
	}
}

// TestLeftAlone has something at the path that a server must not replace.
func TestLeftAlone(t *testing.T) {
	rows := []struct {
		name string
		make func(t *testing.T, path string) error
		want error
	}{
		{"a live server", func(t *testing.T, path string) error {
			rawListener(t, path, 10, false)
			return nil
		}, ErrAddressInUse},
		{"a live server whose backlog is full", func(t *testing.T, path string) error {
			rawListener(t, path, 0, false)
			dial(t, path)
			if _, err := net.Dial("unix", path); !errors.Is(err, unix.EAGAIN) {
				return fmt.Errorf("the backlog is not full: %v", err)
			}
			return nil
		}, ErrAddressInUse},
		{"a live datagram socket", func(t *testing.T, path string) error {
			l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			if err == nil {
				t.Cleanup(func() { l.Close() })
			}
			return err
		}, ErrAddressInUse},
		{"a regular file", func(_ *testing.T, path string) error { return os.WriteFile(path, []byte("content"), 0o600) }, ErrNotSocket},
		{"a directory", func(_ *testing.T, path string) error { return os.Mkdir(path, 0o700) }, ErrNotSocket},
		{"a fifo", func(_ *testing.T, path string) error { return unix.Mkfifo(path, 0o600) }, ErrNotSocket},
		{"a symbolic link to nothing", func(_ *testing.T, path string) error { return os.Symlink(path+".target", path) }, ErrNotSocket},
		{"a symbolic link to a stale socket", func(t *testing.T, path string) error {
			staleSocket(t, path+".target")
			return os.Symlink(path+".target", path)
		}, ErrNotSocket},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			path := socketPath(t)
			if err := row.make(t, path); err != nil {
				t.Fatal(err)
			}
			before := inode(t, path)
			srv := &Server{Handler: echo}
			if err := srv.ListenAndServe(path); !errors.Is(err, row.want) {
				t.Errorf("got %v, want %v", err, row.want)
			}
			if after := inode(t, path); after.Ino != before.Ino || after.Mode != before.Mode || after.Mtim != before.Mtim {
				t.Errorf("was %+v, is %+v", before, after)
			}
			if _, err := os.Lstat(path + ".target"); (err == nil) != strings.Contains(row.name, "stale") {
				t.Errorf("the target of the link: %v", err)
			}
		})
	}
}

// TestStartsAtOnce starts servers on one path at the same time.
func TestStartsAtOnce(t *testing.T) {
	for _, n := range []int{2, 10} {
		for _, stale := range []bool{false, true} {
			t.Run(fmt.Sprintf("servers=%d,stale=%v", n, stale), func(t *testing.T) {
				path := socketPath(t)
				for range 100 {
					if stale {
						staleSocket(t, path)
					}
					startAtOnce(t, path, n)
				}
			})
		}
	}
}

func startAtOnce(t *testing.T, path string, n int) {
	t.Helper()
	type result struct {
		srv *Server
		err error
	}
	results, begin := make(chan result, n), make(chan struct{})
	servers := make(map[*Server]bool)
	for range n {
		srv := &Server{Handler: echo}
		servers[srv] = true
		go func() {
			<-begin
			results <- result{srv, srv.ListenAndServe(path)}
		}()
	}
	close(begin)
	for range n - 1 {
		select {
		case r := <-results:
			if !errors.Is(r.err, ErrAddressInUse) {
				t.Errorf("a loser got %v", r.err)
			}
			delete(servers, r.srv)
		case <-time.After(patience):
			t.Fatalf("%d servers run", len(servers))
		}
	}
	for srv := range servers {
		eventually(t, "the winner runs", func() bool { return running(srv) != nil })
		if _, err := call(t, path, nil); err != nil {
			t.Errorf("the winner: %v", err)
		}
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if r := <-results; !errors.Is(r.err, ErrServerClosed) {
		t.Errorf("the winner got %v", r.err)
	}
}

// TestLockFile has something stand where the lock file belongs.
func TestLockFile(t *testing.T) {
	rows := []struct {
		name string
		make func(t *testing.T, lock string) error
		want error // nil: any
	}{
		{"a symbolic link to nothing", func(_ *testing.T, lock string) error { return os.Symlink(lock+".target", lock) }, unix.ELOOP},
		{"a directory", func(_ *testing.T, lock string) error { return os.Mkdir(lock, 0o700) }, unix.EISDIR},
		{"a fifo", func(_ *testing.T, lock string) error { return unix.Mkfifo(lock, 0o600) }, nil},
		{"a lock that somebody holds", func(t *testing.T, lock string) error {
			file, err := os.Create(lock)
			if err != nil {
				return err
			}
			t.Cleanup(func() { file.Close() })
			return unix.Flock(int(file.Fd()), unix.LOCK_EX)
		}, ErrAddressInUse},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			path := socketPath(t)
			if err := row.make(t, path+".lock"); err != nil {
				t.Fatal(err)
			}
			err := (&Server{Handler: echo}).ListenAndServe(path)
			if err == nil || row.want != nil && !errors.Is(err, row.want) {
				t.Errorf("got %v, want %v", err, row.want)
			}
			for _, name := range []string{path, path + ".lock.target"} {
				if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s exists: %v", name, err)
				}
			}
		})
	}
}

// TestKilledServer kills servers and starts the next in their place.
func TestKilledServer(t *testing.T) {
	path := socketPath(t)
	for range 5 {
		a := startActor(t, []string{"serve", path})
		if line := a.line(); line != "ready" {
			t.Fatal(line)
		}
		if err := (&Server{Handler: echo}).ListenAndServe(path); !errors.Is(err, ErrAddressInUse) {
			t.Errorf("beside a live server: %v", err)
		}
		a.kill()
		inode(t, path) // it is still there
	}
	startAt(t, &Server{Handler: echo}, path)
	if _, err := call(t, path, nil); err != nil {
		t.Error(err)
	}
}

func TestSocketFileAtTheEnd(t *testing.T) {
	for name, end := range map[string]func(*Server) error{
		"after Shutdown": func(srv *Server) error { return srv.Shutdown(context.Background()) },
		"after Close":    (*Server).Close,
	} {
		t.Run(name, func(t *testing.T) {
			path := socketPath(t)
			for _, replaced := range []bool{false, true} {
				srv, served := &Server{Handler: echo}, make(chan error, 1)
				go func() { served <- srv.ListenAndServe(path) }()
				awaitListening(t, path, served)
				if replaced {
					if err := os.Remove(path); err != nil {
						t.Fatal(err)
					}
					rawListener(t, path, 1, false)
				}
				if err := end(srv); err != nil {
					t.Error(err)
				}
				<-served
				if _, err := os.Lstat(path); (err == nil) != replaced {
					t.Errorf("replaced %v: Lstat says %v", replaced, err)
				}
			}
		})
	}
}

func TestPaths(t *testing.T) {
	dir := filepath.Dir(socketPath(t))
	fill := func(n int) string { return filepath.Join(dir, strings.Repeat("x", n-len(dir)-1)) }
	for name, path := range map[string]string{
		"empty":                       "",
		"with a NUL":                  filepath.Join(dir, "a\x00b"),
		"one byte too long":           fill(sys.MaxPath + 1),
		"far too long":                filepath.Join(dir, strings.Repeat("x", 200)),
		"an abstract name, too long":  "@" + strings.Repeat("x", sys.MaxPath),
		"an abstract name with a NUL": "@a\x00b",
	} {
		t.Run(name, func(t *testing.T) {
			if err := (&Server{Handler: echo}).ListenAndServe(path); !errors.Is(err, unix.EINVAL) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("as long as can be", func(t *testing.T) { startAt(t, &Server{Handler: echo}, fill(sys.MaxPath)) })
	t.Run("in a directory that is missing", func(t *testing.T) {
		err := (&Server{Handler: echo}).ListenAndServe(filepath.Join(dir, "missing", "s"))
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 { // the lock of the longest
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestAbstractName(t *testing.T) {
	t.Chdir(t.TempDir())
	name := fmt.Sprintf("@credrpc-test-%d-%d", os.Getpid(), time.Now().UnixNano())
	startAt(t, &Server{Handler: whoami}, name)
	answer, err := call(t, name, nil)
	if err != nil {
		t.Fatal(err)
	}
	if who := parseIdentities(t, string(answer)); who.Sender.PID != os.Getpid() || who.Peer.UID != uint32(os.Getuid()) {
		t.Errorf("got %s", answer)
	}
	if err := (&Server{Handler: echo}).ListenAndServe(name); !errors.Is(err, ErrAddressInUse) {
		t.Errorf("a second server: %v", err)
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) > 0 {
		t.Errorf("files were made: %v, %v", entries, err)
	}
}

func TestModeHasOnlyPermissionBits(t *testing.T) {
	for _, mode := range []fs.FileMode{fs.ModeSetuid | 0o600, fs.ModeSticky, fs.ModeDir | 0o700, fs.ModeSocket | 0o600, 0o4660, 0o1777} {
		path := socketPath(t)
		err := (&Server{Handler: echo, Mode: mode}).ListenAndServe(path)
		var config *ConfigError
		if !errors.As(err, &config) || config.Field != "Mode" {
			t.Errorf("%v: %v", mode, err)
		}
		if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) > 0 {
			t.Errorf("%v: files were made: %v", mode, entries)
		}
	}
}
