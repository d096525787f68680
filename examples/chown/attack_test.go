package chown

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hammer asks for paths, n times in all, and returns how often it was answered what.
func (g *ground) hammer(uid, n int, socket string, paths ...string) map[string]int {
	g.t.Helper()
	counts := make(map[string]int)
	g.start(as(uid), "ask", append([]string{socket, fmt.Sprint(n / len(paths))}, paths...)...).tell(&counts)
	if sum := count(counts, ""); sum != n {
		g.t.Errorf("%d answers, want %d", sum, n)
	}
	return counts
}

// clash has alice ask for paths, n times in all, while an actor in a role changes her
// tree, and more often if that did not meet both states that the actor makes.
func (g *ground) clash(role []string, both func(counts map[string]int) bool, n int, socket string, paths ...string) {
	g.t.Helper()
	disturber := g.start(as(alice), role[0], role[1:]...)
	counts := make(map[string]int)
	for begin := time.Now(); len(counts) == 0 || !both(counts); {
		for answer, times := range g.hammer(alice, n, socket, paths...) {
			counts[answer] += times
		}
		if time.Since(begin) > patience/2 {
			g.t.Errorf("nothing was tried: %v", counts)
			break
		}
	}
	var rounds int
	disturber.tell(&rounds)
	g.t.Logf("%d rounds meanwhile, answers %v", rounds, counts)
}

// count returns how often an answer was one of those that contain text.
func count(counts map[string]int, text string) (n int) {
	for answer, times := range counts {
		if strings.Contains(answer, text) {
			n += times
		}
	}
	return n
}

// TestDirectorySwapped has a directory of the tree and a symbolic link to one outside
// change places all the time, while each file of it is asked for once.
func TestDirectorySwapped(t *testing.T) {
	g := newGroundIn(t, "/dev/shm") // thousands of files
	socket, tree := g.serve(), g.tree(alice)
	var victims, paths []string
	for i := range g.tries() {
		name := fmt.Sprintf("/f%d", i)
		victims = append(victims, g.file(g.dir+"/outside"+name, 0))
		g.file(tree+"/d"+name, 0)
		paths = append(paths, "d"+name)
	}
	g.do(os.Chown(tree+"/d", alice, alice))
	g.do(os.Symlink(g.dir+"/outside", tree+"/e"))
	g.settle()
	g.clash([]string{"flip", tree + "/d", tree + "/e"}, func(counts map[string]int) bool {
		return counts[""] > 0 && count(counts, "symbolic link") > 0
	}, g.tries(), socket, paths...)
	for _, victim := range victims {
		g.want(victim, 0)
	}
}

// TestFileSwapped is the same with a file, which looks changed by it each time.
func TestFileSwapped(t *testing.T) {
	g := newGround(t)
	socket, tree := g.serve(), g.tree(alice)
	victim := g.file(g.dir+"/outside", 0)
	g.file(tree+"/f", alice)
	g.do(os.Symlink(victim, tree+"/g"))
	g.clash([]string{"flip", tree + "/f", tree + "/g"}, func(counts map[string]int) bool {
		return counts[""]+count(counts, "changes all the time") > 0 && count(counts, "symbolic link") > 0
	}, g.tries()/5, socket, "f", "g", "g", "g", "g")
	g.want(victim, 0)
}

// TestHardLinkFlipped has a file of root outside, which the kernel lets alice link since
// she may write to it, linked and removed all the time.
func TestHardLinkFlipped(t *testing.T) {
	g := newGround(t)
	socket, tree := g.serve(), g.tree(alice)
	victim := g.file(g.dir+"/outside", 0)
	g.do(os.Chmod(victim, 0o666))
	g.settle()
	g.clash([]string{"link", victim, tree + "/f"}, func(counts map[string]int) bool {
		return count(counts, "2 names") > 0 && count(counts, "no such file") > 0
	}, g.tries(), socket, "f")
	g.want(victim, 0)
}

// TestNameGoneMeanwhile does what TestHardLinkFlipped hopes for: the file is pinned, and
// then its name in the tree is removed, or leads to another file.
func TestNameGoneMeanwhile(t *testing.T) {
	g := newGround(t)
	s := g.service()
	name := g.tree(alice) + "/f"
	for what, c := range map[string]struct {
		meanwhile func()
		want      string
	}{
		"nothing":   {func() {}, ""},
		"removed":   {func() { g.do(os.Remove(name)) }, "no such file"},
		"exchanged": {func() { g.do(os.Remove(name)); g.file(name, 0) }, "changes all the time"},
		"a symbolic link": {func() { g.do(os.Remove(name)); g.do(os.Symlink(g.dir+"/other", name)) },
			"symbolic link"},
	} {
		os.Remove(name)
		other := g.file(g.dir+"/other", 0)
		g.do(os.Link(other, name))
		tree, err := open(unix.AT_FDCWD, g.tree(alice), unix.O_DIRECTORY, 0)
		g.do(err)
		file, err := open(tree, "f", 0, sameTree)
		g.do(err)
		if what == "nothing" {
			g.do(os.Remove(other)) // now that in the tree is the only one
		}
		c.meanwhile()
		stat, err := s.judge(tree, "f", file, Owner{alice, alice})
		if text := fmt.Sprint(err); c.want != "" && !strings.Contains(text, c.want) || c.want == "" && err != nil {
			t.Errorf("%s: %v, want something about %q", what, err, c.want)
		}
		if wait := untilSettled(stat.Ctim); wait > 0 {
			t.Errorf("%s: decided %v too early", what, wait)
		}
		unix.Close(file)
		unix.Close(tree)
		os.Remove(other)
	}
}

// TestUnchanged has a file that is the same but for something that the caller may do.
func TestUnchanged(t *testing.T) {
	g := newGround(t)
	name := g.file(g.tree(alice)+"/f", alice)
	tree, err := open(unix.AT_FDCWD, g.tree(alice), unix.O_DIRECTORY, 0)
	g.do(err)
	defer unix.Close(tree)
	for what, change := range map[string]func(){
		"nothing":             func() {},
		"linked":              func() { g.do(os.Link(name, name+"2")) },
		"linked and unlinked": func() { g.do(os.Link(name, name+"3")); g.do(os.Remove(name + "3")) },
		"renamed back":        func() { g.do(os.Rename(name, name+"4")); g.do(os.Rename(name+"4", name)) },
		"made set-id":         func() { g.do(unix.Chmod(name, unix.S_ISUID|0o755)) },
		"given away":          func() { g.do(os.Chown(name, bob, bob)) },
		"replaced":            func() { g.do(os.Remove(name)); g.file(name, alice) },
	} {
		g.settle()
		var before unix.Stat_t
		g.do(unix.Lstat(name, &before))
		change()
		same, err := unchanged(tree, "f", &before)
		if same != (what == "nothing") || err != nil {
			t.Errorf("%s: unchanged is %v, %v", what, same, err)
		}
	}
}

// actFlip has two paths change places until it is told to end, and tells how often.
func actFlip(args []string) (any, error) {
	done := ended()
	for rounds := 0; ; rounds++ {
		select {
		case <-done:
			return rounds, nil
		default:
		}
		if err := unix.Renameat2(unix.AT_FDCWD, args[0], unix.AT_FDCWD, args[1], unix.RENAME_EXCHANGE); err != nil {
			return nil, err
		}
	}
}

// actLink makes a second name for FILE and removes it, over and over, until it is told to
// end, and tells how often.
func actLink(args []string) (any, error) {
	done := ended()
	for rounds := 0; ; rounds++ {
		select {
		case <-done:
			return rounds, nil
		default:
		}
		if err := os.Link(args[0], args[1]); err != nil {
			return nil, err
		}
		if err := os.Remove(args[1]); err != nil {
			return nil, err
		}
	}
}

// TestFIFO has many ask for a FIFO that nobody writes to, which would hold up whoever
// opens it.
func TestFIFO(t *testing.T) {
	g := newGround(t)
	socket, tree := g.serve(), g.tree(alice)
	g.do(unix.Mkfifo(tree+"/fifo", 0o666))
	begin := time.Now()
	counts := g.hammer(alice, g.tries(), socket, "fifo")
	if count(counts, "neither a regular file") != g.tries() {
		t.Errorf("answers %v", counts)
	}
	if took := time.Since(begin); took > patience/2 {
		t.Errorf("it took %v", took)
	}
}

// TestNothingIsKept has no more descriptors open after requests than before.
func TestNothingIsKept(t *testing.T) {
	g := newGround(t)
	s := g.service()
	g.file(g.tree(alice)+"/f", 0)
	g.do(os.Symlink("f", g.tree(alice)+"/l"))
	before := descriptors(t)
	for _, path := range []string{"f", "l", "missing", "f/f"} {
		for _, uid := range []uint32{alice, bob, stranger} {
			for range 5 {
				s.take(path, Owner{uid, uid})
			}
		}
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
