package main

import (
	"credrpc/accessdb"
	"credrpc/audit"
	"credrpc/metrics"
	"credrpc/server"
)

// A watcher is what looks on while a server serves.
type watcher struct {
	audit    *audit.Log // nil if nothing is written down
	exporter *exporter  // nil if no metrics are served
	server   *server.Server
}

// checkWatch returns an error for flags about watching that mean nothing.
func (c *serveCommand) checkWatch() error {
	if err := c.checkAudit(); err != nil {
		return err
	}
	return c.checkMetrics()
}

// watch opens what the flags say that shall look on at srv, whose rules, which may be nil,
// are open.
func (c *serveCommand) watch(srv *server.Server, rules *accessdb.DB, s streams) (*watcher, error) {
	log, err := c.openAudit(srv, s.err)
	if err != nil {
		return nil, err
	}
	w := &watcher{audit: log, server: srv}
	if w.exporter, err = c.openMetrics(metrics.Sources{Server: srv, Rules: rules, Audit: log}); err != nil {
		w.close()
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

// close ends it all.
func (w *watcher) close() {
	w.exporter.close()
	closeAudit(w.audit, w.server.Logger)
}
