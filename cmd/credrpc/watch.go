package main

import (
	"log/slog"
	"maps"
	"slices"
	"strings"

	"credrpc/accessdb"
	"credrpc/audit"
	"credrpc/server"
)

// A watcher is what looks on while a server serves.
type watcher struct {
	audit    *audit.Log // nil if nothing is written down
	exporter *exporter  // nil if no metrics are served
}

// checkWatch returns an error for flags about watching that mean nothing.
func (c *serveCommand) checkWatch() error {
	if err := c.checkAudit(); err != nil {
		return err
	}
	return c.checkMetrics()
}

// watch opens what the flags say that shall look on at servers, whose rules, which may be
// nil, are open.
func (c *serveCommand) watch(servers served, rules *accessdb.DB, logger *slog.Logger, s streams) (*watcher, error) {
	log, err := c.openAudit(logger, s.err)
	if err != nil {
		return nil, err
	}
	if log != nil {
		for _, srv := range servers.all() {
			srv.Ended = log.Ended
		}
	}
	w := &watcher{audit: log}
	if w.exporter, err = c.openMetrics(servers, rules, log, logger); err != nil {
		w.close(logger)
		return nil, err
	}
	return w, nil
}

// begin serves metrics. The sandbox is in force.
func (w *watcher) begin() error {
	if w.exporter == nil {
		return nil
	}
	return w.exporter.begin()
}

// reopen does what SIGHUP asks for.
func (w *watcher) reopen() {
	if w.audit != nil {
		w.audit.Reopen()
	}
}

// close ends it all, if w is not nil.
func (w *watcher) close(log *slog.Logger) {
	if w == nil {
		return
	}
	w.exporter.close()
	closeAudit(w.audit, log)
}

// served are the servers of a process, as metrics and the control socket show them.
type served struct {
	first   *server.Server            // starts with the others, if there are some
	sockets map[string]*server.Server // by the paths of their sockets; nil if there is one
}

// served returns the servers of v.
func (v *service) served() (served, error) {
	s := served{first: v.servers[0]}
	if len(v.servers) == 1 {
		return s, nil
	}
	s.sockets = make(map[string]*server.Server)
	for i, socket := range v.sockets {
		path := strings.ToValidUTF8(socket.path, "?") // for Prometheus
		if s.sockets[path] != nil {
			return s, usageError("--listen %q: systemd has passed two sockets with the path %q; remove one of them", v.command.Listen, path)
		}
		s.sockets[path] = v.servers[i]
	}
	return s, nil
}

// alone returns the server if it is the only one.
func (s *served) alone() *server.Server {
	if s.sockets == nil {
		return s.first
	}
	return nil
}

// all returns the servers in no order.
func (s *served) all() []*server.Server {
	if s.sockets == nil {
		return []*server.Server{s.first}
	}
	return slices.Collect(maps.Values(s.sockets))
}
