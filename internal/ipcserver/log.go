package ipcserver

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"golang.org/x/sys/unix"
)

// name begins every message.
const name = "credrpc ipcserver"

// A logger writes messages to standard error, one write(2) each, in the words of
// s6 where s6 has the same message. What callers choose never stands in them.
type logger struct{ verbosity int }

// at reports whether messages of a verbosity are wanted.
func (l logger) at(verbosity int) bool { return l.verbosity >= verbosity }

func (l logger) info(format string, args ...any)    { l.print("info", format, args...) }
func (l logger) warning(format string, args ...any) { l.print("warning", format, args...) }
func (l logger) err(format string, args ...any)     { l.print("error", format, args...) }
func (l logger) fatal(format string, args ...any)   { l.print("fatal", format, args...) }

// print writes one line. It does not go through package os, which ends the process
// when nobody reads what it writes to standard error (os/signal, SIGPIPE). A
// message that cannot be written is lost.
func (l logger) print(level, format string, args ...any) {
	line := fmt.Appendf(nil, name+": "+level+": "+format+"\n", args...)
	for {
		if _, err := unix.Write(2, line); err != unix.EINTR {
			return
		}
	}
}

// slog returns a logger for package accessdb.
func (l logger) slog() *slog.Logger { return slog.New(slogHandler{l}) }

// A slogHandler writes the messages of package accessdb, which has no groups and
// no common attributes.
type slogHandler struct{ logger }

// Enabled implements slog.Handler.
func (h slogHandler) Enabled(_ context.Context, level slog.Level) bool {
	switch {
	case level >= slog.LevelError:
		return true
	case level >= slog.LevelWarn:
		return h.at(normal)
	}
	return h.at(verbose)
}

// Handle implements slog.Handler.
func (h slogHandler) Handle(_ context.Context, record slog.Record) error {
	level := strings.ToLower(record.Level.String())
	if record.Level == slog.LevelWarn {
		level = "warning"
	}
	text := record.Message
	record.Attrs(func(a slog.Attr) bool {
		text += fmt.Sprintf(" %s=%q", a.Key, a.Value.String())
		return true
	})
	h.print(level, "%s", text)
	return nil
}

// WithAttrs implements slog.Handler.
func (h slogHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup implements slog.Handler.
func (h slogHandler) WithGroup(string) slog.Handler { return h }
