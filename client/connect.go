//go:build linux && !credrpc_net

package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"credrpc/frame"
	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// A try to connect that finds the backlog full is followed by a pause. The
// shortest is about what a server needs for ten calls; the longest is what a
// caller may lose after the backlog has room again.
const (
	minPause = 100 * time.Microsecond
	maxPause = 10 * time.Millisecond
)

// connect makes the connection for a request with payload. Nothing is
// connected if the context has ended or the payload is too large for a frame.
func (x *exchange) connect(ctx context.Context, payload []byte) error {
	if err := ctx.Err(); err != nil {
		return x.fail(OpConnect, nil, err)
	}
	if _, err := frame.AppendHeader(x.header[:0], len(payload)); err != nil {
		return x.fail(OpSend, nil, err)
	}
	address, ok := sys.MakeAddress(x.path)
	if !ok {
		return x.fail(OpConnect, ErrUnreachable, fmt.Errorf("want 1 to %d bytes without NUL: %w", sys.MaxPath, unix.EINVAL))
	}
	fd, errno := sys.Stream()
	if errno != 0 {
		return x.fail(OpConnect, ErrUnreachable, errno)
	}
	x.fd = fd
	// A passed descriptor could hold up the receiving thread. Kernels that do
	// not know the option leave no choice.
	sys.RefuseRights(x.fd)
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		errno := sys.Connect(x.fd, &address)
		if errno == 0 {
			return nil
		}
		if errno != unix.EAGAIN {
			return x.fail(OpConnect, ErrUnreachable, errno)
		}
		if err := sleep(ctx, pause/2+rand.N(pause/2)); err != nil {
			return x.fail(OpConnect, nil, err)
		}
	}
}

// sleep waits for d. It returns the error of ctx if that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
