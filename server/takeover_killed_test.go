package server

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestKilledInTheMiddle ends one of two servers at every moment at which something can
// go wrong, and says who serves then.
func TestKilledInTheMiddle(t *testing.T) {
	const neither, old, new = "", "old", "new"
	type pair struct{ old, new *actor }
	rows := []struct {
		name   string
		happen func(t *testing.T, p pair)
		serves string
		says   string // the successor, if it fails
	}{
		{"the successor is killed before it takes", func(_ *testing.T, p pair) { p.new.kill() }, old, ""},
		{"the running one is killed before the successor takes", func(t *testing.T, p pair) {
			p.old.kill()
			p.new.goOn()
		}, new, ""},
		{"the running one is killed before it reads take", func(t *testing.T, p pair) {
			freeze(t, p.old)
			p.new.goOn()
			awaitState(t, p.new, "S")
			p.old.kill()
		}, new, ""},
		{"the successor is killed before take is read", func(t *testing.T, p pair) {
			freeze(t, p.old)
			p.new.goOn()
			awaitState(t, p.new, "S")
			p.new.kill()
			p.old.cmd.Process.Signal(syscall.SIGCONT)
		}, old, ""},
		{"both are killed", func(_ *testing.T, p pair) { p.old.kill(); p.new.kill() }, neither, ""},
		{"the running one is told to end", func(_ *testing.T, p pair) {
			p.old.terminate()
			p.new.goOn()
		}, neither, "the running server is ending"},
		{"the running one is killed and its socket is gone", func(t *testing.T, p pair) {
			p.old.kill()
			os.Remove(strings.Fields(p.old.cmd.Env[len(p.old.cmd.Env)-1])[1])
			p.new.goOn()
		}, neither, "has ended meanwhile"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			path := socketPath(t)
			p := pair{old: succeed(t, path)}
			p.new = succeedSlowly(t, path)
			if _, err := call(t, path, []byte("offered")); err != nil {
				t.Errorf("while the place is offered: %v", err)
			}
			row.happen(t, p)
			switch row.serves {
			case new:
				if line := p.new.line(); line != "ready" {
					t.Fatalf("the successor says %q", line)
				}
			case neither:
				if row.says != "" {
					if s := p.new.ending(); !strings.Contains(s.Err, row.says) {
						t.Errorf("the successor ends with %q", s.Err)
					}
				}
			}
			if got, err := call1(path); (err == nil && got == "x") != (row.serves != neither) {
				t.Errorf("%q, %v; want it served by %q", got, err, row.serves)
			}
			if row.serves != neither {
				p.old, p.new = succeed(t, path), p.old // whoever serves can be followed
			}
			p.old.kill()
			p.new.kill()
			startAt(t, &Server{Handler: echo}, path)
			if _, err := call(t, path, nil); err != nil {
				t.Errorf("a plain start afterwards: %v", err)
			}
		})
	}
}

// call1 makes a call at a path where perhaps nobody listens.
func call1(path string) (string, error) {
	c, err := net.Dial("unix", path)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.Write(request([]byte("x")))
	got, err := response(c)
	return string(got), err
}

// freeze stops an actor.
func freeze(t *testing.T, a *actor) {
	t.Helper()
	a.cmd.Process.Signal(syscall.SIGSTOP)
	awaitState(t, a, "T")
}

// awaitState waits until every thread of an actor is in a state of proc_pid_stat(5) and
// stays there: S, when it has said take to a server that is stopped, T, when it is.
func awaitState(t *testing.T, a *actor, state string) {
	t.Helper()
	looks := 0
	eventually(t, "it is in state "+state, func() bool {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", a.cmd.Process.Pid))
		for _, task := range tasks {
			stat, _ := os.ReadFile(task)
			if _, rest, _ := strings.Cut(string(stat), ") "); !strings.HasPrefix(rest, state) {
				looks = 0
			}
		}
		looks++
		return looks > 5
	})
}
