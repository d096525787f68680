package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"credrpc/accessdb"
	"credrpc/audit"
	"credrpc/bench/suite"
	"credrpc/internal/size"
	"credrpc/metrics"
	"credrpc/sandbox"
	"credrpc/server"
)

// drainTimeout is how long an event loop child may take to end its calls. It is
// longer than the handlers of the benchmark sleep.
const drainTimeout = 5 * time.Second

// An eventloopServer runs package server with an echo handler.
type eventloopServer struct {
	socketArg
	probed
	echoHandler
	OnLoop         bool          `help:"Run the handler on the event loop. It then must not sleep."`
	Loops          int           `default:"0" help:"Event loops; 0 is the server's default."`
	MaxPayload     size.Size     `default:"0" placeholder:"SIZE" help:"Most bytes of a payload; 0 is the server's default."`
	MaxCalls       int           `default:"0" help:"Most calls in flight; 0 is the server's default."`
	MaxCallsPerUID int           `default:"0" help:"Most calls in flight of a user; 0 is the server's default."`
	RatePerUID     float64       `default:"0" help:"Calls a second of a user; 0 is no limit."`
	BurstPerUID    int           `default:"0" help:"Calls of a user at once after a pause; 0 is the server's default."`
	Rules          string        `help:"Access rules, a file or a directory; without it everybody may call."`
	RulesCache     int           `default:"0" help:"Callers whose decisions are remembered; 0 is accessdb's default, -1 is none."`
	RequestTimeout time.Duration `default:"0" help:"Time for a request to arrive; 0 is the server's default."`
	Metrics        bool          `help:"Measure durations, and serve metrics on a socket beside the other one, with the suffix .metrics."`
	Audit          string        `help:"File to write denied calls to; without it nothing is written."`
	Bare           bool          `help:"Take requests of other senders than who connected, and have limits so high that none is met."`
	Sandbox        bool          `help:"Apply the sandbox before the first call. Not for a program that is linked with cgo."`
}

// What a bare server's limits are.
const (
	bareCalls   = 1 << 20
	bareBytes   = 1 << 50
	bareTimeout = 24 * time.Hour
)

// Run serves until a signal.
func (c *eventloopServer) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	c.listen()
	srv := &server.Server{
		Handler:        server.HandlerFunc(c.answer),
		HandlerOnLoop:  c.OnLoop,
		Loops:          c.Loops,
		MaxRequest:     uint32(min(c.MaxPayload, math.MaxUint32)), // the server says if that is too many
		MaxResponse:    uint32(min(c.MaxPayload, math.MaxUint32)),
		MaxCalls:       c.MaxCalls,
		MaxCallsPerUID: c.MaxCallsPerUID,
		RatePerUID:     c.RatePerUID,
		BurstPerUID:    c.BurstPerUID,
		RequestTimeout: c.RequestTimeout,
	}
	if c.Bare {
		srv.AllowOtherSender = true
		srv.MaxCalls, srv.MaxCallsPerUID, srv.MaxBytesPerUID = bareCalls, bareCalls, bareBytes
		srv.RequestTimeout, srv.CallTimeout = bareTimeout, bareTimeout
	}
	if c.Sandbox {
		srv.Listening = c.confine
	}
	if c.Rules != "" {
		rules, err := accessdb.Open(c.Rules, accessdb.Options{CacheSize: c.RulesCache})
		if err != nil {
			return err
		}
		defer rules.Close()
		srv.Access = rules
		go obeyHangUps(ctx, rules)
	}
	watched, err := c.watch(srv)
	if err != nil {
		return err
	}
	defer watched()
	drained := make(chan error, 1)
	defer context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
		defer cancel()
		drained <- srv.Shutdown(ctx)
	})()
	if err := srv.ListenAndServe(c.Path); !errors.Is(err, server.ErrServerClosed) {
		return err
	}
	return <-drained
}

// confine applies the sandbox of credrpc serve --sandbox, with the rules and the socket.
func (c *eventloopServer) confine() error {
	options := sandbox.Options{Remove: []string{filepath.Dir(c.Path)}}
	if c.Rules != "" {
		options.Read = []string{filepath.Dir(c.Rules)}
	}
	_, err := sandbox.Apply(options)
	return err
}

// answer answers what the payload asks for. Who called is who connected, of whom the
// rules were asked.
func (c *eventloopServer) answer(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
	c.before(call.Payload)
	if !c.echo.Wishes(call.Payload) {
		return call.Payload, nil // as the floor and the reference answer from where they received
	}
	return c.echo.Append(dst, call.Payload, call.Peer.UID(), call.Peer.GID()), nil
}

// obeyHangUps has SIGHUP load the rules anew, until ctx ends.
func obeyHangUps(ctx context.Context, rules *accessdb.DB) {
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	defer signal.Stop(hangUp)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangUp:
			if err := rules.Reload(); err != nil {
				fmt.Fprintln(os.Stderr, "the rules in force stay:", err)
			}
		}
	}
}

// watch has srv looked at as the flags say, until the function that it returns is called.
func (c *eventloopServer) watch(srv *server.Server) (end func(), err error) {
	var log *audit.Log
	if c.Audit != "" {
		sink, err := audit.OpenFile(c.Audit, audit.DefaultMaxSize)
		if err != nil {
			return nil, err
		}
		if log, err = audit.New(sink, audit.Options{}); err != nil {
			return nil, err
		}
		srv.Ended = log.Ended
	}
	http := metrics.NewServer(metrics.Sources{Server: srv, Audit: log})
	if c.Metrics {
		srv.MeasureLatency = true
		l, err := net.Listen("unix", c.Path+suite.MetricsSuffix)
		if err != nil {
			return nil, err
		}
		go http.Serve(l) // until it is closed
	}
	return func() {
		http.Close()
		if log != nil {
			ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
			defer cancel()
			log.Close(ctx)
		}
	}, nil
}
