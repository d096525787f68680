package main

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"credrpc/audit"
	"credrpc/internal/size"
)

// Values of flags about auditing.
const (
	auditNone    = "none"
	auditAll     = "all"
	auditStderr  = "stderr"
	auditJournal = "journal"
)

// auditPatience is how long what waits to be written may take at the end.
const auditPatience = 5 * time.Second

// auditFlags are the flags about writing down who called.
type auditFlags struct {
	Audit        string     `enum:"all,denied,none" default:"none" help:"Calls to write down, a line of JSON for each: those that were denied, whatever the reason, all, or none. See AUDIT in the manual."`
	AuditTo      *string    `placeholder:"PATH|stderr|journal" help:"Where to: a file, opened again at SIGHUP, standard error (the default), or the journal of systemd."`
	AuditSample  *float64   `placeholder:"SHARE" help:"With --audit all: share of the calls that were not denied that is written, such as 0.01 (1)."`
	AuditRate    *float64   `placeholder:"N" help:"Most records a second, and how many at once after a pause; callers of one user get at most half of it (1000). What is not written is counted."`
	AuditMaxSize *size.Size `placeholder:"SIZE" help:"Greatest size of the file, where it ends until it is rotated (1G); 0 is without limit."`
}

// auditFile returns the path of the audit log, if it is a file.
func (c *auditFlags) auditFile() (path string, ok bool) {
	if c.Audit == auditNone || c.AuditTo == nil || *c.AuditTo == auditStderr || *c.AuditTo == auditJournal {
		return "", false
	}
	return *c.AuditTo, true
}

// auditsToJournal reports whether records go to the journal.
func (c *auditFlags) auditsToJournal() bool {
	return c.Audit != auditNone && c.AuditTo != nil && *c.AuditTo == auditJournal
}

// checkAudit returns an error for flags that mean nothing.
func (c *auditFlags) checkAudit() error {
	_, file := c.auditFile()
	switch {
	case c.Audit == auditNone && (c.AuditTo != nil || c.AuditSample != nil || c.AuditRate != nil || c.AuditMaxSize != nil):
		return usageError("--audit-to, --audit-sample, --audit-rate, --audit-max-size: say something about records; ask for them with --audit denied or --audit all")
	case c.AuditTo != nil && *c.AuditTo == "":
		return usageError("--audit-to: is empty; want a path, stderr or journal")
	case c.AuditSample != nil && c.Audit != auditAll:
		return usageError("--audit-sample: denied calls are all written; it means something with --audit all")
	case c.AuditSample != nil && !(*c.AuditSample > 0 && *c.AuditSample <= 1): // or NaN
		return usageError("--audit-sample: want more than 0, and at most 1")
	case c.AuditRate != nil && !(*c.AuditRate >= 1 && *c.AuditRate <= audit.MaxRate):
		return usageError("--audit-rate: want 1 to %d", int(audit.MaxRate))
	case c.AuditMaxSize != nil && !file:
		return usageError("--audit-max-size: says something about a file; name it with --audit-to")
	}
	return nil
}

// openAudit makes the audit log that the flags describe; nil if there is to be none.
func (c *auditFlags) openAudit(logger *slog.Logger, stderr io.Writer) (*audit.Log, error) {
	if c.Audit == auditNone {
		return nil, nil
	}
	sink, err := c.auditSink(stderr)
	if err != nil {
		return nil, err
	}
	options := audit.Options{Logger: logger}
	if c.Audit == auditAll {
		options.Calls = audit.All
	}
	if c.AuditSample != nil {
		options.Sample = *c.AuditSample
	}
	if c.AuditRate != nil {
		options.Rate = *c.AuditRate
	}
	return audit.New(sink, options)
}

// auditSink opens what records go to.
func (c *auditFlags) auditSink(stderr io.Writer) (audit.Sink, error) {
	path, file := c.auditFile()
	if file {
		path, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		most := int64(audit.DefaultMaxSize)
		if c.AuditMaxSize != nil {
			most = int64(*c.AuditMaxSize)
		}
		return audit.OpenFile(path, most)
	}
	if c.auditsToJournal() {
		return audit.Journal()
	}
	return audit.Stream(stderr), nil
}

// closeAudit ends the audit log, which may be nil, and says what it has not written.
func closeAudit(l *audit.Log, log *slog.Logger) {
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), auditPatience)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		log.Error("closing the audit log", "error", err)
	}
	if s := l.Stats(); s.Dropped() > 0 {
		log.Warn("the audit log has gaps", "written", s.Written, "over_rate", s.Limited, "queue_full", s.Overflowed, "sink_failed", s.Failed)
	}
}
