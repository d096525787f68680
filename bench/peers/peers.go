package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"credrpc/bench/callers"

	"golang.org/x/sys/unix"
)

// Names of the systems.
const (
	TTRPC   = "ttrpc"
	GRPC    = "grpc"
	NetRPC  = "netrpc"
	Credrpc = "credrpc" // has callers only; its server is credrpc-bench server eventloop
)

var (
	// ErrSystem reports a name that is none of a system, or of one that has
	// no server here.
	ErrSystem = errors.New("peers: no such system")

	// ErrCaller reports a connection of another user than the server's own.
	ErrCaller = errors.New("peers: not the server's own user")
)

// Serve makes a socket at path, where no file may be and which only its own user
// can connect to, and echoes what calls of the system bring until ctx ends. It
// then returns nil. It returns [ErrSystem], or an error of the system.
//
// It changes the umask of the process.
func Serve(ctx context.Context, system, path string) error {
	var serve func(context.Context, net.Listener) error
	switch system {
	case TTRPC:
		serve = serveTTRPC
	case GRPC:
		serve = serveGRPC
	case NetRPC:
		serve = serveNetRPC
	default:
		return fmt.Errorf("%w: %q has no server here", ErrSystem, system)
	}
	unix.Umask(0o077)
	listener, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("peers: %w", err)
	}
	defer listener.Close()
	err = serve(ctx, listener)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// dial returns a connection, which may not be made before the first call.
func dial(system, path string) (callers.Conn, error) {
	switch system {
	case TTRPC:
		return dialTTRPC(path)
	case GRPC:
		return dialGRPC(path)
	case NetRPC:
		return dialNetRPC(path)
	case Credrpc:
		return callers.Client(path), nil
	}
	return nil, fmt.Errorf("%w: %q", ErrSystem, system)
}

// checkUser returns [ErrCaller] unless the connection is of the server's own
// user.
func checkUser(peer *unix.Ucred) error {
	if peer.Uid != uint32(os.Geteuid()) {
		return fmt.Errorf("%w: user %d", ErrCaller, peer.Uid)
	}
	return nil
}

// checkConn is checkUser of who made a connection. See unix(7), SO_PEERCRED.
func checkConn(c net.Conn) error {
	unixConn, ok := c.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("%w: %T is no UNIX socket", ErrCaller, c)
	}
	raw, err := unixConn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if failed = err; err == nil {
			failed = checkUser(peer)
		}
	})
	return errors.Join(err, failed)
}
