package chown

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"credrpc/accessdb"
	"credrpc/server"

	"golang.org/x/sys/unix"
)

func TestTaken(t *testing.T) {
	g := newGround(t)
	socket, tree := g.serve(), g.tree(alice)
	private := g.file(tree+"/private/f", 0)
	g.do(os.Chmod(tree+"/private", 0o700))
	odd := g.file(tree+"/\xff\n\x1b", 0)
	empty := tree + "/directory"
	g.do(os.Mkdir(empty, 0o755))
	g.do(unix.Chmod(empty, unix.S_ISGID|0o755)) // which means something else for directories
	own := g.file(tree+"/own", alice)
	for _, file := range []string{private, tree + "/private", odd, empty, own, own} {
		path, _ := filepath.Rel(tree, file)
		if text := g.ask(alice, socket, path); text != "" {
			t.Errorf("%q: %s", path, text)
		}
		g.want(file, alice)
	}
}

func TestRefused(t *testing.T) {
	g := newGround(t)
	socket, tree := g.serve(), g.tree(alice)
	outside := g.file(g.dir+"/outside", 0)
	of := func(path string, err error) { t.Helper(); g.do(err); g.do(os.Lchown(tree+"/"+path, 0, 0)) }
	of("device", unix.Mknod(tree+"/device", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))))
	of("disk", unix.Mknod(tree+"/disk", unix.S_IFBLK|0o600, int(unix.Mkdev(7, 0))))
	of("fifo", unix.Mkfifo(tree+"/fifo", 0o600))
	of("socket", unix.Mknod(tree+"/socket", unix.S_IFSOCK|0o600, 0))
	of("hard", os.Link(outside, tree+"/hard"))
	of("link", os.Symlink(outside, tree+"/link"))
	of("directory-link", os.Symlink(g.dir, tree+"/directory-link"))
	of("up", os.Symlink("..", tree+"/up"))
	of("proc", os.Symlink("/proc/self/cwd", tree+"/proc"))
	for name, mode := range map[string]uint32{"setuid": unix.S_ISUID | 0o755, "setgid": unix.S_ISGID | 0o755} {
		g.file(tree+"/"+name, 0)
		g.do(unix.Chmod(tree+"/"+name, mode))
	}
	g.file(tree+"/bobs", bob)
	bobs := g.file(g.tree(bob)+"/f", 0)
	g.settle()
	link := "there is a symbolic link on the way"
	for _, c := range []struct {
		uid        int
		path, want string
	}{
		{alice, "device", "neither a regular file"},
		{alice, "disk", "neither a regular file"},
		{alice, "fifo", "neither a regular file"},
		{alice, "socket", "neither a regular file"},
		{alice, "hard", "2 names (hard links)"},
		{alice, "link", link},
		{alice, "directory-link/outside", link},
		{alice, "up/54321/setuid", link},
		{alice, "proc", link},
		{alice, "proc/f", link},
		{alice, "setuid", "is a set-id file"},
		{alice, "setgid", "is a set-id file"},
		{alice, "bobs", "belongs to user 54322"},
		{alice, "54322/f", "no such file"}, // of another tree
		{alice, "missing", "no such file"},
		{alice, "setuid/f", "not a directory"},
		{alice, strings.Repeat("n", 256), "file name too long"},
		{stranger, "f", "user 54323 has no tree"},
		{0, "f", "user 0 has no tree"},
	} {
		if text := g.ask(c.uid, socket, c.path); !strings.Contains(text, c.want) || text == "" {
			t.Errorf("%d %.30q: answered %q, want something about %q", c.uid, c.path, text, c.want)
		}
	}
	for path, owner := range map[string]int{outside: 0, bobs: 0, tree + "/hard": 0, tree + "/setuid": 0, tree + "/fifo": 0, tree + "/device": 0, tree + "/bobs": bob} {
		g.want(path, owner)
	}
}

// TestMounts has files on another mount below a tree, which are not taken, and a tree
// that is a mount, whose files are.
func TestMounts(t *testing.T) {
	g := newGround(t)
	var told [2]string
	g.start(&syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}, "mounts", g.base).tell(&told)
	if told != [2]string{"is on another mount than the tree", ""} {
		t.Errorf("taken with %q", told)
	}
}

// actMounts mounts below BASE in its own mount namespace and takes from there.
func actMounts(args []string) (any, error) {
	base := args[0]
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return nil, err
	}
	s, err := New(base, []uint32{0}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	var told [2]string
	for i, c := range []struct {
		uid             uint32
		directory, path string
	}{{alice, base + "/54321/m", "m/f"}, {bob, base + "/54322", "f"}} {
		if err := os.MkdirAll(c.directory, 0o755); err != nil {
			return nil, err
		}
		if err := unix.Mount("none", c.directory, "tmpfs", 0, ""); err != nil {
			return nil, err
		}
		if err := os.WriteFile(c.directory+"/f", nil, 0o600); err != nil {
			return nil, err
		}
		if _, err := s.take(c.path, Owner{c.uid, c.uid}); err != nil {
			told[i] = err.Error()
		}
	}
	return told, nil
}

func TestNew(t *testing.T) {
	g := newGround(t)
	s := g.service()
	if s.base < 3 {
		t.Error("no descriptor is kept")
	}
	log := slog.New(slog.DiscardHandler)
	root := []uint32{0}
	g.do(os.Symlink(g.base, g.dir+"/link"))
	if s, err := New(g.dir+"/link", root, log); err != nil {
		t.Errorf("the administrator's own link: %v", err)
	} else {
		unix.Close(s.base)
	}
	for _, c := range []struct {
		base, want string
		from       []uint32
	}{
		{g.base, "no owner is listed", nil},
		{g.dir + "/missing", "no such file", root},
		{g.file(g.dir+"/file", 0), "not a directory", root},
		{g.tree(alice), "must belong to root", root},
		{"/tmp", "nobody else may write to it (owner 0, mode 01777)", root},
	} {
		if _, err := New(c.base, c.from, log); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want something about %q", c.base, err, c.want)
		}
	}
}

func TestUntilSettled(t *testing.T) {
	now := time.Now()
	at := func(ago time.Duration) unix.Timespec { return unix.NsecToTimespec(now.Add(-ago).UnixNano()) }
	whole := func(ago time.Duration) unix.Timespec { return unix.Timespec{Sec: at(ago).Sec} }
	for name, c := range map[string]struct {
		changed unix.Timespec
		waits   bool
	}{
		"now":                             {at(-time.Second), true},
		"long ago":                        {at(20 * time.Millisecond), false},
		"this second, of a coarse system": {whole(0), true},
		"some seconds ago":                {whole(4 * time.Second), false},
		"in an hour":                      {at(-time.Hour), true},
	} {
		if wait := untilSettled(c.changed); wait > 0 != c.waits || wait > 2*time.Second {
			t.Errorf("%s: waits for %v", name, wait)
		}
	}
}

// TestAudit looks at the lines for what callers did.
func TestAudit(t *testing.T) {
	g := newGround(t)
	s := g.service()
	var text strings.Builder
	s.log = slog.New(slog.NewJSONHandler(&text, nil))
	g.file(g.tree(alice)+"/f", 0)
	for _, payload := range []string{"\x00\x01f", "\x00\x01f", "\x00\x02\n\x1b", "garbage"} {
		call := &server.Call{Payload: []byte(payload), Sender: server.NewCredentials(7, alice, alice),
			Access: accessdb.Result{Key: accessdb.Key{Kind: accessdb.KeyUID, ID: alice}}}
		s.ServeCall(context.Background(), nil, call)
	}
	type line struct {
		UID, GID, PID              int
		Rule, Path, Outcome, Error string
		Owner                      *int
	}
	var lines []line
	for l := range strings.Lines(text.String()) {
		var decoded line
		g.do(json.Unmarshal([]byte(l), &decoded))
		lines = append(lines, decoded)
	}
	zero, after := 0, alice
	want := []line{
		{alice, alice, 7, "uid/54321", "f", "taken", "", &zero},
		{alice, alice, 7, "uid/54321", "f", "unchanged", "", &after},
		{alice, alice, 7, "uid/54321", "\n\x1b", "refused", "no such file or directory", nil},
		{alice, alice, 7, "uid/54321", "", "refused", "malformed message", nil},
	}
	got, _ := json.Marshal(lines)
	if wanted, _ := json.Marshal(want); string(got) != string(wanted) {
		t.Errorf("the log is\n%s\nwant\n%s", got, wanted)
	}
}
