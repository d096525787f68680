package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"credrpc/bench/floor"
	"credrpc/bench/load"
	"credrpc/bench/probe"
	"credrpc/bench/reference"

	"golang.org/x/sys/unix"
)

// A serverCommand runs one server until SIGINT or SIGTERM.
type serverCommand struct {
	Floor     floorServer     `cmd:"" help:"The least that a server must do, in C."`
	Reference referenceServer `cmd:"" help:"The naive server: a goroutine a connection, package net."`
	Eventloop eventloopServer `cmd:"" help:"The server of this module."`
	IPCServer ipcserverServer `cmd:"" name:"ipcserver" passthrough:"" help:"The UCSPI server of this module, as credrpc ipcserver."`
	Gnet      gnetServer      `cmd:"" help:"A server on gnet's own engine, which knows the credentials of the connection only."`
}

// socketArg is where a server listens.
type socketArg struct {
	Path string `arg:"" help:"Socket to make."`
}

// A probed server is asked by the benchmark what its runtime did. See package probe.
type probed struct {
	ProbeFD int `name:"probe-fd" hidden:"" default:"-1" help:"Descriptor on which the benchmark asks; -1 is none."`
}

// listen obeys the benchmark in a goroutine of its own.
func (p probed) listen() {
	if p.ProbeFD < 0 {
		return
	}
	go func() {
		if err := probe.Serve(p.ProbeFD); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
}

// An echoHandler is what all servers but the floor do: they sleep on a call that
// begins with [load.Sleeping], and answer as package load wants it.
type echoHandler struct {
	Sleep time.Duration `default:"50ms" help:"How long the handler sleeps on a call that begins with 's'."`
	echo  load.Echo
}

// before runs before a payload is answered.
func (h *echoHandler) before(payload []byte) {
	if len(payload) > 0 && payload[0] == load.Sleeping {
		time.Sleep(h.Sleep)
	}
}

// untilSignal returns a context that ends with SIGINT or SIGTERM.
func untilSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
}

// A floorServer runs the C program, compiled anew.
type floorServer struct {
	socketArg
	Threads int    `default:"1" help:"Threads that share the listener."`
	Checks  string `default:"scm" enum:"none,peercred,scm,both" help:"What it asks the kernel about callers: ${enum}."`
}

// Run serves until a signal.
func (c *floorServer) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	dir, err := os.MkdirTemp("", "credrpc-floor-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program, err := floor.Compile(ctx, dir)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, c.Path, strconv.Itoa(c.Threads), c.Checks)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	if ctx.Err() != nil {
		return os.Remove(c.Path)
	}
	return err
}

// A referenceServer runs the naive server.
type referenceServer struct {
	socketArg
	probed
	echoHandler
}

// Run serves until a signal.
func (c *referenceServer) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	c.listen()
	srv := &reference.Server{Handler: func(payload []byte, caller *unix.Ucred) ([]byte, error) {
		c.before(payload)
		if c.echo.Wishes(payload) {
			return c.echo.Append(nil, payload, caller.Uid, caller.Gid), nil
		}
		return payload, nil
	}}
	defer context.AfterFunc(ctx, func() { srv.Close() })()
	err := srv.ListenAndServe(c.Path)
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
