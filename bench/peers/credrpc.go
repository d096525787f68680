package peers

import (
	"context"

	"credrpc/bench/load"
	"credrpc/client"
)

// A credrpcConn is no connection: each call makes one.
type credrpcConn struct{ client.Client }

func dialCredrpc(path string) (conn, error) {
	return &credrpcConn{client.Client{Path: path, MaxResponse: load.MaxPayload}}, nil
}

func (c *credrpcConn) echo(ctx context.Context, payload []byte) ([]byte, error) {
	return c.Call(ctx, payload)
}

// Close does nothing: there is nothing to close.
func (c *credrpcConn) Close() error { return nil }
