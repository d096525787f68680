package faults

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// memoryController is where the memory controller of cgroup v1 is mounted on Debian and
// most others. Version 2 has other files, and counts the same.
const memoryController = "/sys/fs/cgroup/memory"

// A cgroup limits and counts what the processes in it have in memory, with what the
// kernel keeps for them: answers that nobody reads are the server's.
type cgroup struct {
	t   *testing.T
	dir string
}

// newCgroup makes one, with a limit in bytes if that is not 0.
func newCgroup(t *testing.T, limit int) *cgroup {
	t.Helper()
	need(t, os.Geteuid() == 0, "root, to make a cgroup")
	_, err := os.Stat(filepath.Join(memoryController, "memory.limit_in_bytes"))
	need(t, err == nil, "the memory controller of cgroup v1 at "+memoryController)
	g := &cgroup{t: t}
	if g.dir, err = os.MkdirTemp(memoryController, "credrpc-faults-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eventually(t, "the cgroup is empty and gone", func() bool { return os.Remove(g.dir) == nil })
	})
	if limit > 0 {
		if err := os.WriteFile(filepath.Join(g.dir, "memory.limit_in_bytes"), []byte(strconv.Itoa(limit)), 0); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// start starts a server in the cgroup.
func (g *cgroup) start(path string, environment []string, args ...string) *process {
	g.t.Helper()
	server := command(g.t, append([]string{"serve", "--listen", path}, args...)...)
	// The shell becomes the server.
	cmd := exec.Command("/bin/sh", append([]string{"-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(g.dir, "cgroup.procs")}, server.Args...)...)
	cmd.Env = append(os.Environ(), environment...)
	p := run(g.t, cmd)
	if !p.serving() {
		g.t.Fatalf("it did not start: %s", &p.log)
	}
	return p
}

// bytes returns a figure of the cgroup, such as memory.kmem.usage_in_bytes.
func (g *cgroup) bytes(name string) int {
	g.t.Helper()
	b, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		g.t.Fatal(err)
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(b)))
	if err != nil {
		g.t.Fatalf("%s: %v", name, err)
	}
	return n
}

// kills returns how many processes the kernel has killed for want of memory.
func (g *cgroup) kills() (n int) {
	g.t.Helper()
	b, err := os.ReadFile(filepath.Join(g.dir, "memory.oom_control"))
	if err != nil {
		g.t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(b), "oom_kill ")
	if _, err := fmt.Sscan(rest, &n); err != nil || !found {
		g.t.Fatalf("oom_kill in %q: %v", b, err)
	}
	return n
}
