package reference

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// callTimeout bounds a whole connection, in a server and in a client.
	callTimeout = 3 * time.Minute

	// firstRead is the size in bytes of the buffer for the first read, which is
	// the one that comes with credentials.
	firstRead = 2048
)

// ErrCredentials reports a connection whose first bytes came without usable
// sender credentials.
var ErrCredentials = errors.New("reference: no sender credentials")

// A Handler answers a call: the payload of a request in, that of the response
// or an error out. sender is who sent the first bytes of the request, as the
// kernel says: see unix(7), SCM_CREDENTIALS. It may be called by many goroutines
// at once, and owns payload.
type Handler func(payload []byte, sender *unix.Ucred) ([]byte, error)

// A Server answers calls with Handler, which must be set before
// [Server.ListenAndServe]. Its methods are safe for concurrent use.
type Server struct {
	Handler Handler

	mu       sync.Mutex
	listener net.Listener // guarded by mu
	closed   bool         // guarded by mu
}

// ListenAndServe makes a socket at path, where no file may be, and answers calls
// until [Server.Close]. It then returns [net.ErrClosed], wrapped, and the file is
// removed.
func (s *Server) ListenAndServe(path string) error {
	config := net.ListenConfig{Control: passCredentials}
	listener, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return err
	}
	defer listener.Close()
	if !s.keep(listener) {
		return net.ErrClosed
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go s.serve(conn.(*net.UnixConn))
	}
}

// Close ends [Server.ListenAndServe]. Calls in flight go on.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.listener == nil {
		return nil
	}
	return s.listener.Close()
}

// keep remembers the listener for Close and reports false if that was called.
func (s *Server) keep(listener net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = listener
	return !s.closed
}

// passCredentials sets SO_PASSCRED on a socket that does not listen yet, so that
// every connection has it from the start. See unix(7).
func passCredentials(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	})
	return errors.Join(err, failed)
}

// serve answers the call of one connection. A request that is malformed gets no
// answer.
func (s *Server) serve(conn *net.UnixConn) {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return
	}
	payload, sender, err := receive(conn)
	if err != nil {
		return
	}
	answer, err := s.Handler(payload, sender)
	if err == nil && len(answer) > maxPayload {
		err = fmt.Errorf("%w: answer of %d bytes", ErrTooLarge, len(answer))
	}
	if err != nil {
		text := err.Error()
		if text == "" {
			text = "unspecified error" // an empty error frame means success
		}
		writeFrame(conn, []byte(text))
		return
	}
	if writeFrame(conn, nil) == nil {
		writeFrame(conn, answer)
	}
}

// receive reads a request and who sent its first bytes.
func receive(conn *net.UnixConn) (payload []byte, sender *unix.Ucred, err error) {
	first := make([]byte, firstRead)
	control := make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	n, controlSize, flags, _, err := conn.ReadMsgUnix(first, control)
	if err != nil {
		return nil, nil, err
	}
	sender, err = senderOf(control[:controlSize], flags)
	if err != nil {
		return nil, nil, err
	}
	payload, err = readFrame(io.MultiReader(bytes.NewReader(first[:n]), conn))
	return payload, sender, err
}

// senderOf returns the credentials in control. The flags that ReadMsgUnix
// returns hold MSG_CMSG_CLOEXEC, which it sets itself, so only those are looked
// at that report a loss. See recvmsg(2).
func senderOf(control []byte, flags int) (*unix.Ucred, error) {
	if flags&(unix.MSG_CTRUNC|unix.MSG_TRUNC) != 0 {
		return nil, fmt.Errorf("%w: ancillary data is cut off", ErrCredentials)
	}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("%w: %d control messages", ErrCredentials, len(messages))
	}
	sender, err := unix.ParseUnixCredentials(&messages[0])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCredentials, err)
	}
	if sender.Pid == 0 {
		return nil, fmt.Errorf("%w: pid 0", ErrCredentials)
	}
	return sender, nil
}
