package listen

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNonePassed reports that this process was not started with listening sockets.
var ErrNonePassed = errors.New("no listening sockets were passed to this process")

const (
	// firstPassed is the lowest descriptor that is passed: SD_LISTEN_FDS_START in
	// sd_listen_fds(3).
	firstPassed = 3

	// mostPassed is more than anybody passes. It keeps a mistake in LISTEN_FDS from
	// being a long loop.
	mostPassed = 1024
)

// A Passed is a descriptor that this process was started with. See sd_listen_fds(3).
type Passed struct {
	FD   int
	Name string // from LISTEN_FDNAMES; "unknown" without it
}

// TakePassed returns the descriptors that were passed to this process, by the protocol of
// sd_listen_fds(3), in their order. They are closed on exec from here on, and the
// variables are removed from the environment, also those that are for another process:
// no child is to take them for its own.
//
// Returns [ErrNonePassed], or an error for variables that contradict each other.
func TakePassed() ([]Passed, error) {
	env := make(map[string]string)
	for _, name := range []string{"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		env[name] = os.Getenv(name)
		os.Unsetenv(name)
	}
	switch pid := env["LISTEN_PID"]; {
	case pid == "":
		return nil, fmt.Errorf("%w: LISTEN_PID is not set", ErrNonePassed)
	case pid != strconv.Itoa(os.Getpid()) || otherProcess(env["LISTEN_PIDFDID"]):
		return nil, fmt.Errorf("%w: LISTEN_PID=%.20q is for another one; this is %d", ErrNonePassed, pid, os.Getpid())
	}
	n, err := strconv.Atoi(env["LISTEN_FDS"])
	if err != nil || n < 0 || n > mostPassed {
		return nil, fmt.Errorf("LISTEN_FDS=%.20q: want a number up to %d", env["LISTEN_FDS"], mostPassed)
	}
	for fd := firstPassed; fd < firstPassed+n; fd++ {
		unix.CloseOnExec(fd)
	}
	if n == 0 {
		return nil, fmt.Errorf("%w: LISTEN_FDS=0", ErrNonePassed)
	}
	return namePassed(n, env["LISTEN_FDNAMES"])
}

// namePassed returns n descriptors with their names.
func namePassed(n int, names string) ([]Passed, error) {
	var list []string
	if names != "" {
		list = strings.Split(names, ":")
		if len(list) != n {
			return nil, fmt.Errorf("LISTEN_FDNAMES=%.80q has %d names, LISTEN_FDS=%d", names, len(list), n)
		}
	}
	passed := make([]Passed, n)
	for i := range passed {
		passed[i] = Passed{FD: firstPassed + i, Name: "unknown"}
		if list != nil {
			passed[i].Name = list[i]
		}
	}
	return passed, nil
}

// otherProcess reports whether LISTEN_PIDFDID says that another process is meant, which
// had this one's number before: it is the inode of the process's pidfd, which is never
// used again (pidfd_open(2)).
func otherProcess(id string) bool {
	if id == "" {
		return false
	}
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return false // whoever set it was on a kernel that has it; LISTEN_PID decides
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	return unix.Fstat(fd, &stat) == nil && id != strconv.FormatUint(stat.Ino, 10)
}

// Check returns an error unless p is a listening UNIX stream socket, and says what has to
// change in the socket unit.
func (p Passed) Check() error {
	option := func(name int) int {
		value, err := unix.GetsockoptInt(p.FD, unix.SOL_SOCKET, name)
		if err != nil {
			return -1
		}
		return value
	}
	complain := func(text string) error {
		return fmt.Errorf("descriptor %d, %.80q: %s", p.FD, p.Name, text)
	}
	switch {
	case option(unix.SO_DOMAIN) == -1:
		return complain("is no socket; want ListenStream= and a path in the socket unit")
	case option(unix.SO_DOMAIN) != unix.AF_UNIX:
		return complain("is no UNIX socket; want a path in ListenStream= of the socket unit")
	case option(unix.SO_TYPE) != unix.SOCK_STREAM:
		return complain("is no stream socket; want ListenStream= in the socket unit")
	case option(unix.SO_ACCEPTCONN) != 1:
		return complain("does not listen; want Accept=no in the socket unit")
	}
	return nil
}
