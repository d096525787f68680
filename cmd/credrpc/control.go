package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"credrpc/accessdb"
	"credrpc/control"
	"credrpc/internal/version"
	"credrpc/sandbox"
	"credrpc/server"
)

// controlFlags are the flags about the control socket.
type controlFlags struct {
	Control      string  `placeholder:"PATH" help:"Make a control socket, at which operators ask and command this server: see CONTROL SOCKET in the manual."`
	ControlRules *string `placeholder:"PATH" help:"Who may use the control socket, as --rules; without it root and the server's user."`
	ControlMode  string  `default:"0600" placeholder:"MODE" help:"Permissions of the control socket, octal (${default})."`

	taken bool // the main server has ended because another one has its socket
}

const (
	// controlPatience is how long calls on the control socket have when all else has
	// ended.
	controlPatience = 2 * time.Second

	// handOverPatience is how long a server that was taken over keeps its control
	// socket for its successor, who asks for it within milliseconds or never.
	handOverPatience = time.Second
)

// profilingCalls are system calls with which Go profiles its own process. They are
// timers of threads (timer_create(2)), or of the process where these fail.
var profilingCalls = []string{"timer_create", "timer_settime", "timer_delete", "setitimer"}

// An operator is the control socket of a server. A nil one is none: drained and close
// do nothing.
//
// Its server starts with the main one, the first if there are several, in three steps, so that it needs nothing that a
// sandbox takes, and answers only when the main one does. It listens before the
// sandbox is applied. It accepts when the main one has begun to; with --takeover the
// running server hands its control socket over then, after its main one. It ends after
// the main one, so that the end can be watched.
type operator struct {
	path     string
	srv      *server.Server
	rules    *accessdb.DB // or nil
	log      *slog.Logger
	started  bool          // set by listen
	listens  chan struct{} // closed when srv listens
	proceed  chan struct{} // closed when srv may accept
	ready    chan struct{} // closed when srv accepts
	ended    chan struct{} // closed when srv has ended
	err      error         // with which it has
	draining chan struct{} // holds one after "drain"
}

// openControlRules opens the rules of the control socket, or returns nil if there are none.
func (c *serveCommand) openControlRules(log *slog.Logger) (*accessdb.DB, error) {
	if c.ControlRules == nil {
		return nil, nil
	}
	rules, err := accessdb.Open(*c.ControlRules, accessdb.Options{Logger: log})
	if err != nil {
		return nil, fmt.Errorf("--control-rules: %w", err)
	}
	return rules, nil
}

// openControl makes the control socket's server and has the first of servers start it, or
// returns nil if there is to be none. rules are those of servers, operators those of the
// control socket; either may be nil. reload does what SIGHUP does.
func (c *serveCommand) openControl(servers served, rules, operators *accessdb.DB, log *slog.Logger, reload func() (string, error)) (*operator, error) {
	if c.Control == "" {
		return nil, nil
	}
	mode, err := socketMode("--control-mode", c.ControlMode)
	if err != nil {
		return nil, err
	}
	o := &operator{
		path: c.Control, rules: operators, log: log,
		listens: make(chan struct{}), proceed: make(chan struct{}), ready: make(chan struct{}),
		ended: make(chan struct{}), draining: make(chan struct{}, 1),
	}
	users := control.NewUsers()
	for _, srv := range servers.all() {
		srv.MeasureLatency, srv.Ended = true, both(srv.Ended, users.Ended)
	}
	handler := &control.Handler{
		Server: servers.alone(), Sockets: servers.sockets,
		Users: users, Rules: rules, LogLevel: c.level, Profiles: true, Logger: log, Version: version.Read().Version,
		Reload: func() (string, error) { return o.reload(reload) },
		Drain:  o.drain,
	}
	o.srv = handler.NewServer()
	o.srv.Mode, o.srv.Takeover = mode, c.Takeover
	o.srv.Listening = func() error { close(o.listens); <-o.proceed; return nil }
	o.srv.Ready = func() { close(o.ready) }
	if operators != nil {
		o.srv.Access = operators
	}
	o.join(servers.first)
	return o, nil
}

// both returns what tells first, unless that is nil, and second.
func both(first, second func(server.CallRecord)) func(server.CallRecord) {
	if first == nil {
		return second
	}
	return func(r server.CallRecord) {
		first(r)
		second(r)
	}
}

// checkControl returns an error for flags that mean nothing.
func (c *serveCommand) checkControl() error {
	switch {
	case c.Control == "" && (c.ControlRules != nil || c.ControlMode != defaultMode):
		return usageError("--control-rules, --control-mode: say something about a control socket; make one with --control")
	case strings.HasPrefix(c.Control, "@"):
		return usageError("--control: %q is abstract, no permissions protect it; want a path", c.Control)
	case c.Control == "":
		return nil
	case c.ControlRules != nil && *c.ControlRules == "":
		return usageError("--control-rules: is empty; leave it out to hear root and the server's user")
	}
	_, err := socketMode("--control-mode", c.ControlMode)
	return err
}

// keepControl adds what the control socket needs to what a sandbox keeps.
func (c *serveCommand) keepControl(o *sandbox.Options) error {
	if c.Control == "" {
		return nil
	}
	o.SystemCalls = append(o.SystemCalls, profilingCalls...)
	if c.ControlRules == nil {
		return nil
	}
	directories, err := rulesDirectories(*c.ControlRules)
	o.Read = append(o.Read, directories...)
	return err
}

// join lets srv start the control socket's server.
func (o *operator) join(srv *server.Server) {
	confine, ready := srv.Listening, srv.Ready
	srv.Listening = func() error {
		if err := o.listen(); err != nil || confine == nil {
			return err
		}
		return confine()
	}
	srv.Ready = func() {
		o.serve()
		ready()
	}
}

// A controlError is why there is no control socket. --allow-untrusted-directory is about
// the main one only.
type controlError struct{ err error }

func (e *controlError) Error() string {
	text := "--control: " + e.err.Error()
	if errors.Is(e.err, server.ErrUntrustedDirectory) {
		text += "; choose a directory that only root or this user can write to"
	}
	return text
}

// listen makes the socket. Its server does not accept yet.
func (o *operator) listen() error {
	o.started = true
	go o.run()
	select {
	case <-o.listens:
		return nil
	case <-o.ended:
		return &controlError{o.err}
	}
}

// run serves until the end. If that comes early the main server goes on without.
func (o *operator) run() {
	defer close(o.ended)
	o.err = o.srv.ListenAndServe(o.path)
	select {
	case <-o.proceed:
		if o.err != server.ErrTakenOver && !errors.Is(o.err, server.ErrServerClosed) {
			o.log.Error("there is no control socket any more", "path", o.path, "error", o.err)
		}
	default: // listen returns the error
	}
}

// serve lets the server accept, and waits for it.
func (o *operator) serve() {
	close(o.proceed)
	select {
	case <-o.ready:
	case <-o.ended:
	case <-time.After(handOverPatience):
		o.log.Warn("the server that ran has not handed over its control socket yet", "path", o.path)
	}
}

// reload loads the rules of the control socket anew, and does what SIGHUP does.
func (o *operator) reload(hangUp func() (string, error)) (done string, err error) {
	if o.rules != nil {
		if err := o.rules.Reload(); err != nil {
			return "", fmt.Errorf("the rules of the control socket in force stay, the others were not loaded: %w", err)
		}
	}
	if done, err = hangUp(); err != nil {
		return "", fmt.Errorf("the rules in force stay: %w", err)
	}
	return done, nil
}

// drain asks for the end of the main server.
func (o *operator) drain() {
	select {
	case o.draining <- struct{}{}:
	default: // it was asked for already
	}
}

// drained returns what says that the main server is to end.
func (o *operator) drained() <-chan struct{} {
	if o == nil {
		return nil
	}
	return o.draining
}

// close ends the server, when the main one has ended. taken says that a successor has
// the main socket and is to have this one too.
func (o *operator) close(taken bool) {
	if o == nil || !o.started {
		return
	}
	if taken {
		select {
		case <-o.ended:
		case <-time.After(handOverPatience):
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), controlPatience)
	defer cancel()
	o.srv.Shutdown(ctx) // an error says that an answer was not taken in time
	select {
	case <-o.proceed:
	default:
		close(o.proceed) // the main one never served
	}
	<-o.ended
}
