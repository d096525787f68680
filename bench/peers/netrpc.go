package peers

import (
	"context"
	"net"
	"net/rpc"

	"credrpc/bench/callers"
)

// An echoService is what package rpc calls.
type echoService struct{}

// Echo answers the payload.
func (echoService) Echo(payload []byte, answer *[]byte) error {
	*answer = payload
	return nil
}

// serveNetRPC echoes until ctx ends. Connections end with the process.
func serveNetRPC(ctx context.Context, listener net.Listener) error {
	server := rpc.NewServer()
	if err := server.RegisterName("Echo", echoService{}); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	for {
		c, err := listener.Accept()
		if err != nil {
			return err
		}
		if err := checkConn(c); err != nil {
			c.Close()
			continue
		}
		go server.ServeConn(c)
	}
}

type netrpcConn struct{ *rpc.Client }

func dialNetRPC(path string) (callers.Conn, error) {
	client, err := rpc.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	return netrpcConn{client}, nil
}

// Echo ignores ctx, as package rpc does: closing the connection ends the call.
func (c netrpcConn) Echo(_ context.Context, payload []byte) ([]byte, error) {
	var answer []byte
	err := c.Call("Echo.Echo", payload, &answer)
	return answer, err
}
