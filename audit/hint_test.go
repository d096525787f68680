package audit

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"credrpc/server"
)

// TestHint asks about this process: as it is, as another user, and about a call that was
// over before it began.
func TestHint(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	own := server.NewCredentials(os.Getpid(), uint32(os.Getuid()), uint32(os.Getgid()))
	other := server.NewCredentials(os.Getpid(), 54321, 54321)
	for _, tt := range []struct {
		name         string
		peer, sender server.Credentials
		ended        time.Time
		took         time.Duration
		want         string
	}{
		{"the peer", own, server.Credentials{}, time.Now(), 0, exe},
		{"the sender", server.NewCredentials(1, 54321, 1), own, time.Now(), time.Millisecond, exe},
		{"another user", other, server.Credentials{}, time.Now(), 0, ""},
		{"a call that was over before", own, server.Credentials{}, time.Now().Add(-time.Hour), 0, ""},
		{"a call that began before", own, server.Credentials{}, time.Now(), time.Hour, ""},
		{"nobody", server.Credentials{}, server.Credentials{}, time.Now(), 0, ""},
	} {
		got := ""
		if h := make(hinter).hint(&entry{peer: tt.peer, sender: tt.sender, ended: tt.ended, took: tt.took}); h != nil {
			got = h.Executable
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestHintGone asks about a process that has ended.
func TestHintGone(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	gone := server.NewCredentials(cmd.Process.Pid, uint32(os.Getuid()), 1)
	if h := make(hinter).hint(&entry{peer: gone, ended: time.Now()}); h != nil {
		t.Errorf("%+v", h)
	}
}

// TestParse has what processes can make of /proc/PID.
func TestParse(t *testing.T) {
	var f facts
	if stat := "7 (a) S 1 2) R 1 7 7 0 -1 4194560 100 0 0 0 0 0 0 0 20 0 1 0 12345 1 2"; !f.parseStat([]byte(stat)) || f.began != 123450*time.Millisecond {
		t.Errorf("%v", f.began)
	}
	if status := "Name:\tx\\nUid:\t1\t1\t1\t1\nUid:\t1000\t0\t1000\t1001\n"; !f.parseStatus([]byte(status)) || f.uids != [4]uint32{1000, 0, 1000, 1001} {
		t.Errorf("%v", f.uids)
	}
	for _, text := range []string{"", "7 (a) R", "7 (a) R 1 7 7 0 -1 4194560 100 0 0 0 0 0 0 0 20 0 1 0 x"} {
		if f.parseStat([]byte(text)) {
			t.Errorf("stat %q is taken", text)
		}
	}
	for _, text := range []string{"", "Uid:\t1\n", "Uid:\t1\t2\t3\t-4\n"} {
		if f.parseStatus([]byte(text)) {
			t.Errorf("status %q is taken", text)
		}
	}
	for text, want := range map[string]string{
		"0::/system.slice/ssh.service\n":                                            "ssh.service",
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/evil.service\n": "user@1000.service",
		"0::/user.slice/user-1000.slice/session-3.scope\n":                          "session-3.scope",
		"12:pids:/a.service\n1:name=systemd:/system.slice/b.service\n":              "b.service",
		"0::/\n": "", "": "", "x\n": "",
	} {
		if got := unitOf(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// BenchmarkLook is what the writer pays for a process that it has not just seen.
func BenchmarkLook(b *testing.B) {
	for b.Loop() {
		look(os.Getpid())
	}
}
