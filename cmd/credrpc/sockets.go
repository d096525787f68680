package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"credrpc/systemd"
)

// fromSystemd begins the value of --listen that stands for sockets that were passed.
const fromSystemd = "systemd:"

// systemdFlags are the flags about being started by systemd.
type systemdFlags struct {
	ExitWhenIdle time.Duration `placeholder:"DURATION" help:"With --listen systemd: end when nothing has been called for that long; systemd starts the service again for the next caller."`
}

// A socket is one that is served.
type socket struct {
	path     string            // as callers know it
	name     string            // that systemd gave it, or ""
	listener *net.UnixListener // that was passed, or nil: it is to be made at path
}

// activated reports whether the sockets are passed by systemd.
func (c *serveCommand) activated() bool { return strings.HasPrefix(c.Listen, fromSystemd) }

// makesFile reports whether a socket file is made, and removed at the end.
func (c *serveCommand) makesFile() bool { return !c.activated() && !strings.HasPrefix(c.Listen, "@") }

// checkSystemd returns an error for flags that contradict --listen.
func (c *serveCommand) checkSystemd() error {
	switch {
	case c.ExitWhenIdle < 0:
		return usageError("--exit-when-idle: want more than 0")
	case c.ExitWhenIdle > 0 && !c.activated():
		return usageError("--exit-when-idle: nobody would start the service again; it needs --listen %s and a socket unit", fromSystemd)
	case !c.activated():
		return nil
	case c.Mode != defaultMode || c.Owner != "" || c.Group != "":
		return usageError("--mode, --owner, --group: systemd makes the socket; use SocketMode=, SocketUser=, SocketGroup= in its socket unit")
	case c.Takeover:
		return usageError("--takeover: systemd keeps the socket and passes it to the next server, which needs no takeover; leave it out with --listen %s", fromSystemd)
	}
	return nil
}

// sockets returns what is to be served.
func (c *serveCommand) sockets() ([]socket, error) {
	passed, err := systemd.Sockets()
	none := errors.Is(err, systemd.ErrNoSockets)
	switch {
	case !c.activated() && none:
		return []socket{{path: c.Listen}}, nil
	case !c.activated() && err == nil:
		return nil, errors.Join(usageError("--listen %q: systemd has passed sockets that nobody would serve (%s); serve them with --listen %s, or remove the socket unit",
			c.Listen, names(passed), fromSystemd), closeAll(passed))
	case none:
		return nil, usageError("--listen %q: %w; start the service by its socket unit, which must have the name of the service or Service=", c.Listen, err)
	case err != nil:
		return nil, usageError("--listen %q: %w", c.Listen, err)
	}
	if err := c.wanted(passed); err != nil {
		return nil, errors.Join(err, closeAll(passed))
	}
	var list []socket
	for _, p := range passed {
		list = append(list, socket{path: p.Listener.Addr().String(), name: p.Name, listener: p.Listener})
	}
	return list, nil
}

// wanted returns an error unless --listen names what was passed, and all of it: callers of
// a socket that is left out would wait for ever.
func (c *serveCommand) wanted(passed []systemd.Socket) error {
	name := strings.TrimPrefix(c.Listen, fromSystemd)
	if name == "" {
		return nil
	}
	want := strings.Split(name, ",")
	for _, name := range want {
		if !slices.ContainsFunc(passed, func(s systemd.Socket) bool { return s.Name == name }) {
			return usageError("--listen %q: no socket %q was passed, but %s; the names are those of FileDescriptorName= in the socket units", c.Listen, name, names(passed))
		}
	}
	for _, s := range passed {
		if !slices.Contains(want, s.Name) {
			return usageError("--listen %q: nobody would serve %q, which was passed too; add its name after a comma, or take all with --listen %s", c.Listen, s.Name, fromSystemd)
		}
	}
	return nil
}

// names lists the names of sockets, for people.
func names(sockets []systemd.Socket) string {
	var list []string
	for _, s := range sockets {
		list = append(list, fmt.Sprintf("%q", s.Name))
	}
	return strings.Join(slices.Compact(list), ", ")
}

// closeAll closes sockets that are not served.
func closeAll(sockets []systemd.Socket) error {
	var err error
	for _, s := range sockets {
		err = errors.Join(err, s.Listener.Close())
	}
	return err
}
