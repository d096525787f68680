package servertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"credrpc/client"
	"credrpc/frame"
	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// A Conn is a connection to a server, for callers that do not do as package client
// does. Its methods are those of [net.UnixConn] and the ones below. It belongs to one
// goroutine.
type Conn struct {
	*net.UnixConn
	user User
}

// Dial connects as u to the server at path, which may be any server of the protocol.
// Reading and writing end [Patience] later, unless SetDeadline says otherwise.
//
// The error of a socket whose permissions keep u out is fs.ErrPermission. Errors of u are those of
// [As].
func Dial(path string, u User) (*Conn, error) {
	c := &Conn{user: u}
	err := As(u, func() (err error) {
		c.UnixConn, err = net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(Patience))
}

// Request returns the bytes of a request. payload has at most [frame.MaxPayload].
func Request(payload []byte) []byte {
	b, err := frame.AppendRequest(nil, payload)
	if err != nil {
		panic(err)
	}
	return b
}

// Write writes p as the user who connected.
func (c *Conn) Write(p []byte) (n int, err error) { return c.WriteAs(c.user, p) }

// WriteAs writes p as u, whoever connected: as a set-user-ID program does, or one that
// was passed the connection.
func (c *Conn) WriteAs(u User, p []byte) (n int, err error) {
	err = As(u, func() (err error) {
		n, err = c.UnixConn.Write(p)
		return err
	})
	return n, err
}

// WritePieces writes p as Write does, in pieces that end at the offsets cuts, which are
// in order, and at the end of p. Each piece but the last is received by the server
// before the next is written.
func (c *Conn) WritePieces(p []byte, cuts ...int) error {
	written := 0
	for _, cut := range cuts {
		if _, err := c.Write(p[written:cut]); err != nil {
			return err
		}
		if err := c.awaitReceived(); err != nil {
			return err
		}
		written = cut
	}
	if written == len(p) {
		return nil // to write nothing would be an error if the server has answered
	}
	_, err := c.Write(p[written:])
	return err
}

// WriteFromChild writes p as Write does, but from another process, to which the
// connection is passed. That is a cat(1), so that the server sees another process id.
func (c *Conn) WriteFromChild(p []byte) error {
	passed, err := c.duplicate()
	if err != nil {
		return err
	}
	defer passed.Close()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	var complaint strings.Builder
	cat := exec.CommandContext(ctx, "cat")
	cat.Stdin, cat.Stdout, cat.Stderr = bytes.NewReader(p), passed, &complaint
	if c.user != Self() {
		if err := c.user.check(); err != nil {
			return err
		}
		cat.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.user.UID, Gid: c.user.GID}}
	}
	// What is passed to the child is blocking, as it expects, and with it, until the
	// child has ended, this side of the connection.
	if err := c.control(func(fd int) error { return unix.SetNonblock(fd, false) }); err != nil {
		return err
	}
	if err = cat.Run(); err != nil {
		err = fmt.Errorf("servertest: cat: %w, it says %q", err, complaint.String())
	}
	return errors.Join(err, c.control(func(fd int) error { return unix.SetNonblock(fd, true) }))
}

// Answer reads the response up to the end of the stream, which a server closes behind
// it. It returns the answer, or a [*client.RemoteError] with what the server said
// instead; bytes that are no response are an error too.
func (c *Conn) Answer() ([]byte, error) {
	b, err := io.ReadAll(c)
	if err != nil && len(b) == 0 {
		return nil, err
	}
	return parse(b)
}

// parse returns what a response says.
func parse(response []byte) ([]byte, error) {
	content, failed, err := frame.ParseResponse(response, frame.MaxPayload)
	switch {
	case err != nil:
		return nil, fmt.Errorf("servertest: response of %d bytes: %w", len(response), err)
	case failed:
		return nil, &client.RemoteError{Text: string(content)}
	}
	return content, nil
}

// isRemote reports whether err is what a server said.
func isRemote(err error) bool {
	var remote *client.RemoteError
	return errors.As(err, &remote)
}

// awaitReceived waits until the server has received all that was written, or has
// closed.
func (c *Conn) awaitReceived() error {
	for begin := time.Now(); ; time.Sleep(20 * time.Microsecond) {
		unread := 0
		err := c.control(func(fd int) error {
			n, errno := sys.Unread(fd)
			unread = n
			if errno != 0 {
				return os.NewSyscallError("ioctl SIOCOUTQ", errno)
			}
			return nil
		})
		switch {
		case err != nil:
			return err
		case unread == 0:
			return nil
		case time.Since(begin) > Patience:
			return fmt.Errorf("servertest: the server has not received a piece after %v: %w", Patience, os.ErrDeadlineExceeded)
		}
	}
}

// duplicate returns a duplicate of the connection's descriptor.
func (c *Conn) duplicate() (*os.File, error) {
	var duplicate int
	err := c.control(func(fd int) (err error) {
		duplicate, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		return os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(duplicate), "connection"), nil
}

// control calls f with the connection's descriptor.
func (c *Conn) control(f func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := raw.Control(func(fd uintptr) { err = f(int(fd)) })
	return errors.Join(controlErr, err)
}
