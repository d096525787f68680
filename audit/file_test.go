package audit

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOpenFile has files that are no place for evidence.
func TestOpenFile(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		make       func(path string) error
	}{
		{"a symbolic link", "symbolic link", func(path string) error { return os.Symlink("/dev/null", path) }},
		{"a pipe", "no such device", func(path string) error { return unix.Mkfifo(path, 0o600) }},
		{"a directory", "is a directory", func(path string) error { return os.Mkdir(path, 0o700) }},
		{"a file that everybody may write to", "mode 0622", func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o622))
		}},
		{"a file of somebody else", "user 4711", func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Chown(path, 4711, 4711))
		}},
		{"a file that has another name", "hard link", func(path string) error {
			return errors.Join(os.WriteFile(path+".other", nil, 0o600), os.Link(path+".other", path))
		}},
		{"a directory that is missing", "no such file", func(path string) error { return os.Remove(filepath.Dir(path)) }},
	} {
		path := filepath.Join(t.TempDir(), "d", "audit")
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := tt.make(path); errors.Is(err, unix.EPERM) {
			if os.Getenv("CREDRPC_CI") == "1" {
				t.Fatal(err)
			}
			t.Logf("%s: needs root", tt.name)
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		if sink, err := OpenFile(path, 0); err == nil {
			t.Errorf("%s is opened", tt.name)
			sink.close()
		} else if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, err := OpenFile("x", -1); err == nil {
		t.Error("a negative size is taken")
	}
}

// TestFileAppends checks the mode of a new file, and that an old one keeps what it has.
func TestFileAppends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	for n := 1; n <= 2; n++ {
		sink, err := OpenFile(path, 0)
		if err != nil {
			t.Fatal(err)
		}
		l := start(t, sink, Options{})
		l.Ended(refusedBy(uint32(n)))
		finish(t, l)
		if all := records(t, read(t, path)); len(all) != 2*n {
			t.Errorf("after %d: %+v", n, all)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestReopen moves the file away, as logrotate does, and then makes opening impossible.
func TestReopen(t *testing.T) {
	said := new(notes)
	sink, path := open(t, 0)
	l := start(t, sink, Options{Logger: logTo(said)})
	write := func(uid uint32) {
		t.Helper()
		before := l.Stats().Written
		l.Ended(refusedBy(uid))
		eventually(t, "a record is written", func() bool { return l.Stats().Written == before+1 })
	}
	write(1)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(2)
	l.Reopen()
	eventually(t, "the file is opened again", func() bool { return said.has("opened again") })
	write(3)
	if err := errors.Join(os.Rename(path, path+".2"), os.Symlink("/dev/null", path)); err != nil {
		t.Fatal(err)
	}
	l.Reopen()
	eventually(t, "the file cannot be opened again", func() bool { return said.has("the audit file in use stays") })
	write(4)
	finish(t, l)
	if one, two := records(t, read(t, path+".1")), records(t, read(t, path+".2")); len(one) != 2 || len(two) != 3 || two[0].Peer.UID != 3 || two[1].Peer.UID != 4 {
		t.Errorf("%+v and %+v", one, two)
	}
}

// TestMaxSize checks that a file ends at its greatest size, with a whole line, and goes on
// when it was emptied.
func TestMaxSize(t *testing.T) {
	said := new(notes)
	sink, path := open(t, 1000)
	l := start(t, sink, Options{WithoutHints: true, Logger: logTo(said)})
	for i := range 50 {
		l.Ended(refusedBy(uint32(i)))
	}
	eventually(t, "all is written or lost", func() bool { s := l.Stats(); return s.Written+s.Failed == 50 })
	text := read(t, path)
	if len(text) > 1000 || len(text) < 700 || text[len(text)-1] != '\n' || !said.has(ErrFull.Error()) {
		t.Errorf("%d bytes: %s", len(text), text)
	}
	if s := l.Stats(); len(records(t, text)) != int(s.Written) {
		t.Errorf("%+v", s)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	before := l.Stats()
	l.Ended(refusedBy(99))
	eventually(t, "a record in the emptied file", func() bool { return l.Stats().Written == before.Written+1 })
	if all := records(t, read(t, path)); len(all) == 0 || all[0].Dropped != before.Failed {
		t.Errorf("%+v, %+v", all, before)
	}
}

// TestDevFull writes to a device that is always full.
func TestDevFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	said := new(notes)
	l := start(t, Stream(full), Options{Logger: logTo(said)})
	l.Ended(refusedBy(1))
	eventually(t, "a record is lost", func() bool { return l.Stats() == Stats{Failed: 1} })
	eventually(t, "the logger hears", func() bool { return said.has("no space left on device") })
}

// TestJournalFields checks what the journal indexes.
func TestJournalFields(t *testing.T) {
	e := entry{peer: refusedBy(1000).Peer, outcome: refusedBy(1).Outcome, reason: refusedBy(1).Reason}
	got := e.record().fields()
	for name, want := range map[string]string{
		"SYSLOG_IDENTIFIER": "credrpc-audit", "CREDRPC_EVENT": "call", "CREDRPC_OUTCOME": "refused", "CREDRPC_REASON": "access",
		"CREDRPC_PEER_UID": "1000", "CREDRPC_PEER_PID": "4711",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if _, there := got["CREDRPC_RULE"]; there || len(got) != 6 {
		t.Errorf("%v", got)
	}
}

// TestWholeLines counts.
func TestWholeLines(t *testing.T) {
	for text, want := range map[string]struct {
		n    int
		torn bool
	}{"": {0, false}, "a\n": {1, false}, "a\nb": {1, true}, "b": {0, true}} {
		if n, torn := wholeLines([]byte(text)); n != want.n || torn != want.torn {
			t.Errorf("%q: %d, %v", text, n, torn)
		}
	}
	if got := join(nil, []line{{text: []byte("a\n")}, {text: []byte("b\n")}}); !bytes.Equal(got, []byte("a\nb\n")) {
		t.Errorf("%q", got)
	}
}
