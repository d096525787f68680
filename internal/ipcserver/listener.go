package ipcserver

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"credrpc/internal/listen"
	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// inheritedFD is the descriptor of a listening socket that was passed to this
// process (sd_listen_fds(3)).
const inheritedFD = 3

// A listener is a listening socket, non-blocking and closed on exec.
type listener struct {
	fd   int
	name string       // its path; "" if it has none
	file *listen.File // nil if it is inherited; holds the lock until the process ends
}

// openListener makes the socket, or takes over the one that was passed.
func openListener(o *options) (*listener, error) {
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) {
		return inherit(o)
	}
	if o.path == "-" {
		return nil, wrongUsage("path \"-\": no listening socket was passed (LISTEN_PID, LISTEN_FDS)")
	}
	fd, errno := sys.Stream()
	if errno != 0 {
		return nil, failed("create socket", errno)
	}
	mode := fs.FileMode(defaultMode)
	if o.mode != nil {
		mode = fs.FileMode(*o.mode)
	}
	file, err := listen.Bind(fd, o.path, listen.Options{Mode: mode, KeepStale: o.keepStale, AnyDirectory: true})
	if err != nil {
		return nil, failed("bind to "+o.path, err)
	}
	backlog := defaultBacklog
	if o.backlog != nil {
		backlog = int(*o.backlog)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return nil, failed("listen to "+o.path, err)
	}
	l := &listener{fd: fd, file: file}
	if !strings.HasPrefix(o.path, "@") {
		l.name = o.path
	}
	return l, nil
}

// inherit takes over a socket. What the options say of sockets that are made here
// does not fit one that was made elsewhere.
func inherit(o *options) (*listener, error) {
	if n := os.Getenv("LISTEN_FDS"); n != "1" {
		return nil, wrongUsage("LISTEN_FDS=%s: want 1 socket", n)
	}
	if o.mode != nil || o.backlog != nil || o.keepStale {
		return nil, wrongUsage("-a, -b, -D: the socket was made by whoever passed it; in a socket unit see SocketMode= and Backlog=")
	}
	for _, variable := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
		os.Unsetenv(variable) // they are for this process
	}
	unix.CloseOnExec(inheritedFD)
	for option, want := range map[int]int{
		unix.SO_DOMAIN: unix.AF_UNIX, unix.SO_TYPE: unix.SOCK_STREAM, unix.SO_ACCEPTCONN: 1,
	} {
		if got, err := unix.GetsockoptInt(inheritedFD, unix.SOL_SOCKET, option); err != nil || got != want {
			return nil, wrongUsage("descriptor %d is no listening UNIX stream socket; in a socket unit want ListenStream= and a path", inheritedFD)
		}
	}
	address, err := unix.Getsockname(inheritedFD)
	if err != nil {
		return nil, failed("get the name of the socket", err)
	}
	l := &listener{fd: inheritedFD}
	if unixAddress, ok := address.(*unix.SockaddrUnix); ok {
		l.name = unixAddress.Name
	}
	if o.path != "-" && o.path != l.name {
		return nil, wrongUsage("path %q: the socket that was passed is %q; give that or \"-\"", o.path, l.name)
	}
	if strings.HasPrefix(l.name, "@") {
		l.name = "" // abstract
	}
	if err := unix.SetNonblock(inheritedFD, true); err != nil {
		return nil, failed("prepare the socket", err)
	}
	return l, nil
}

// A failure ends the program.
type failure struct {
	status int
	text   string
}

// Exit statuses, those of s6.
const (
	statusUsage  = 100
	statusSystem = 111
)

func (f *failure) Error() string { return f.text }

func wrongUsage(format string, args ...any) error {
	return &failure{statusUsage, fmt.Sprintf(format, args...)}
}

func failed(what string, err error) error {
	return &failure{statusSystem, fmt.Sprintf("unable to %s: %v", what, err)}
}
