package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// partVariable makes the test program a part.
const partVariable = "CREDRPC_LOAD_TEST_PART"

// part returns a command that is a part.
func testPart() *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), partVariable+"=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// echoing answers as it should.
func echoing(request []byte) [][]byte { return [][]byte{right(request)} }

func TestDistribute(t *testing.T) {
	path := serve(t, echoing)
	var told []string
	tell := func(what string) func() { return func() { told = append(told, what) } }
	c := Config{Path: path, Load: Load{1, 4}, Payload: 32, WarmUp: 50 * time.Millisecond, Arrivals: constant(500, 300*time.Millisecond), Phases: true}
	r, err := Distribute(t.Context(), c, Distribution{Command: testPart, Begin: func(late time.Duration) {
		tell("begin")()
		if late < 0 || late > time.Minute {
			t.Errorf("it began %v late", late)
		}
	}, End: tell("end")})
	if err != nil {
		t.Fatal(err)
	}
	checkArrivals(t, r, 150)
	checkPhases(t, r)
	if strings.Join(told, " ") != "begin end" || r.Interrupted || r.UserSeconds+r.SystemSeconds <= 0 || r.Callers != 4 {
		t.Errorf("told %v; %+v", told, r)
	}
	if r, err := Run(Config{Path: path, Load: Load{1, 1}, Hostile: Hostile{{Half, 1}}}); !errors.Is(err, ErrParts) {
		t.Errorf("hostile callers in one process: %+v, %v", r, err)
	}
}

// needRoot skips a test that acts as other users.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CREDRPC_CI") == "1" {
		t.Fatal("acting as other users needs root")
	}
	t.Skip("acting as other users needs root")
}

// TestUsers has three users, whose calls the server tells apart by what the kernel
// says.
func TestUsers(t *testing.T) {
	needRoot(t)
	path, seen := serveUsers(t)
	c := Config{Path: path, Load: Load{1, 7}, Payload: 32, Arrivals: constant(600, 500*time.Millisecond),
		UIDs: UIDs{0, 1234, 65533}, Hostile: Hostile{{Denied, 1}}}
	r, err := Distribute(t.Context(), c, Distribution{Command: testPart})
	if err != nil {
		t.Fatal(err)
	}
	checkArrivals(t, r, 300)
	seenBy := seen()
	if len(r.Users) != 3 || r.Callers != 7 || len(r.Hostile) != 1 || len(seenBy) != 4 {
		t.Fatalf("users %+v, hostile %+v, seen %v", r.Users, r.Hostile, seenBy)
	}
	callers := 0
	for i, u := range r.Users {
		callers += u.Callers
		if u.UID != c.UIDs[i] || u.Calls == 0 || u.Calls > 100 || seenBy[u.UID] != u.Calls {
			t.Errorf("user %d made %d calls, and the server saw %d", u.UID, u.Calls, seenBy[u.UID])
		}
	}
	if h := r.Hostile[0]; callers != 7 || h.Attempts == 0 || h.Answered > seenBy[Nobody] || h.Answered+h.Left != h.Attempts {
		t.Errorf("%d callers; %+v, and the server saw %d", callers, h, seenBy[Nobody])
	}
}

// serveUsers serves until the end of the test and returns how to find out how many
// calls each user made.
func serveUsers(t *testing.T) (path string, seen func() map[uint32]uint64) {
	t.Helper()
	// An abstract name, which no directory keeps from anybody.
	path = fmt.Sprintf("@credrpc-load-test-%d", os.Getpid())
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var mu sync.Mutex
	calls := map[uint32]uint64{}
	go func() {
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(time.Minute))
				request := make([]byte, 36)
				if _, err := io.ReadFull(conn, request); err != nil {
					return
				}
				mu.Lock()
				calls[peer(t, conn).Uid]++
				mu.Unlock()
				conn.Write(right(request))
			}()
		}
	}()
	return path, func() map[uint32]uint64 {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(calls)
	}
}

// TestIdentities has three callers who act as seven users in turn, which the server
// is told by the kernel.
func TestIdentities(t *testing.T) {
	needRoot(t)
	path, seen := serveUsers(t)
	c := Config{Path: path, Load: Load{1, 3}, Payload: 32, Arrivals: constant(1000, 280*time.Millisecond), Identities: 7}
	r, err := Distribute(t.Context(), c, Distribution{Command: testPart})
	if err != nil {
		t.Fatal(err)
	}
	checkArrivals(t, r, 280)
	all := uint64(0)
	for uid, calls := range seen() {
		all += calls
		if uid < FirstIdentity || uid >= FirstIdentity+7 {
			t.Errorf("user %d made %d calls", uid, calls)
		}
	}
	if n := len(seen()); n != 7 || all != r.Calls {
		t.Errorf("%d users made %d calls; the generator counted %d", n, all, r.Calls)
	}
}

// peer returns who connected.
func peer(t *testing.T, conn *net.UnixConn) *unix.Ucred {
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Error(err)
		return new(unix.Ucred)
	}
	var cred *unix.Ucred
	raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil {
		t.Error(err)
		return new(unix.Ucred)
	}
	return cred
}

// TestSlowedGenerator stops the generator for a while. What is late by that is its
// own fault, and not that of the server.
func TestSlowedGenerator(t *testing.T) {
	const stop = 400 * time.Millisecond
	path := serve(t, echoing)
	var cmd *exec.Cmd
	stopped := false
	c := Config{Path: path, Load: Load{1, 64}, Payload: 32, Arrivals: constant(100, 1500*time.Millisecond)}
	r, err := Distribute(t.Context(), c, Distribution{
		Command: func() *exec.Cmd { cmd = testPart(); return cmd },
		Progress: func(elapsed time.Duration) {
			if elapsed < 100*time.Millisecond || stopped {
				return
			}
			stopped = true
			cmd.Process.Signal(syscall.SIGSTOP)
			time.Sleep(stop)
			cmd.Process.Signal(syscall.SIGCONT)
		},
	})
	if err != nil || !stopped {
		t.Fatal(err, stopped)
	}
	checkArrivals(t, r, 150)
	// About 30 arrivals. Callers that were in a call are not late themselves, but 64
	// are not all in calls at 100 a second.
	late, slow := count(t, r.Offered.PacingHistogram, stop/4), count(t, r.ServiceHistogram, stop/4)
	if late < 10 || late < slow {
		t.Errorf("%d arrivals have a pacing error of %v, and %d a service time", late, stop/4, slow)
	}
	// It is not taken out of the latency.
	if n := count(t, r.Histogram, stop/4); n < late {
		t.Errorf("%d arrivals have a pacing error of %v, and %d that latency", late, stop/4, n)
	}
	checkParts(t, r)
}

// TestInterrupt stops a run whose server has stopped answering. The result has the
// calls that were not answered.
func TestInterrupt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for i := range 100 {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close() // with all others, at the end
			if i < 10 {
				request := make([]byte, 36)
				io.ReadFull(conn, request)
				conn.Write(right(request))
				conn.Close()
				continue
			}
			if i == 11 {
				cancel() // both callers wait now
			}
		}
	}()
	c := Config{Path: path, Load: Load{1, 2}, Payload: 32, Duration: time.Hour}
	r, err := Distribute(ctx, c, Distribution{Command: testPart})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || r.Calls != 10 || r.Failed != 2 || !strings.Contains(r.FirstError, "given up") {
		t.Errorf("interrupted %v, %+v, %q", r.Interrupted, r.Counts, r.FirstError)
	}
	if r, err := Distribute(ctx, c, Distribution{Command: testPart}); !errors.Is(err, context.Canceled) {
		t.Errorf("before the start: %+v, %v", r, err)
	}
}

// TestPartFails has processes that are no parts, and one that is killed.
func TestPartFails(t *testing.T) {
	c := Config{Path: serve(t, echoing), Load: Load{1, 1}, Payload: 32, Duration: time.Minute}
	for want, script := range map[string]string{
		"the reason":     "echo the reason >&2; exit 3",
		"it says":        "head -n 1",
		"no such file":   "",
		"signal: killed": "echo ready; read share; kill -9 $$",
		"all that it":    `echo ready; echo ended; echo '{"Harvest":{"Tallies":[null]}}'`,
		"invalid":        `echo ready; echo ended; echo 'x'`,
	} {
		command := func() *exec.Cmd { return exec.Command("/bin/sh", "-c", script) }
		if script == "" {
			command = func() *exec.Cmd { return exec.Command("/does/not/exist") }
		}
		if r, err := Distribute(t.Context(), c, Distribution{Command: command}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", script, r, err)
		}
	}
	var cmd *exec.Cmd
	_, err := Distribute(t.Context(), c, Distribution{
		Command:  func() *exec.Cmd { cmd = testPart(); return cmd },
		Progress: func(time.Duration) { cmd.Process.Kill() },
	})
	if err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("killed while it made its load: %v", err)
	}
}

// TestHostile counts what comes of misdeeds.
func TestHostile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(time.Minute))
				head := make([]byte, headerSize)
				if _, err := io.ReadFull(conn, head); err != nil {
					return
				}
				if n := binary.BigEndian.Uint32(head); n > MaxPayload {
					conn.Write([]byte("\x00\x00\x00\x09too large"))
					io.Copy(io.Discard, conn)
					return
				}
				body := make([]byte, binary.BigEndian.Uint32(head))
				if _, err := io.ReadFull(conn, body); err == nil {
					conn.Write(right(append(head, body...)))
				}
			}()
		}
	}()
	h, err := ParseHostile("slow=2,half=1,garbage=1,early=1,denied=1,linger=2,deaf=1")
	if err != nil {
		t.Fatal(err)
	}
	var results []HostileResult
	idle := func(r HostileResult) bool { return r.Attempts == 0 }
	for lasts := 300 * time.Millisecond; lasts < 5*time.Second; lasts *= 2 { // until each has had its turn
		if results = beHostile(ctxFor(t, lasts), path, h); !slices.ContainsFunc(results, idle) {
			break
		}
	}
	if len(results) != len(h) {
		t.Fatalf("%+v", results)
	}
	for i, r := range results {
		if r.Misdeed != h[i].Misdeed || r.Callers != h[i].Callers || r.Attempts == 0 || r.Attempts != r.Answered+r.Refused+r.Ended+r.Left {
			t.Errorf("%+v", r)
		}
		var most uint64 // of what must come of it; the last attempt of each may be left
		switch r.Misdeed {
		case Garbage:
			most = r.Refused
			if r.FirstRefusal != `"too large"` && r.Refused > 0 {
				t.Errorf("%+v", r)
			}
		case Denied, Linger: // by nobody
			most = r.Answered
		default:
			most = r.Left
		}
		if most+uint64(r.Callers) < r.Attempts {
			t.Errorf("%+v", r)
		}
	}
	nobody := beHostile(ctxFor(t, 20*time.Millisecond), filepath.Join(t.TempDir(), "s"), Hostile{{Early, 1}})
	if nobody[0].Attempts != 0 || nobody[0].Unconnected == 0 || nobody[0].BacklogFull != 0 {
		t.Errorf("nobody listens: %+v", nobody)
	}
}

func ctxFor(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestParseHostile(t *testing.T) {
	for in, ok := range map[string]bool{
		"slow=1": true, "early=3,half=4096": false, "early=3,half=4": true, "": false, "slow": false, "slow=": false, "slow=0": false,
		"slow=-1": false, "rude=1": false, "slow=1,slow=2": false, "slow=5000": false,
	} {
		h, err := ParseHostile(in)
		if (err == nil) != ok || ok && h.String() != in {
			t.Errorf("%q: %v, %v", in, h, err)
		}
	}
}

func TestParseUIDs(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "1000,5": "1000,5", "7-9,1": "7,8,9,1", "0-255": "", "4294967294": "4294967294",
		"": "x", "-1": "x", "1-": "x", "9-7": "x", "4294967295": "x", "4294967296": "x", "0-256": "x", "0-4294967294": "x", "0-200,1000-1100": "x", "root": "x",
	} {
		uids, err := ParseUIDs(in)
		if (err != nil) != (want == "x") || err == nil && want != "" && uids.String() != want {
			t.Errorf("%q: %v, %v", in, uids, err)
		}
	}
}
