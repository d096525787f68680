package program

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"credrpc/accessdb"
	"credrpc/server"
)

// executing returns a rule that has an exec.
func executing(line string, env accessdb.Env) accessdb.Result {
	return accessdb.Result{Decision: accessdb.Allow, Key: allowed.Key, Env: env, Exec: line}
}

// TestExec runs the command lines of rules in place of the program.
func TestExec(t *testing.T) {
	need(t, "execlineb", "execline")
	for _, row := range []struct{ name, line, request, want, text string }{
		{"the request goes through", "cat", "hello\x00", "hello\x00", ""},
		{"several programs", "foreground { echo one } cat", "two", "one\ntwo", ""},
		{"the rule's environment", `importas -i A A echo "${A}"`, "", "from the rule\n", ""},
		{"a line that ends at a zero byte", "echo one\x00two", "", "one\n", ""},
		{"an empty line does nothing", "\x00", "x", "", ""},
		{"a syntax error", "foreground {", "", "", "execlineb: fatal: "},
		{"a program that is not there", "no-such-program", "", "", "execlineb: fatal: "},
		{"a status", "exit 7", "", "", "exit status 7"},
	} {
		path := serve(t, &server.Server{Access: allowing(executing(row.line, env(t, "A=from the rule")))}, Config{Program: []string{"false"}})
		got, err := call(t, path, row.request)
		if got != row.want || !strings.HasPrefix(remoteText(err), row.text) || (err == nil) != (row.text == "") {
			t.Errorf("%s: %q, %v", row.name, got, err)
		}
	}

	path := serve(t, &server.Server{Access: allowing(executing("env -0", env(t, "A=1")))}, Config{})
	got, err := call(t, path, "")
	names := list(got)
	for i, entry := range names {
		names[i], _, _ = strings.Cut(entry, "=")
	}
	want := []string{"A", "IPCLOCALPATH", "IPCREMOTEEGID", "IPCREMOTEEUID", "IPCREMOTEPID", "IPCRULE", "PATH", "PROTO"}
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("variables %q, %v", names, err)
	}
}

// TestNoExecline checks that a rule with an exec runs nothing when there is no
// execlineb, that the log says why at a bounded rate, and that other rules work.
func TestNoExecline(t *testing.T) {
	bin := t.TempDir()
	if err := os.Symlink(toolPath(t), filepath.Join(bin, "tool")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	log := new(lockedBuffer)
	var withExec atomic.Bool
	access := checker(func(uint32, uint32) (accessdb.Result, error) {
		if withExec.Load() {
			return executing("echo hello", accessdb.Env{}), nil
		}
		return allowed, nil
	})
	path := serve(t, &server.Server{Access: access},
		Config{Program: []string{"tool"}, Logger: logTo(log)})
	if got, err := call(t, path, "ehello"); err != nil || got != "hello" {
		t.Errorf("without exec: %q, %v", got, err)
	}
	withExec.Store(true)
	for range 50 {
		if got, err := call(t, path, "ehello"); got != "" || remoteText(err) != "the program cannot be run" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	text := log.String()
	if strings.Count(text, "\n") != 1 || !strings.Contains(text, "execlineb was not in PATH") || !strings.Contains(text, "rule=uid/1234") {
		t.Errorf("the log says %q", text)
	}
}
