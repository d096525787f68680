package main

import (
	"os"

	"credrpc/bench/gnetserver"
	"credrpc/bench/load"
)

// A gnetServer runs the protocol on gnet's own engine.
type gnetServer struct {
	socketArg
	probed
	Loops int `default:"1" help:"Event loops besides the goroutine that accepts."`
}

// Run serves until a signal.
func (c *gnetServer) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	c.listen()
	srv := &gnetserver.Server{Loops: c.Loops, MaxPayload: load.MaxPayload, Log: os.Stderr}
	return srv.ListenAndServe(ctx, c.Path)
}
