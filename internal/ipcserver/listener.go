package ipcserver

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"credrpc/internal/listen"
	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// A listener is a listening socket, non-blocking and closed on exec.
type listener struct {
	fd   int
	name string       // its path; "" if it has none
	file *listen.File // nil if it is inherited; holds the lock until the process ends
}

// openListener makes the socket, or takes over the one that was passed.
func openListener(o *options) (*listener, error) {
	switch passed, err := listen.TakePassed(); {
	case err == nil:
		return inherit(o, passed)
	case !errors.Is(err, listen.ErrNonePassed):
		return nil, wrongUsage("%v", err)
	case o.path == "-":
		return nil, wrongUsage("path \"-\": %v", err)
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

// inherit takes over the socket that was passed. What the options say of sockets that are
// made here does not fit one that was made elsewhere.
func inherit(o *options, passed []listen.Passed) (*listener, error) {
	if len(passed) != 1 {
		return nil, wrongUsage("LISTEN_FDS=%d: want 1 socket", len(passed))
	}
	if o.mode != nil || o.backlog != nil || o.keepStale {
		return nil, wrongUsage("-a, -b, -D: the socket was made by whoever passed it; in a socket unit see SocketMode= and Backlog=")
	}
	if err := passed[0].Check(); err != nil {
		return nil, wrongUsage("%v", err)
	}
	fd := passed[0].FD
	address, err := unix.Getsockname(fd)
	if err != nil {
		return nil, failed("get the name of the socket", err)
	}
	l := &listener{fd: fd}
	if unixAddress, ok := address.(*unix.SockaddrUnix); ok {
		l.name = unixAddress.Name
	}
	if o.path != "-" && o.path != l.name {
		return nil, wrongUsage("path %q: the socket that was passed is %q; give that or \"-\"", o.path, l.name)
	}
	if strings.HasPrefix(l.name, "@") {
		l.name = "" // abstract
	}
	if err := unix.SetNonblock(fd, true); err != nil {
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
