package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"credrpc/accessdb"
	"credrpc/server"
	"credrpc/systemd"
)

// A service is what a process serves: a server for each socket, all with the same
// settings, handlers and rules, and limits of their own. They begin together, since
// what is given up is given up for the whole process, and end together.
type service struct {
	command  *serveCommand
	streams  streams
	log      *slog.Logger
	sockets  []socket
	servers  []*server.Server // one for each socket
	rules    *accessdb.DB     // or nil
	control  *accessdb.DB     // rules of the control socket, or nil
	watch    *watcher
	operator *operator // or nil
	notifier *systemd.Notifier
	idleness idleness

	gate  *gate
	ended chan error // what ended each server

	mu          sync.Mutex
	ready       int                // servers that accept calls; guarded by mu
	status      status             // guarded by mu
	stopFeeding context.CancelFunc // guarded by mu

	feeding sync.WaitGroup
}

// open makes the service that the flags describe, or checks them if that is all there is to
// do. Nothing is served yet.
func (c *serveCommand) open(s streams) (*service, error) {
	template, err := c.server(s) // and with it the flags are checked
	if err != nil {
		return nil, err
	}
	v := &service{command: c, streams: s, log: template.Logger, notifier: new(systemd.Notifier), stopFeeding: func() {}}
	if err = v.check(template); err == nil && !c.onlyCheck {
		err = v.prepare()
	}
	if err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

// check opens the rules and checks what the flags say about the rest, with a server that
// does not serve.
func (v *service) check(template *server.Server) (err error) {
	c := v.command
	if v.rules, err = c.openRules(v.log); err != nil {
		return err
	}
	if v.rules != nil {
		template.Access = v.rules
	}
	if err := c.serveProgram(template, c.Listen); err != nil {
		return err
	}
	if err := c.checkSandbox(); err != nil {
		return err
	}
	if err := c.checkSandboxPaths(); err != nil {
		return err
	}
	if err := c.checkWatch(); err != nil {
		return err
	}
	if err := c.checkControl(); err != nil {
		return err
	}
	if err := c.checkPlaces(); err != nil {
		return err
	}
	v.control, err = c.openControlRules(v.log)
	return err
}

// prepare opens what systemd passes, makes the servers, and opens what looks on.
func (v *service) prepare() (err error) {
	c := v.command
	notifier, err := systemd.NewNotifier()
	if err != nil {
		return err
	}
	v.notifier = notifier
	if v.sockets, err = c.sockets(); err != nil {
		return err
	}
	v.gate = &gate{missing: len(v.sockets), act: v.confine, opened: make(chan struct{})}
	v.ended = make(chan error, len(v.sockets))
	v.status = status{handler: c.Handler, sockets: v.sockets}
	v.idleness = idleness{limit: c.ExitWhenIdle}
	for _, s := range v.sockets {
		srv, err := v.server(s)
		if err != nil {
			return err
		}
		v.servers = append(v.servers, srv)
	}
	served, err := v.served()
	if err != nil {
		return err
	}
	if v.watch, err = c.watch(served, v.rules, v.log, v.streams); err != nil {
		return err
	}
	v.operator, err = c.openControl(served, v.rules, v.control, v.log, v.reload)
	return err
}

// server makes the server of a socket.
func (v *service) server(s socket) (*server.Server, error) {
	c := v.command
	srv, err := c.server(v.streams)
	if err != nil {
		return nil, err
	}
	if v.rules != nil {
		srv.Access = v.rules
	}
	if err := c.serveProgram(srv, s.path); err != nil {
		return nil, err
	}
	if s.name != "" {
		srv.Logger = srv.Logger.With("socket", s.name)
	}
	srv.Listening = v.gate.pass
	srv.Ready = func() { v.serves(s) }
	return srv, nil
}

// confine is done once, when all sockets listen and none is served.
func (v *service) confine() error {
	if err := v.command.confine(v.log); err != nil {
		return err
	}
	return v.watch.begin()
}

// begin serves.
func (v *service) begin() {
	for i, srv := range v.servers {
		s := v.sockets[i]
		go func() {
			var err error
			if s.listener != nil {
				err = srv.Serve(s.listener)
			} else {
				err = srv.ListenAndServe(s.path)
			}
			v.gate.fail(err)
			v.ended <- err
		}()
	}
}

// serves is told that calls are accepted at s.
func (v *service) serves(s socket) {
	log := v.log
	if s.name != "" {
		log = log.With("socket", s.name)
	}
	log.Info("serving", "handler", v.command.Handler, "on", s.path)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ready++; v.ready < len(v.sockets) {
		return
	}
	v.tellReadyLocked()
	var feed context.Context
	feed, v.stopFeeding = context.WithCancel(context.Background())
	v.feeding.Go(func() { v.notifier.FeedWatchdog(feed, v.progress, v.log) })
}

// progress waits until every event loop has gone round.
func (v *service) progress(ctx context.Context) error {
	for _, srv := range v.servers {
		if err := srv.Progress(ctx); err != nil && err != server.ErrServerClosed {
			return err
		}
	}
	return nil
}

// tell notes that systemd could not be told something.
func (v *service) tell(err error) {
	if err != nil {
		v.log.Warn("systemd is not told how the service is", "error", err)
	}
}

// tellReadyLocked tells systemd that all servers accept calls.
func (v *service) tellReadyLocked() {
	v.tell(v.notifier.Status(v.status.text(v.servers)))
	v.tell(v.notifier.Ready())
}

// hangUp does what SIGHUP asks for.
func (v *service) hangUp() {
	done, err := v.reload()
	if err != nil {
		v.log.Error("SIGHUP: the rules in force stay", "error", err)
		return
	}
	v.log.Info("SIGHUP: " + done)
}

// reload loads the rules anew, if there are any, opens the audit log again, and says what
// it has done.
func (v *service) reload() (done string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ready == len(v.servers) {
		v.tell(v.notifier.Reloading())
		defer v.tellReadyLocked()
	}
	v.watch.reopen()
	if v.rules == nil {
		return "there are no rules to load", nil
	}
	v.status.failed = v.rules.Reload()
	return "rules loaded", v.status.failed
}

// failed ends the service because one server has ended by itself, with err.
func (v *service) failed(err error) error {
	c := v.command
	if err == server.ErrTakenOver { // there is one server, and all is answered
		c.taken = true
		v.log.Info("taken over", "on", c.Listen)
		return nil
	}
	if errors.Is(err, server.ErrUntrustedDirectory) {
		err = fmt.Errorf("%w; choose a directory that only root or this user can write to, or add --allow-untrusted-directory", err)
	}
	v.tell(v.notifier.Stopping())
	for _, srv := range v.servers {
		srv.Close()
	}
	v.await(1)
	return err
}

// told returns err, with which the service ends, as one that the log has if it has served:
// what happens then is all there. Who starts a service that cannot begin reads why.
func (v *service) told(err error) error {
	v.mu.Lock()
	served := v.ready > 0
	v.mu.Unlock()
	if err == nil || !served {
		return err
	}
	v.log.Error("the service has failed", "error", err)
	return &exitError{status: exitFailed}
}

// shutdown answers what is in flight and ends the service.
func (v *service) shutdown() error {
	v.tell(v.notifier.Stopping())
	// Nothing that is in flight takes longer than this, a second in the lobby included.
	srv := v.servers[0]
	ctx, cancel := context.WithTimeout(context.Background(), srv.RequestTimeout+srv.CallTimeout+2*time.Second)
	defer cancel()
	errs := make([]error, len(v.servers))
	var all sync.WaitGroup
	for i, srv := range v.servers {
		all.Go(func() { errs[i] = srv.Shutdown(ctx) })
	}
	all.Wait()
	if err := v.await(0); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// await waits until all servers but those that have ended already have ended, and returns
// what the first of them failed with.
func (v *service) await(already int) (failure error) {
	for range len(v.servers) - already {
		err := <-v.ended
		if err == server.ErrTakenOver {
			err = v.failed(err)
		} else if errors.Is(err, server.ErrServerClosed) {
			err = nil
		}
		if failure == nil {
			failure = err
		}
	}
	return failure
}

// close frees what open has opened. The servers have ended.
func (v *service) close() {
	v.mu.Lock()
	stop := v.stopFeeding
	v.mu.Unlock()
	stop()
	v.feeding.Wait()
	v.operator.close(v.command.taken)
	v.watch.close(v.log)
	v.notifier.Close()
	for _, rules := range []*accessdb.DB{v.rules, v.control} {
		if rules != nil {
			rules.Close()
		}
	}
}

// A gate lets servers through together, after act.
type gate struct {
	act    func() error
	opened chan struct{}

	mu      sync.Mutex
	missing int   // servers that have not come; guarded by mu
	open    bool  // guarded by mu
	err     error // of act, or why there is no point in going on; constant once it is open
}

// pass waits until all have come and act is done, and returns its error.
func (g *gate) pass() error {
	g.mu.Lock()
	if g.missing--; g.missing == 0 && !g.open {
		g.err = g.act()
		g.openLocked()
	}
	g.mu.Unlock()
	<-g.opened
	return g.err
}

// fail lets nobody pass who waits, because one cannot come. Once the gate is open it does
// nothing.
func (g *gate) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.open {
		g.err = err
		g.openLocked()
	}
}

func (g *gate) openLocked() {
	g.open = true
	close(g.opened)
}
