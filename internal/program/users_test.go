package program

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"credrpc/accessdb"
	"credrpc/bench/reference"
	"credrpc/server"
)

// rulesFile compiles rules into a file and opens it until the test ends.
func rulesFile(t testing.TB, rules ...accessdb.Rule) *accessdb.DB {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.cdb")
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
	db, err := accessdb.Open(path, accessdb.Options{PollInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// TestUsers has real users call: one whose rule allows and has an environment, one
// whose rule has an exec, one whose rule denies, and one without a rule.
func TestUsers(t *testing.T) {
	needRoot(t)
	need(t, "execlineb", "execline")
	marks := filepath.Join(t.TempDir(), "marks") // the program writes it as the server does
	srv := &server.Server{Mode: 0o666, Access: rulesFile(t,
		accessdb.Rule{Key: "uid/1001", Decision: accessdb.Allow, Env: env(t, "ROLE=operator", "PROTO")},
		accessdb.Rule{Key: "uid/1002", Decision: accessdb.Deny},
		accessdb.Rule{Key: "gid/1003", Decision: accessdb.Allow, Exec: "id -u"},
	)}
	path := serve(t, srv, Config{Program: []string{toolPath(t), marks}})
	started := func() int64 {
		info, err := os.Stat(marks)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	ask := func(id string) (pid int, line string) {
		cmd, lines := startRole(t, "call", path, id, "E")
		if !lines.Scan() {
			t.Fatalf("uid %s says nothing", id)
		}
		return cmd.Process.Pid, lines.Text()
	}

	for _, denied := range []string{"1002", "1004"} {
		if _, line := ask(denied); !strings.HasPrefix(line, "error: ") || !strings.Contains(line, "access denied") || started() != 0 {
			t.Errorf("uid %s: %s, %d programs", denied, line, started())
		}
	}
	pid, line := ask("1001")
	want := []string{
		"IPCLOCALPATH=" + path, "IPCREMOTEEGID=1001", "IPCREMOTEEUID=1001", fmt.Sprintf("IPCREMOTEPID=%d", pid),
		"IPCRULE=uid/1001", "PATH=" + safePath, "ROLE=operator",
	}
	var answer string
	if _, err := fmt.Sscanf(line, "answer: %q", &answer); err != nil || fmt.Sprintf("%q", list(answer)) != fmt.Sprintf("%q", want) {
		t.Errorf("uid 1001: %s", line)
	}
	if n := started(); n != 1 {
		t.Errorf("%d programs were started", n)
	}
	if _, line := ask("1003"); line != `answer: "0\n"` || started() != 1 {
		t.Errorf("uid 1003, whose exec runs as the server: %s, %d programs", line, started())
	}
}

// TestInteroperability has the naive client call.
func TestInteroperability(t *testing.T) {
	naive := reference.Client{Path: serve(t, &server.Server{}, Config{Program: []string{"sh", "-c", `read name; [ "$name" ] || { echo who are you >&2; exit 1; }; echo hello $name`}})}
	if got, err := naive.Call([]byte("world\n")); err != nil || string(got) != "hello world\n" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := naive.Call(nil); err == nil || err.Error() != "who are you" {
		t.Errorf("%q, %v", got, err)
	}
	naive.Path = serve(t, &server.Server{}, Config{Program: []string{"cat"}})
	for _, size := range []int{0, 1, 65537, 1 << 20} {
		if got, err := naive.Call(make([]byte, size)); err != nil || len(got) != size {
			t.Errorf("%d bytes: %d, %v", size, len(got), err)
		}
	}
}
