package peers

import (
	"context"
	"net"

	"credrpc/bench/callers"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// service and method name the one method of ttrpc and gRPC.
const (
	service = "credrpc.peers.Echo"
	method  = "Echo"
)

// ttrpcPayload is the size in bytes of the largest payload that fits in a
// message of ttrpc, which has at most 4 MiB, with room for the names besides.
const ttrpcPayload = 4<<20 - 1024

// serveTTRPC echoes until ctx ends.
func serveTTRPC(ctx context.Context, listener net.Listener) error {
	server, err := ttrpc.NewServer(ttrpc.WithServerHandshaker(ttrpc.UnixCredentialsFunc(checkUser)))
	if err != nil {
		return err
	}
	server.Register(service, map[string]ttrpc.Method{
		method: func(_ context.Context, unmarshal func(any) error) (any, error) {
			payload := new(wrapperspb.BytesValue)
			return payload, unmarshal(payload)
		},
	})
	defer context.AfterFunc(ctx, func() { server.Close() })()
	return server.Serve(ctx, listener)
}

type ttrpcConn struct{ *ttrpc.Client }

func dialTTRPC(path string) (callers.Conn, error) {
	c, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	return ttrpcConn{ttrpc.NewClient(c)}, nil
}

func (c ttrpcConn) Echo(ctx context.Context, payload []byte) ([]byte, error) {
	var answer wrapperspb.BytesValue
	err := c.Call(ctx, service, method, wrapperspb.Bytes(payload), &answer)
	return answer.GetValue(), err
}
