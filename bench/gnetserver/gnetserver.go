package gnetserver

import (
	_ "credrpc/internal/gnetenv" // before gnet is initialised

	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"credrpc/frame"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/pool/goroutine"
	"golang.org/x/sys/unix"
)

// ErrPath reports a path at which the engine would not listen, or at which it
// would remove something.
var ErrPath = errors.New("gnetserver: not a path for gnet's engine")

// StopPool ends the goroutines of the worker pool that gnet starts when it is
// imported. On Linux the engine gives that only connections which it did not
// accept itself, and here are none.
func StopPool() { goroutine.DefaultWorkerPool.Release() }

// A Server answers calls with their payload. It can be used once.
type Server struct {
	// Loops is the number of event loops besides the goroutine that accepts.
	// At least 1.
	Loops int

	// MaxPayload is the largest payload in bytes that is answered.
	MaxPayload uint32

	// Log is told what the engine reports as errors, a line each. Required.
	Log io.Writer
}

// ListenAndServe makes a socket at path, where nothing may be, and answers calls
// until ctx ends; it then returns nil, and the socket is gone. It returns
// [ErrPath], or an error of the engine.
func (s *Server) ListenAndServe(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPath, err)
	}
	if strings.ContainsAny(path, "?#") {
		return fmt.Errorf("%w: %q has a character that ends the path of a URL", ErrPath, path)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: at %q there is something, which it would remove (%v)", ErrPath, path, err)
	}
	h := &handler{ctx: ctx, maxPayload: s.MaxPayload}
	return gnet.Run(h, "unix://"+path, gnet.WithNumEventLoop(max(1, s.Loops)), gnet.WithLogger(errorLog{s.Log}))
}

// A handler is what the engine calls. The calls about one connection come one
// after the other, those about different ones at the same time.
type handler struct {
	gnet.BuiltinEventEngine
	ctx        context.Context
	maxPayload uint32
}

// OnBoot has the engine stop when the context ends.
func (h *handler) OnBoot(engine gnet.Engine) gnet.Action {
	context.AfterFunc(h.ctx, func() { engine.Stop(h.ctx) }) // returns the context's error at once; gnet.Run goes on until all is closed
	return gnet.None
}

// OnOpen closes a connection unless the kernel says who made it. See socket(7),
// SO_PEERCRED.
func (h *handler) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	peer, err := unix.GetsockoptUcred(c.Fd(), unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil || peer.Pid == 0 {
		return nil, gnet.Close
	}
	return nil, gnet.None
}

// answered is the context of a connection whose answer has not left completely.
type answered struct{}

// OnTraffic answers once the request is whole.
func (h *handler) OnTraffic(c gnet.Conn) gnet.Action {
	have := c.InboundBuffered()
	if c.Context() != nil {
		return gnet.Close // bytes behind the request
	}
	if have < frame.HeaderSize {
		return gnet.None
	}
	header, err := c.Peek(frame.HeaderSize)
	if err != nil {
		return gnet.Close
	}
	length := binary.BigEndian.Uint32(header)
	if length > h.maxPayload || have > frame.HeaderSize+int(length) {
		return gnet.Close
	}
	if have < frame.HeaderSize+int(length) {
		return gnet.None
	}
	request, err := c.Next(have)
	if err != nil {
		return gnet.Close
	}
	// The answer is an empty error frame and the frame that came.
	var noError [frame.HeaderSize]byte
	if _, err := c.Writev([][]byte{noError[:], request}); err != nil || c.OutboundBuffered() == 0 {
		return gnet.Close
	}
	c.SetContext(answered{})
	return gnet.None
}

// An errorLog is a logger of the engine that tells errors only.
type errorLog struct{ out io.Writer }

// Debugf tells nothing, as Infof and Warnf.
func (errorLog) Debugf(string, ...any) {}

// Infof tells nothing.
func (errorLog) Infof(string, ...any) {}

// Warnf tells nothing.
func (errorLog) Warnf(string, ...any) {}

// Errorf writes a line.
func (l errorLog) Errorf(format string, args ...any) {
	fmt.Fprintf(l.out, "gnet: "+format+"\n", args...)
}

// Fatalf writes a line. It is the engine that ends.
func (l errorLog) Fatalf(format string, args ...any) { l.Errorf(format, args...) }
