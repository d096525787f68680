package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestZeroCredentialsAreNobody(t *testing.T) {
	rows := map[string]Credentials{
		"the zero value":                        {},
		"a process id of 0":                     NewCredentials(0, 0, 0),
		"a negative process id":                 NewCredentials(-1, 0, 0),
		"a process id that overflows to 1":      NewCredentials(1<<32+1, 0, 0),
		"the user id that nobody has":           NewCredentials(1, NoID, 0),
		"the group id that nobody has":          NewCredentials(1, 0, NoID),
		"a struct with ids but without process": {uid: 0, gid: 0},
	}
	for name, c := range rows {
		t.Run(name, func(t *testing.T) {
			if c.Valid() || c.UID() != NoID || c.GID() != NoID || c.PID() != 0 {
				t.Errorf("valid %v, pid %d, uid %d, gid %d", c.Valid(), c.PID(), c.UID(), c.GID())
			}
			if b, err := json.Marshal(c); err != nil || string(b) != "null" {
				t.Errorf("as JSON: %s, %v", b, err)
			}
			if c.String() != "invalid" {
				t.Errorf("as text: %s", c)
			}
		})
	}
}

func TestCredentialsAsTextAndJSON(t *testing.T) {
	c := NewCredentials(7, 4294967294, 0)
	if got, want := c.String(), "pid=7 uid=4294967294 gid=0"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	b, err := json.Marshal(c)
	if want := `{"pid":7,"uid":4294967294,"gid":0}`; err != nil || string(b) != want {
		t.Errorf("got %s, %v, want %s", b, err, want)
	}
	if !c.Valid() || c.PID() != 7 || c.UID() != 4294967294 || c.GID() != 0 {
		t.Errorf("got %+v", c)
	}
}

// TestRealAndEffectiveIDs runs callers whose ids differ. The sender is who the
// caller really is, the peer whose rights it connected with.
func TestRealAndEffectiveIDs(t *testing.T) {
	needRoot(t)
	strict, lenient := publicPath(t), publicPath(t)
	startAt(t, &Server{Handler: whoami, Mode: 0o666}, strict)
	startAt(t, &Server{Handler: whoami, Mode: 0o666, AllowOtherSender: true}, lenient)
	rows := []struct {
		name, uids, gids     string
		senderUID, senderGID uint32
		peerUID, peerGID     uint32
	}{
		{"root", "0", "0", 0, 0, 0, 0},
		{"an ordinary user", "1000", "1000", 1000, 1000, 1000, 1000},
		{"a user who may become root again", "1000/1000/0", "1000", 1000, 1000, 1000, 1000},
		{"a set-user-ID root program that a user runs", "1000/0/0", "1000", 1000, 1000, 0, 1000},
		{"a root daemon that acts as a user", "0/1000/0", "0", 0, 0, 1000, 0},
		{"three different user ids", "1000/1001/1002", "1000", 1000, 1000, 1001, 1000},
		{"a set-group-ID program that a user runs", "1000", "1000/0/0", 1000, 1000, 1000, 0},
		{"a root daemon that acts for a group", "0", "0/1000/0", 0, 0, 0, 1000},
		{"three different group ids", "1000", "1000/1001/1002", 1000, 1000, 1000, 1001},
		{"a user id below 2^31", "2147483647", "2147483647", 2147483647, 2147483647, 2147483647, 2147483647},
		{"a user id of 2^31", "2147483648", "2147483648", 2147483648, 2147483648, 2147483648, 2147483648},
		{"the greatest user id", "4294967294", "4294967294", 4294967294, 4294967294, 4294967294, 4294967294},
		{"nobody, who is somebody here", "65534", "65534", 65534, 65534, 65534, 65534},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			same := row.senderUID == row.peerUID && row.senderGID == row.peerGID
			for path, admitted := range map[string]bool{strict: same, lenient: true} {
				a := startActor(t, []string{"call", path, row.uids, row.gids})
				line := a.line()
				if !admitted {
					if want := "error: " + RefusedSenderMismatch.text(); line != want {
						t.Errorf("got %q, want %q", line, want)
					}
					continue
				}
				who := parseIdentities(t, line)
				if s := who.Sender; s.UID != row.senderUID || s.GID != row.senderGID || s.PID != a.cmd.Process.Pid {
					t.Errorf("sender %+v, want %d %d of process %d", s, row.senderUID, row.senderGID, a.cmd.Process.Pid)
				}
				if p := who.Peer; p.UID != row.peerUID || p.GID != row.peerGID || p.PID != a.cmd.Process.Pid {
					t.Errorf("peer %+v, want %d %d of process %d", p, row.peerUID, row.peerGID, a.cmd.Process.Pid)
				}
			}
		})
	}
}

func parseIdentities(t testing.TB, line string) (who identities) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), &who); err != nil {
		t.Fatalf("got %q: %v", line, err)
	}
	return who
}

// ucred returns the credentials of this process, changed.
func ucred(change func(*unix.Ucred)) *unix.Ucred {
	u := &unix.Ucred{Pid: int32(os.Getpid()), Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}
	if change != nil {
		change(u)
	}
	return u
}

// sendAs sends b with a claim to be u, which root may make.
func sendAs(c *net.UnixConn, u *unix.Ucred, b []byte) error {
	_, _, err := c.WriteMsgUnix(b, unix.UnixCredentials(u), nil)
	return err
}

// TestSplicedRequest has two senders write one request, changing at each byte of
// it. Only a request of one sender may reach the handler.
func TestSplicedRequest(t *testing.T) {
	needRoot(t)
	self := ucred(nil)
	rows := []struct {
		name          string
		first, second *unix.Ucred
	}{
		{"header of root, body of a user", self, ucred(func(u *unix.Ucred) { u.Uid, u.Gid = 1000, 1000 })},
		{"header of a user, body of root", ucred(func(u *unix.Ucred) { u.Uid, u.Gid = 1000, 1000 }), self},
		{"same ids, another process", self, ucred(func(u *unix.Ucred) { u.Pid = 1 })},
		{"same process and user, another group", self, ucred(func(u *unix.Ucred) { u.Gid = 1000 })},
		{"same process and group, another user", self, ucred(func(u *unix.Ucred) { u.Uid = 1000 })},
	}
	wire := request([]byte("0123456789abcdef"))
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var handled atomic.Int64
			srv := &Server{AllowOtherSender: true, Handler: HandlerFunc(func(context.Context, []byte, *Call) ([]byte, error) {
				handled.Add(1)
				return nil, nil
			})}
			path := start(t, srv)
			tries := 0
			for tries < 1000 {
				for at := 1; at < len(wire); at++ {
					tries++
					c := dial(t, path)
					if err := sendAs(c, row.first, wire[:at]); err != nil {
						t.Fatal(err)
					}
					if err := sendAs(c, row.second, wire[at:]); err != nil {
						t.Fatal(err)
					}
					_, err := response(c)
					var refused remoteError
					if !errors.As(err, &refused) || string(refused) != RefusedSenderChanged.text() {
						t.Fatalf("changed at byte %d: %v", at, err)
					}
					c.Close()
				}
			}
			if n := handled.Load(); n != 0 {
				t.Errorf("%d of %d spliced requests reached the handler", n, tries)
			}
			for _, u := range []*unix.Ucred{row.first, row.second} {
				c := dial(t, path)
				for _, b := range wire {
					if err := sendAs(c, u, []byte{b}); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := response(c); err != nil {
					t.Errorf("request of %+v alone, byte by byte: %v", *u, err)
				}
			}
			if n := srv.Stats().Refused[RefusedSenderChanged]; n != uint64(tries) {
				t.Errorf("%d counted, want %d", n, tries)
			}
		})
	}
}

// TestSplicedByProcesses does the same with processes that claim nothing.
func TestSplicedByProcesses(t *testing.T) {
	needRoot(t)
	srv := &Server{Handler: HandlerFunc(func(context.Context, []byte, *Call) ([]byte, error) {
		t.Error("the handler was called")
		return nil, nil
	})}
	path := start(t, srv)
	wire := request([]byte("body"))
	for _, uid := range []string{"0", "1000"} {
		c := dial(t, path)
		if _, err := c.Write(wire[:4]); err != nil {
			t.Fatal(err)
		}
		file, err := c.File()
		if err != nil {
			t.Fatal(err)
		}
		startActor(t, []string{"write", uid, fmt.Sprintf("%x", wire[4:])}, withFile(file)).finish()
		file.Close()
		if _, err := response(c); err == nil || err.Error() != RefusedSenderChanged.text() {
			t.Errorf("body of uid %s: %v", uid, err)
		}
	}
}

// TestPassedConnection is the confused deputy: a user connects, and a process of
// root is made to write what the user wants.
func TestPassedConnection(t *testing.T) {
	needRoot(t)
	var handled atomic.Int64
	srv := &Server{Handler: HandlerFunc(func(context.Context, []byte, *Call) ([]byte, error) {
		handled.Add(1)
		return nil, nil
	})}
	path := start(t, srv)
	rows := map[string]*unix.Ucred{
		"another user":           ucred(func(u *unix.Ucred) { u.Uid = 4242 }),
		"another group":          ucred(func(u *unix.Ucred) { u.Gid = 4242 }),
		"the greatest user id":   ucred(func(u *unix.Ucred) { u.Uid = NoID - 1 }),
		"user, group, process 1": {Pid: 1, Uid: 4242, Gid: 4242},
	}
	for name, claim := range rows {
		c := dial(t, path)
		if err := sendAs(c, claim, request([]byte("x"))); err != nil {
			t.Fatal(err)
		}
		if _, err := response(c); err == nil || err.Error() != RefusedSenderMismatch.text() {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := handled.Load(); n != 0 {
		t.Errorf("%d reached the handler", n)
	}
	if n := srv.Stats().Refused[RefusedSenderMismatch]; n != uint64(len(rows)) {
		t.Errorf("%d counted, want %d", n, len(rows))
	}
}

// TestCallerInNamespaces checks that ids arrive as the server knows them,
// whatever a caller calls itself.
func TestCallerInNamespaces(t *testing.T) {
	needRoot(t)
	path := publicPath(t)
	startAt(t, &Server{Handler: whoami, Mode: 0o666}, path)
	asUser := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 1}}
	rows := []struct {
		name string
		attr *syscall.SysProcAttr
		uid  uint32
	}{
		{"root of its own user namespace", &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWUSER, UidMappings: asUser, GidMappings: asUser,
			Credential: &syscall.Credential{Uid: 0, Gid: 0, NoSetGroups: true},
		}, 1000},
		{"root of its own user and pid namespaces", &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID, UidMappings: asUser, GidMappings: asUser,
			Credential: &syscall.Credential{Uid: 0, Gid: 0, NoSetGroups: true},
		}, 1000},
		{"root in its own pid namespace", &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}, 0},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			a := startActor(t, []string{"call", path}, withAttr(row.attr))
			who := parseIdentities(t, a.line())
			if s := who.Sender; s.UID != row.uid || s.GID != row.uid || s.PID != a.cmd.Process.Pid {
				t.Errorf("sender %+v, want id %d of process %d", s, row.uid, a.cmd.Process.Pid)
			}
			if who.Sender != who.Peer {
				t.Errorf("sender %+v, peer %+v", who.Sender, who.Peer)
			}
		})
	}
}

// TestServerInUserNamespace runs a server that knows only some of the ids. The
// kernel tells it 65534 for all others.
func TestServerInUserNamespace(t *testing.T) {
	needRoot(t)
	path := publicPath(t)
	if err := os.Chown(strings.TrimSuffix(path, "/s"), 100000, 100000); err != nil {
		t.Fatal(err)
	}
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 1000}, {ContainerID: 65534, HostID: 165534, Size: 1}}
	a := startActor(t, []string{"serve", path}, withAttr(&syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true,
		Credential: &syscall.Credential{Uid: 0, Gid: 0},
	}))
	if line := a.line(); line != "ready" {
		t.Fatal(line)
	}
	refused := "error: " + RefusedNoCredentials.text()
	rows := []struct {
		name, uid, gid string
		want           string // what it is told, or who the server says that it is
	}{
		{"root outside", "0", "0", refused},
		{"a user outside", "1000", "1000", refused},
		{"nobody outside", "65534", "65534", refused},
		{"a group that is not mapped", "100005", "1000", refused},
		{"a user who is not mapped", "1000", "100005", refused},
		{"who is mapped to the id that stands for unknown", "165534", "100005", refused},
		{"a user who is mapped", "100005", "100006", `"uid":5,"gid":6`},
		{"root inside", "100000", "100000", `"uid":0,"gid":0`},
	}
	for _, row := range rows {
		if line := startActor(t, []string{"call", path, row.uid, row.gid}).line(); !strings.Contains(line, row.want) {
			t.Errorf("%s: got %q, want %q", row.name, line, row.want)
		}
	}
	a.finish()
}

// TestServerInPIDNamespace runs a server that cannot name its callers'
// processes: the kernel says 0.
func TestServerInPIDNamespace(t *testing.T) {
	needRoot(t)
	path := publicPath(t)
	a := startActor(t, []string{"serve", path}, withAttr(&syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}))
	if line := a.line(); line != "ready" {
		t.Fatal(line)
	}
	for _, id := range []string{"0", "1000"} {
		line := startActor(t, []string{"call", path, id, id}).line()
		if want := "error: " + RefusedNoCredentials.text(); line != want {
			t.Errorf("caller %s: got %q, want %q", id, line, want)
		}
	}
	a.finish()
}

// TestKilledCallers has callers die after they have sent and before anybody
// accepts. Whoever they were then, they are not root now.
func TestKilledCallers(t *testing.T) {
	needRoot(t)
	if calls, wrong := killedCallers(t); wrong != 0 {
		t.Errorf("%d of %d calls were taken for those of others", wrong, calls)
	}
}

// killedCallers has processes call and die before a server is there. It returns how many
// calls reached the handler, which must be all, and how many with wrong credentials.
func killedCallers(t *testing.T) (total, wrong int) {
	t.Helper()
	const processes, calls = 10, 100
	path := publicPath(t)
	l := listenUnix(t, path, true)
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	pids := make(map[int]bool)
	var actors []*actor
	for range processes {
		a := startActor(t, []string{"calls", path, "1000", fmt.Sprint(calls)})
		actors = append(actors, a)
		pids[a.cmd.Process.Pid] = true
	}
	for _, a := range actors {
		if line := a.line(); line != "sent" {
			t.Fatal(line)
		}
		a.kill()
	}
	var mu sync.Mutex
	srv := &Server{Handler: HandlerFunc(func(_ context.Context, _ []byte, call *Call) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		total++
		if s := call.Sender; s.UID() != 1000 || s.GID() != 1000 || !pids[s.PID()] || call.Peer != s {
			wrong++
		}
		return nil, nil
	})}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	eventually(t, "all were accepted", func() bool { return srv.Stats().Accepted == processes*calls })
	stop(t, srv, served)
	if total != processes*calls {
		t.Errorf("%d calls, want %d", total, processes*calls)
	}
	return total, wrong
}
