package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"credrpc/internal/top"

	"golang.org/x/term"
)

type topCommand struct {
	Path     string        `arg:"" help:"Control socket of the server."`
	Interval time.Duration `default:"1s" placeholder:"DURATION" help:"Time between two looks (${default})."`
	Count    int           `placeholder:"N" help:"End after so many intervals; this makes lines."`
	Users    int           `default:"10" placeholder:"N" help:"With --json: most users of an interval (${default})."`
	JSON     bool          `name:"json" help:"A JSON object on a line for every interval."`
}

// Help describes what is shown.
func (*topCommand) Help() string {
	return `On a terminal: a screen, anew every second, on which q quits, p pauses and s sorts the users by another column. When the server ends it says so and goes on when there is one again.

Elsewhere, and on a terminal without a cursor (TERM=dumb): a line for every interval. It ends with the server, with status 3.

calls/s are connections accepted. Latency is that of the calls that ended in the interval, from accept to the end. CPU is a part of one processor. The fields of --json are listed in docs/CONTROL.md; they are stable.`
}

// Run shows what the server does.
func (c *topCommand) Run(s streams) error {
	switch {
	case c.Path == "":
		return usageError("<path>: is empty")
	case c.Interval < 100*time.Millisecond:
		return usageError("--interval: want at least 100ms")
	case c.Count < 0:
		return usageError("--count: want at least 1")
	case c.Users < 0:
		return usageError("--users: want at least 0")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	o := top.Options{Path: c.Path, Interval: c.Interval, Count: c.Count, Users: c.Users, JSON: c.JSON}
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

// onScreen reports whether a screen can be shown.
func onScreen(s streams) bool {
	out, ok := s.out.(*os.File)
	kind := os.Getenv("TERM")
	return ok && term.IsTerminal(int(out.Fd())) && kind != "" && kind != "dumb"
}
