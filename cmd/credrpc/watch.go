package main

import (
	"log/slog"

	"credrpc/accessdb"
	"credrpc/audit"
	"credrpc/metrics"
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
// nil, are open. Metrics are those of the first one.
func (c *serveCommand) watch(servers []*server.Server, rules *accessdb.DB, s streams) (*watcher, error) {
	log, err := c.openAudit(servers[0].Logger, s.err)
	if err != nil {
		return nil, err
	}
	if log != nil {
		for _, srv := range servers {
			srv.Ended = log.Ended
		}
	}
	w := &watcher{audit: log}
	if w.exporter, err = c.openMetrics(metrics.Sources{Server: servers[0], Rules: rules, Audit: log}); err != nil {
		w.close(servers[0].Logger)
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
