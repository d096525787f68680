//go:build linux && !credrpc_net

package client

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"credrpc/frame"
	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

const (
	// scratchSize is how many bytes of a response arrive in memory of the
	// exchange and are copied. A response that fits is received with one call.
	scratchSize = 4 << 10

	// firstGrowth is how many bytes the answer's memory grows by before
	// anything of them has arrived; later it at most doubles what has arrived.
	firstGrowth = 64 << 10
)

// An exchange is one call on one connection. It is used again after close.
type exchange struct {
	path  string    // for errors
	fd    int       // -1: no descriptor yet
	file  *os.File  // owns fd from the first wait on; nil before
	alone bool      // no other call was in flight at the beginning
	waits *waits    // of the client's calls that were alone
	sent  time.Time // when the request was sent, if alone
	tries int       // to receive, if not alone, before the poller waits

	disarm func() bool // keeps the context from ending file; nil if it cannot

	sending     bool           // sendRest has been started
	sender      sync.WaitGroup // sendRest is running
	sendErr     error          // why sendRest gave up, once sender is done
	interrupted atomic.Bool    // sendRest shall end

	header   [frame.HeaderSize]byte // of the request
	response frame.ResponseDecoder
	scratch  [scratchSize]byte
}

// begin makes x the exchange of a new call, without a descriptor.
func (x *exchange) begin(c *Client, alone bool) {
	x.path, x.fd, x.waits, x.alone, x.tries = c.Path, -1, &c.waits, alone, 0
}

// send writes the request, or starts sendRest for what does not fit into the
// socket's buffer. That the server reads no more is no error yet: it may have
// answered before.
func (x *exchange) send(ctx context.Context, payload []byte) error {
	n, errno := sys.Send(x.fd, x.header[:], payload)
	switch {
	case errno == 0 && n == len(x.header)+len(payload), peerGone(errno):
		return nil
	case errno == 0 || errno == unix.EAGAIN:
		x.usePoller(ctx)
		x.sending = true
		x.sender.Go(func() { x.sendRest(payload, n) })
		return nil
	default:
		return x.fail(OpSend, nil, errno)
	}
}

// sendRest writes the request, of which the first sent bytes are gone, until it
// is complete, the server reads no more, or the call ends. Any other failure is
// kept, and ends what receive waits for.
func (x *exchange) sendRest(payload []byte, sent int) {
	var failure error
	connection, err := x.file.SyscallConn()
	if err == nil {
		err = connection.Write(func(fd uintptr) (done bool) {
			var errno unix.Errno
			if sent, errno = x.sendFrom(int(fd), payload, sent); errno == unix.EAGAIN {
				return false
			}
			if errno != 0 && !peerGone(errno) {
				failure = errno
			}
			return true
		})
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		failure = err // the poller cannot wait
	}
	if failure != nil {
		x.sendErr = failure
		x.file.SetReadDeadline(longAgo())
	}
}

// sendFrom writes the request behind its first sent bytes until the kernel takes
// no more, and returns how many bytes of it are gone. errno is 0 if the request
// is complete or the call ends.
func (x *exchange) sendFrom(fd int, payload []byte, sent int) (_ int, errno unix.Errno) {
	size := len(x.header) + len(payload)
	for sent < size && !x.interrupted.Load() {
		head, body := x.header[min(sent, len(x.header)):], payload[max(sent-len(x.header), 0):]
		n, errno := sys.Send(fd, head, body)
		if errno != 0 {
			return sent, errno
		}
		sent += n
	}
	return sent, 0
}

// stopSending ends sendRest, if it runs, and waits for its end.
func (x *exchange) stopSending() {
	if !x.sending {
		return
	}
	x.interrupted.Store(true)
	x.file.SetWriteDeadline(longAgo())
	x.sender.Wait()
}

// receive appends the answer to dst. It reads up to the end of the response:
// whether anything follows, the server decides by when it writes, so it makes no
// difference.
func (x *exchange) receive(ctx context.Context, dst []byte, limit uint32) ([]byte, error) {
	if x.alone {
		x.sent = time.Now()
		defer func() { x.waits.note(time.Since(x.sent)) }()
	}
	start := len(dst)
	answer := dst
	for x.response.Reset(limit); !x.response.Done(); {
		// Large pieces go where they belong, which is also where the decoder
		// leaves them. Headers are always short enough for the scratch.
		large := x.response.Missing() > len(x.scratch)
		chunk := x.scratch[:]
		if large {
			answer = grow(answer, start, x.response.Missing())
			chunk = answer[len(answer):min(cap(answer), len(answer)+x.response.Missing())]
		}
		n, err := x.read(ctx, chunk)
		if err != nil {
			return dst, x.receiveError(ctx, err)
		}
		piece, _, err := x.response.Next(chunk[:n])
		if err != nil {
			return dst, x.fail(OpReceive, ErrProtocol, err)
		}
		if large {
			answer = answer[:len(answer)+len(piece)]
		} else {
			answer = append(answer, piece...)
		}
	}
	if x.response.Failed() {
		return dst, &RemoteError{Text: string(answer[start:])}
	}
	return answer, nil
}

// grow makes room behind b, of which the bytes from start on have arrived, if
// there is none. It never makes more room than is missing, nor than has arrived
// once that is more than a little.
func grow(b []byte, start, missing int) []byte {
	if len(b) < cap(b) {
		return b
	}
	return slices.Grow(b, min(missing, max(len(b)-start, firstGrowth)))
}

// read reads at least one byte into p, which is not empty. It waits as the
// documentation of the package describes.
func (x *exchange) read(ctx context.Context, p []byte) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	for more := true; x.file == nil; {
		more = x.yield()
		n, errno := sys.Recv(x.fd, p, sys.Yield)
		switch {
		case errno == 0 && n == 0:
			return 0, io.EOF
		case errno == 0:
			return n, nil
		case errno != unix.EAGAIN:
			return 0, errno
		case !more:
			x.usePoller(ctx)
		}
	}
	return x.file.Read(p)
}

// yield lets somebody else run before the next try to receive, and returns false if
// the poller is to wait after it.
func (x *exchange) yield() (more bool) {
	if !x.alone {
		runtime.Gosched()
		if x.tries++; x.tries == 1 {
			return true
		}
		if x.waits.mayYield() {
			began := time.Now()
			sys.YieldProcessor()
			x.waits.noteYield(began, time.Since(began))
		}
		return false
	}
	if x.waits.long() || time.Since(x.sent) > spinFor {
		return false
	}
	sys.YieldProcessor()
	return true
}

// receiveError returns what a failure of read means.
func (x *exchange) receiveError(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return x.fail(OpReceive, nil, ended)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
		return x.fail(OpReceive, ErrProtocol, frame.ErrTruncated)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// Besides the context only sendRest sets a read deadline.
		x.stopSending()
		return x.fail(OpSend, nil, x.sendErr)
	}
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err // the file has no name worth showing
	}
	return x.fail(OpReceive, nil, err)
}

// usePoller hands the descriptor to the poller of the runtime, and has the end
// of ctx end whatever waits for it.
func (x *exchange) usePoller(ctx context.Context) {
	// NewFile registers a non-blocking descriptor.
	file := os.NewFile(uintptr(x.fd), "")
	x.file = file
	if ctx.Done() != nil {
		// The function may run after the call and knows only the file, which
		// takes no harm from it once it is closed. x may belong to another call.
		x.disarm = context.AfterFunc(ctx, func() { file.SetDeadline(longAgo()) })
	}
}

// close ends sendRest, closes the connection and makes x ready for another call.
func (x *exchange) close() {
	if x.disarm != nil {
		x.disarm()
	}
	x.stopSending()
	switch {
	case x.file != nil:
		x.file.Close()
	case x.fd >= 0:
		sys.Close(x.fd, sys.Yield)
	}
	x.path, x.fd, x.file, x.disarm, x.waits = "", -1, nil, nil, nil
	x.sending, x.sendErr = false, nil
	x.interrupted.Store(false)
}

// peerGone reports whether errno says that the peer reads no more. Its answer
// may still be there to be received.
func peerGone(errno unix.Errno) bool {
	return errno == unix.EPIPE || errno == unix.ECONNRESET
}
