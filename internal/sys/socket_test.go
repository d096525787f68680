//go:build linux

package sys

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestDeafen has a peer send before and after, with a descriptor, which is kept as long as
// what it came with.
func TestDeafen(t *testing.T) {
	for _, sent := range []string{"", "x", "several bytes"} {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		rights := unix.UnixRights(pair[1])
		if sent != "" {
			if err := unix.Sendmsg(pair[1], []byte(sent), rights, nil, 0); err != nil {
				t.Fatal(err)
			}
		}
		if n, errno := Deafen(pair[0]); n != len(sent) || errno != 0 {
			t.Errorf("after %q: %d, %v", sent, n, errno)
		}
		if err := unix.Sendmsg(pair[1], []byte("late"), rights, nil, unix.MSG_NOSIGNAL); err != unix.EPIPE {
			t.Errorf("after %q, late: %v", sent, err)
		}
		unix.Close(pair[0])
		unix.Close(pair[1])
	}
	if _, errno := Deafen(-1); errno != unix.EBADF {
		t.Errorf("no descriptor: %v", errno)
	}
}
