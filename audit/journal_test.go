package audit

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// insideVariable makes the test binary the program that has a journal of its own.
const insideVariable = "CREDRPC_TEST_JOURNAL"

// TestJournal writes a record to a journal that this test plays, in a mount namespace with
// a /run of its own.
func TestJournal(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatal("mounting needs root")
		}
		t.Skip("mounting needs root")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{
		"PRIORITY=5\n", "SYSLOG_IDENTIFIER=credrpc-audit\n", "CREDRPC_REASON=access\n", "CREDRPC_PEER_UID=1000\n",
		`MESSAGE={"time":"`, `"peer":{"pid":4711,"uid":1000,"gid":100},"bytes_in":0,"bytes_out":0,"seconds":0}` + "\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
}

// inside is a program that prints what it has written to the journal.
func inside() error {
	if err := unix.Mount("none", "/run", "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	if _, err := Journal(); err != ErrNoJournal {
		return fmt.Errorf("without a journal: %v", err)
	}
	if err := os.MkdirAll(filepath.Dir(JournalSocket), 0o755); err != nil {
		return err
	}
	journal, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: JournalSocket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer journal.Close()
	sink, err := Journal()
	if err != nil {
		return err
	}
	l, err := New(sink, Options{WithoutHints: true})
	if err != nil {
		return err
	}
	l.Ended(refusedBy(1000))
	if err := l.Close(context.Background()); err != nil {
		return err
	}
	if s := l.Stats(); s != (Stats{Written: 1}) {
		return fmt.Errorf("%+v", s)
	}
	var message [4096]byte
	journal.SetReadDeadline(time.Now().Add(patience))
	n, err := journal.Read(message[:])
	os.Stdout.Write(message[:n])
	return err
}
