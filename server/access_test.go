package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"credrpc/accessdb"

	"golang.org/x/sys/unix"
)

// rulesFile compiles rules into a file.
func rulesFile(t testing.TB, path string, rules ...accessdb.Rule) {
	t.Helper()
	b, err := accessdb.Create(path, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, rule := range rules {
		if err := b.Add(rule); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
}

// openRules opens rules until the test ends.
func openRules(t testing.TB, path string, options accessdb.Options) *accessdb.DB {
	t.Helper()
	options.PollInterval = -1
	db, err := accessdb.Open(path, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// accessEnv encodes NAME, VALUE, NAME, VALUE, ...
func accessEnv(t testing.TB, pairs ...string) accessdb.Env {
	t.Helper()
	var all []accessdb.Modification
	for pair := range slices.Chunk(pairs, 2) {
		all = append(all, accessdb.Modification{Name: pair[0], Value: pair[1]})
	}
	env, err := accessdb.NewEnv(all...)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// accessShown answers what the handler sees of the decision.
var accessShown = HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
	dst = fmt.Appendf(dst, "%v %v", call.Access.Decision, call.Access.Key)
	for _, entry := range call.Access.Env.Apply(nil) {
		dst = fmt.Appendf(dst, " %s", entry)
	}
	return fmt.Appendf(dst, " %q", call.Access.Exec), nil
})

// checkFunc is an AccessChecker.
type checkFunc func(uid, gid uint32) (accessdb.Result, error)

func (f checkFunc) Check(uid, gid uint32) (accessdb.Result, error) { return f(uid, gid) }

// TestAccess runs callers of several users against the same rules as a file and as
// a directory, and looks at what callers, handlers, audit and counters are told.
func TestAccess(t *testing.T) {
	needRoot(t)
	file := filepath.Join(t.TempDir(), "rules.cdb")
	rulesFile(t, file,
		accessdb.Rule{Key: "uid/self", Decision: accessdb.Allow, Env: accessEnv(t, "WHO", "server")},
		accessdb.Rule{Key: "uid/1001", Decision: accessdb.Allow, Env: accessEnv(t, "A", "1", "B", "2"), Exec: "echo hello"},
		accessdb.Rule{Key: "uid/1002", Decision: accessdb.Deny},
		accessdb.Rule{Key: "gid/1002", Decision: accessdb.Allow},
		accessdb.Rule{Key: "gid/50", Decision: accessdb.Allow},
		accessdb.Rule{Key: "uid/4294967294", Decision: accessdb.Allow},
	)
	dir := filepath.Join(t.TempDir(), "rules")
	if err := accessdb.Decompile(file, dir); err != nil {
		t.Fatal(err)
	}
	rows := []struct{ name, uids, gids, want, audit string }{
		{"the server's own user", "0", "7", `allow uid/self WHO=server ""`, "allow uid/self"},
		{"a user with a rule", "1001", "1001", `allow uid/1001 A=1 B=2 "echo hello"`, "allow uid/1001"},
		{"a user whose rule denies, in a group whose rule allows", "1002", "1002", "error: access denied", "deny uid/1002"},
		{"a user without a rule in a group with one", "1003", "50", `allow gid/50 ""`, "allow gid/50"},
		{"a user without any rule", "1003", "1003", "error: access denied", "not found "},
		{"a user whose number extends that of another", "10010", "10010", "error: access denied", "not found "},
		{"the greatest user id", "4294967294", "1", `allow uid/4294967294 ""`, "allow uid/4294967294"},
		{"who acts as somebody allowed, and is not that user", "1003/1001/1003", "1003", "error: " + RefusedSenderMismatch.text(), "allow uid/1001"},
		{"who is allowed, and acts as somebody who is not", "1001/1003/1001", "1003", "error: access denied", "not found "},
		{"root who acts as somebody without a rule", "0/1003/0", "0/1003/0", "error: access denied", "not found "},
	}
	for _, rules := range []string{file, dir} {
		for _, kind := range kinds {
			t.Run(filepath.Base(rules)+", "+kind.name, func(t *testing.T) {
				audited := make(chan AccessDecision, 1)
				srv := &Server{
					Handler: accessShown, HandlerOnLoop: kind.onLoop, Mode: 0o666,
					Access: openRules(t, rules, accessdb.Options{}),
					Audit:  func(d AccessDecision) { audited <- d },
				}
				path := publicPath(t)
				startAt(t, srv, path)
				denied := uint64(0)
				<-audited // of awaitListening
				for _, row := range rows {
					a := startActor(t, []string{"call", path, row.uids, row.gids})
					if line := a.line(); line != row.want {
						t.Errorf("%s: got %q, want %q", row.name, line, row.want)
					}
					if row.want == "error: access denied" {
						denied++
					}
					d := <-audited
					if got := fmt.Sprint(d.Result.Decision, " ", d.Result.Key); got != row.audit || d.Err != nil || d.Allowed() != strings.HasPrefix(row.audit, "allow") {
						t.Errorf("%s: audit is told %q, %v, want %q", row.name, got, d.Err, row.audit)
					}
					uid, _ := threeIDs(row.uids)
					gid, _ := threeIDs(row.gids)
					if p := d.Peer; p.PID() != a.cmd.Process.Pid || p.UID() != uint32(uid[1]) || p.GID() != uint32(gid[1]) {
						t.Errorf("%s: audit is told of %v", row.name, p)
					}
				}
				if s := srv.Stats(); s.Refused[RefusedAccess] != denied || s.Refused[RefusedAccessError] != 0 {
					t.Errorf("%d denied, counted %v", denied, s.Refused)
				}
			})
		}
	}
}

// TestAccessFollowsDirectory changes a rules directory between calls.
func TestAccessFollowsDirectory(t *testing.T) {
	dir := t.TempDir()
	rule := filepath.Join(dir, "uid", strconv.Itoa(os.Getuid()))
	if err := os.MkdirAll(rule, 0o755); err != nil {
		t.Fatal(err)
	}
	path := start(t, &Server{Handler: echo, Access: openRules(t, dir, accessdb.Options{})})
	for i := range 3 {
		if _, err := call(t, path, nil); err == nil || err.Error() != accessText {
			t.Errorf("round %d, no rule: %v", i, err)
		}
		if err := os.WriteFile(filepath.Join(rule, "allow"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := call(t, path, nil); err != nil {
			t.Errorf("round %d, allowed: %v", i, err)
		}
		if err := os.Remove(filepath.Join(rule, "allow")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAccessBeforePayload has a refused caller send a large request. Nothing of it
// is received as a request, and the caller can read why.
func TestAccessBeforePayload(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			srv := &Server{Handler: accessShown, HandlerOnLoop: kind.onLoop, MaxRequest: 16 << 20,
				Access: checkFunc(func(uint32, uint32) (accessdb.Result, error) { return accessdb.Result{}, nil })}
			path := start(t, srv)
			for range 20 {
				// Writing fails if the server gives up waiting for it to end.
				if _, err := transfer(t, path, make([]byte, 8<<20)); err == nil || !strings.HasPrefix(err.Error(), accessText) {
					t.Errorf("got %v", err)
				}
			}
			if s := srv.Stats(); s.BytesIn != 0 || s.Answered+s.Failed != 0 {
				t.Errorf("received %d bytes, answered %d", s.BytesIn, s.Answered+s.Failed)
			}
		})
	}
}

// TestAccessFails checks that whatever goes wrong refuses, whatever the result
// says, and that the server goes on.
func TestAccessFails(t *testing.T) {
	allow := accessdb.Result{Decision: accessdb.Allow}
	closed := openRules(t, t.TempDir(), accessdb.Options{})
	closed.Close()
	broken := errors.New("the rules are broken")
	rows := []struct {
		name   string
		access AccessChecker
		audit  func(AccessDecision)
		err    error // that audit is told, if it is told
		log    string
	}{
		{"an error beside an allow", checkFunc(func(uint32, uint32) (accessdb.Result, error) { return allow, broken }), nil, broken, broken.Error()},
		{"a decision that does not exist", checkFunc(func(uint32, uint32) (accessdb.Result, error) { return accessdb.Result{Decision: 3}, nil }), nil, nil, ""},
		{"rules that are closed", closed, nil, accessdb.ErrClosed, "closed"},
		{"rules that were never opened", new(accessdb.DB), nil, accessdb.ErrClosed, "closed"},
		{"a check that panics", checkFunc(func(uint32, uint32) (accessdb.Result, error) { panic("oh no") }), nil, nil, "oh no"},
		{"an audit that panics at an allow", checkFunc(func(uint32, uint32) (accessdb.Result, error) { return allow, nil }), func(AccessDecision) { panic("oh no") }, nil, "oh no"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			log := new(lockedBuffer)
			var told atomic.Pointer[AccessDecision]
			srv := &Server{Handler: echo, Access: row.access, Audit: row.audit, Logger: slog.New(slog.NewTextHandler(log, nil))}
			if srv.Audit == nil {
				srv.Audit = func(d AccessDecision) { told.Store(&d) }
			}
			path := start(t, srv)
			for range 100 {
				if _, err := call(t, path, nil); err == nil || err.Error() != accessText {
					t.Fatalf("got %v, want %q", err, accessText)
				}
			}
			if d := told.Load(); d != nil && (d.Allowed() || !errors.Is(d.Err, row.err)) {
				t.Errorf("audit is told %+v, want %v", d, row.err)
			}
			s := srv.Stats()
			if refused := s.Refused[RefusedAccess] + s.Refused[RefusedAccessError]; refused != 101 || s.Answered != 0 {
				t.Errorf("refused %v, answered %d", s.Refused, s.Answered)
			}
			if lines := strings.Count(log.String(), "\n"); !strings.Contains(log.String(), row.log) || lines > 4 {
				t.Errorf("%d lines of log: %s", lines, log)
			}
		})
	}
}

// TestAccessExits checks that a hook that ends its goroutine ends the server with
// an error, instead of leaving it without a leader.
func TestAccessExits(t *testing.T) {
	srv := &Server{Handler: echo,
		Access: checkFunc(func(uint32, uint32) (accessdb.Result, error) { runtime.Goexit(); panic("unreachable") })}
	path, served := socketPath(t), make(chan error, 1)
	ready := make(chan struct{})
	srv.Ready = func() { close(ready) }
	go func() { served <- srv.ListenAndServe(path) }()
	<-ready
	// The server may be gone before the caller has written.
	if _, err := call(t, path, nil); err == nil || (err.Error() != accessText && !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET)) {
		t.Errorf("the caller gets %v", err)
	}
	if err := <-served; !errors.Is(err, errAccessExited) {
		t.Errorf("Serve returned %v", err)
	}
	srv.Shutdown(context.Background())
	if s := srv.Stats(); s.InFlight != 0 || s.Accepted != ended(s) {
		t.Errorf("the counters do not add up: %+v", s)
	}
}

// TestAccessConfiguration checks what cannot be meant.
func TestAccessConfiguration(t *testing.T) {
	for field, srv := range map[string]*Server{
		"Access": {Handler: echo, Access: (*accessdb.DB)(nil)},
		"Audit":  {Handler: echo, Audit: func(AccessDecision) {}},
	} {
		var config *ConfigError
		if err := srv.ListenAndServe(socketPath(t)); !errors.As(err, &config) || config.Field != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

// replacementRules are the rules of one generation. Each decides by another key
// than its neighbours, and says in its environment which one that is; what is a deny
// in every third would be an allow if its first rule got lost.
func replacementRules(t testing.TB, n int) []accessdb.Rule {
	uid := "uid/" + strconv.Itoa(os.Getuid())
	rule := func(key string) accessdb.Rule {
		return accessdb.Rule{Key: key, Decision: accessdb.Allow, Env: accessEnv(t, "GENERATION", strconv.Itoa(n), "KEY", key)}
	}
	switch n % 3 {
	case 0:
		return []accessdb.Rule{rule(uid), {Key: "uid/default", Decision: accessdb.Deny}}
	case 1:
		return []accessdb.Rule{rule("uid/default")}
	default:
		return []accessdb.Rule{{Key: uid, Decision: accessdb.Deny}, rule("uid/default")}
	}
}

// TestReplacementsUnderLoad replaces the rules ten thousand times while callers
// call without a pause. Every call is answered, and by one file: one that was in
// force at some moment of the call.
func TestReplacementsUnderLoad(t *testing.T) {
	replacements := 10000
	if testing.Short() {
		replacements = 300
	}
	file := filepath.Join(t.TempDir(), "rules.cdb")
	rulesFile(t, file, replacementRules(t, 0)...)
	db := openRules(t, file, accessdb.Options{})
	srv := &Server{Handler: accessShown, Access: db}
	path := start(t, srv)

	var inForce, begun atomic.Int64 // generations: in force for certain, perhaps in force
	var calls, allowed, denied atomic.Int64
	done := make(chan struct{})
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				oldest := int(inForce.Load())
				answer, err := call(t, path, nil)
				newest := int(begun.Load())
				calls.Add(1)
				if !generationFits(string(answer), err, oldest, newest) {
					t.Errorf("between generations %d and %d: %q, %v", oldest, newest, answer, err)
					return
				}
				if err == nil {
					allowed.Add(1)
				} else {
					denied.Add(1)
				}
			}
		})
	}
	for n := 1; n <= replacements && !t.Failed(); n++ {
		rulesFile(t, file, replacementRules(t, n)...)
		begun.Store(int64(n))
		if err := db.Reload(); err != nil {
			t.Fatal(err)
		}
		inForce.Store(int64(n))
	}
	close(done)
	callers.Wait()
	t.Logf("%d replacements, %d calls: %d allowed, %d denied", replacements, calls.Load(), allowed.Load(), denied.Load())
	if allowed.Load() < 100 || denied.Load() < 50 {
		t.Error("too few calls to show anything")
	}
	// The connection that awaitListening made may be accepted late, and be denied too.
	s := srv.Stats()
	if extra := s.Refused[RefusedAccess] - uint64(denied.Load()); extra > 1 || s.Refused[RefusedAccessError] != 0 {
		t.Errorf("%d denied, counted %v", denied.Load(), s.Refused)
	}
}

// generationFits reports whether an answer is that of a generation from oldest to
// newest.
func generationFits(answer string, err error, oldest, newest int) bool {
	if err != nil {
		return err.Error() == accessText && slices.ContainsFunc([]int{0, 1, 2}, func(i int) bool {
			return oldest+i <= newest && (oldest+i)%3 == 2
		})
	}
	var key, generation, exec string
	var from string
	if _, err := fmt.Sscanf(answer, "allow %s GENERATION=%s KEY=%s %s", &key, &generation, &from, &exec); err != nil || key != from {
		return false
	}
	n, err := strconv.Atoi(generation)
	return err == nil && oldest <= n && n <= newest && n%3 != 2 && strings.HasSuffix(key, "default") == (n%3 == 1)
}

// TestAccessInvisible checks that a refused caller learns the same whatever the
// reason, byte by byte.
func TestAccessInvisible(t *testing.T) {
	var answers [][]byte
	for _, result := range []struct {
		result accessdb.Result
		err    error
	}{{}, {result: accessdb.Result{Decision: accessdb.Deny, Key: accessdb.Key{Kind: accessdb.KeyUID, ID: 7}}}, {err: errors.New("secret")}} {
		path := start(t, &Server{Handler: echo, Access: checkFunc(func(uint32, uint32) (accessdb.Result, error) { return result.result, result.err })})
		c := dial(t, path)
		c.Write(request([]byte("hello")))
		answer, err := io.ReadAll(c)
		if err != nil {
			t.Error(err)
		}
		answers = append(answers, answer)
	}
	if want := []byte("\x00\x00\x00\x0daccess denied"); !bytes.Equal(answers[0], want) || !bytes.Equal(answers[1], want) || !bytes.Equal(answers[2], want) {
		t.Errorf("got %q", answers)
	}
}
