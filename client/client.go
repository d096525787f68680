package client

import (
	"context"
	"encoding"
	"fmt"
	"sync"
	"sync/atomic"

	"credrpc/frame"

	"github.com/valyala/bytebufferpool"
)

const (
	// DefaultMaxResponse is the limit in bytes that [Client.MaxResponse] has
	// when it is zero: 1 MiB, the default limit of a server.
	DefaultMaxResponse = 1 << 20

	// maxKept is the capacity in bytes of the largest buffer that is kept for
	// the next typed call. It is a guess at what most calls fit into.
	maxKept = 64 << 10
)

// A Client calls the server that listens on Path. Its fields may not change
// while a call is in flight, and a Client may not be copied after its first
// call. It is safe for concurrent use and needs no closing.
type Client struct {
	// Path is the server's socket, at most 107 bytes. A path that begins with
	// "@" is an abstract name, which any process on the machine can have taken;
	// see unix(7). The empty path makes every call fail.
	Path string

	// MaxResponse is the length in bytes of the largest answer, or error text,
	// that a call accepts. 0 means [DefaultMaxResponse]; a limit over
	// [frame.MaxPayload] counts as that.
	MaxResponse uint32

	inFlight  atomic.Int32        // calls that have begun and not ended
	waits     waits               // of those that were alone
	exchanges sync.Pool           // of *exchange, closed
	buffers   bytebufferpool.Pool // requests and answers of typed calls
}

// Call sends payload and returns the answer, which is nil if it is empty. It
// retains nothing of payload. The server refuses a payload over its own limit.
//
// It returns a [*RemoteError] if the server answered with an error, and an
// [*Error] otherwise: see [ErrUnreachable], [ErrProtocol], [context.Canceled]
// and [context.DeadlineExceeded]. A payload over [frame.MaxPayload] is not sent;
// it is a [*frame.TooLargeError], but not ErrProtocol.
func (c *Client) Call(ctx context.Context, payload []byte) ([]byte, error) {
	return c.AppendCall(ctx, nil, payload)
}

// AppendCall is [Client.Call] with the answer appended to dst. It returns the
// extended slice, or dst as it was if there is an error. The capacity of dst
// beyond its length is overwritten either way. payload may not overlap it.
func (c *Client) AppendCall(ctx context.Context, dst, payload []byte) ([]byte, error) {
	x := c.begin()
	defer c.end(x)
	if err := x.connect(ctx, payload); err != nil {
		return dst, err
	}
	if err := x.send(ctx, payload); err != nil {
		return dst, err
	}
	return x.receive(ctx, dst, c.maxResponse())
}

// CallBinary is [Client.Call] for typed values: it sends what request marshals
// to, and has response unmarshal the answer. A request that is an
// [encoding.BinaryAppender] as well is marshalled into a buffer that is used
// again.
//
// Besides the errors of Call it returns those of request and response, wrapped.
// Only an error of response comes from a call that was answered.
func (c *Client) CallBinary(ctx context.Context, request encoding.BinaryMarshaler, response encoding.BinaryUnmarshaler) error {
	out, in := c.buffers.Get(), c.buffers.Get()
	defer c.keep(out)
	defer c.keep(in)
	payload, err := marshal(out, request)
	if err != nil {
		return fmt.Errorf("client: request: %w", err)
	}
	if in.B, err = c.AppendCall(ctx, in.B, payload); err != nil {
		return err
	}
	if err := response.UnmarshalBinary(in.B); err != nil {
		return fmt.Errorf("client: response: %w", err)
	}
	return nil
}

// marshal returns the bytes of request, in the memory of buffer if request can
// put them there.
func marshal(buffer *bytebufferpool.ByteBuffer, request encoding.BinaryMarshaler) ([]byte, error) {
	appender, ok := request.(encoding.BinaryAppender)
	if !ok {
		return request.MarshalBinary()
	}
	payload, err := appender.AppendBinary(buffer.B)
	if err == nil {
		buffer.B = payload
	}
	return payload, err
}

// keep makes the memory of b available to a later call, unless it is large.
func (c *Client) keep(b *bytebufferpool.ByteBuffer) {
	if cap(b.B) <= maxKept {
		c.buffers.Put(b)
	}
}

// begin returns the exchange of a new call, without a descriptor.
func (c *Client) begin() *exchange {
	x, ok := c.exchanges.Get().(*exchange)
	if !ok {
		x = new(exchange)
	}
	x.begin(c, c.inFlight.Add(1) == 1)
	return x
}

// end closes x and takes it back.
func (c *Client) end(x *exchange) {
	x.close()
	c.inFlight.Add(-1)
	c.exchanges.Put(x)
}

// maxResponse returns the limit that is in force.
func (c *Client) maxResponse() uint32 {
	if c.MaxResponse == 0 {
		return DefaultMaxResponse
	}
	return min(c.MaxResponse, frame.MaxPayload)
}
