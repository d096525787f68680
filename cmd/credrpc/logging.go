package main

import (
	"io"
	"log/slog"
)

// logFlags are the flags about what goes to standard error.
type logFlags struct {
	LogFormat string     `enum:"text,json" default:"text" help:"Form of the log on standard error: ${enum}, one object a line. Why the server cannot begin is plain text."`
	LogLevel  slog.Level `default:"info" placeholder:"LEVEL" help:"Least level of what is logged: debug, info, warn or error (${default})."`

	level *slog.LevelVar // what holds at the moment; made with the first logger
}

// logger makes the logger that the flags describe. Its level may be changed later.
func (f *logFlags) logger(w io.Writer) *slog.Logger {
	if f.level == nil {
		f.level = new(slog.LevelVar)
		f.level.Set(f.LogLevel)
	}
	options := &slog.HandlerOptions{Level: f.level}
	if f.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
