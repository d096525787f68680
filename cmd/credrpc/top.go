package main

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"credrpc/internal/top"

	"golang.org/x/term"
)

type topCommand struct {
	Path     string        `arg:"" optional:"" help:"Control socket of the server."`
	Metrics  string        `placeholder:"unix:PATH|ADDRESS" help:"Read the metrics of the server instead, where credrpc serve --metrics serves them, such as 127.0.0.1:9436."`
	Interval time.Duration `default:"1s" placeholder:"DURATION" help:"Time between two looks (${default})."`
	Count    int           `placeholder:"N" help:"End after so many intervals; this makes lines."`
	Users    int           `default:"10" placeholder:"N" help:"With --json: most users of an interval (${default})."`
	JSON     bool          `name:"json" help:"A JSON object on a line for every interval."`
}

// Help describes what is shown.
func (*topCommand) Help() string {
	return `On a terminal: a screen, anew every second, on which q quits, p pauses and s sorts the users by another column. When the server ends it says so and goes on when there is one again.

Elsewhere, and on a terminal without a cursor (TERM=dumb): a line for every interval. It ends with the server, with status 3.

Metrics show the same, but for what they do not tell: who calls, the process, and with a sandbox processor time. What is missing is a dash, and in the JSON not there. Their percentiles are coarser, up to a half too high.

calls/s are connections accepted. Latency is that of the calls that ended in the interval, from accept to the end. CPU is a part of one processor. The fields of --json are listed in docs/CONTROL.md; they are stable.`
}

// Run shows what the server does.
func (c *topCommand) Run(s streams) error {
	switch {
	case c.Path == "" && c.Metrics == "":
		return usageError("want the path of a control socket, or where metrics are served: --metrics unix:PATH|ADDRESS")
	case c.Path != "" && c.Metrics != "":
		return usageError("--metrics, %q: want one of them, the metrics or the control socket", c.Path)
	case c.Interval < 100*time.Millisecond:
		return usageError("--interval: want at least 100ms")
	case c.Count < 0:
		return usageError("--count: want at least 1")
	case c.Users < 0:
		return usageError("--users: want at least 0")
	}
	if err := c.checkMetrics(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	o := top.Options{Path: c.Path, Metrics: c.Metrics, Interval: c.Interval, Count: c.Count, Users: c.Users, JSON: c.JSON}
	var err error
	if c.Count == 0 && !c.JSON && onScreen(s) {
		err = top.Screen(ctx, o)
	} else {
		err = top.Lines(ctx, s.out, o)
	}
	if err != nil {
		return &exitError{exitUnreachable, err}
	}
	return nil
}

// checkMetrics returns an error unless metrics are asked for on this machine: elsewhere
// nobody would know who answers.
func (c *topCommand) checkMetrics() error {
	path, socket := strings.CutPrefix(c.Metrics, "unix:")
	switch {
	case c.Metrics == "":
		return nil
	case socket && (path == "" || path[0] == '@'):
		return usageError("--metrics %q: want unix:PATH", c.Metrics)
	case socket:
		return nil
	}
	host, port, err := net.SplitHostPort(c.Metrics)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return usageError("--metrics %q: want unix:PATH, or an address and a port such as 127.0.0.1:9436", c.Metrics)
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return usageError("--metrics %q: want a loopback address, such as 127.0.0.1:%s; reach another machine through a tunnel, such as ssh -L %s:127.0.0.1:%s", c.Metrics, port, port, port)
	}
	return nil
}

// onScreen reports whether a screen can be shown.
func onScreen(s streams) bool {
	out, ok := s.out.(*os.File)
	kind := os.Getenv("TERM")
	return ok && term.IsTerminal(int(out.Fd())) && kind != "" && kind != "dumb"
}
