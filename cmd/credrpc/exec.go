package main

import (
	programs "credrpc/internal/program"
	"credrpc/server"
)

// execHandler is the value of --handler that runs a program.
const execHandler = "exec"

// execFlags are the flags and arguments of --handler exec.
type execFlags struct {
	MaxPrograms  *int     `placeholder:"N" help:"With --handler exec: most programs that run at once (64), three in four of them for one user; other calls wait, and users take turns."`
	WithoutRules bool     `help:"With --handler exec: run the program for whoever can connect, as only the permissions of the socket say."`
	Program      []string `arg:"" optional:"" help:"With --handler exec, after --: program to run for each call, and its arguments."`
}

// checkExec returns an error for flags about programs that make no sense.
func (c *serveCommand) checkExec(rules bool) error {
	switch {
	case c.Handler != execHandler:
		if len(c.Program) > 0 || c.MaxPrograms != nil || c.WithoutRules {
			return usageError("a program, --max-programs, --without-rules: mean something with --handler exec only")
		}
	case len(c.Program) == 0:
		return usageError("--handler exec: want a program to run, at the end: -- PROGRAM [ARGUMENT ...]")
	case c.OnLoop:
		return usageError("--on-loop: a program blocks; leave it out with --handler exec")
	case !rules && !c.WithoutRules:
		return usageError("--handler exec: want rules that say who may run the program; with --without-rules whoever can connect may")
	case rules && c.WithoutRules:
		return usageError("--without-rules: there are rules")
	case c.MaxPrograms != nil && *c.MaxPrograms < 1:
		return usageError("--max-programs: want at least 1")
	}
	return nil
}

// serveProgram makes srv, whose rules are set and whose socket is at path, run the
// program that the flags name, if it is to run one.
func (c *serveCommand) serveProgram(srv *server.Server, path string) error {
	if err := c.checkExec(srv.Access != nil); err != nil || c.Handler != execHandler {
		return err
	}
	config := programs.Config{
		Program:      c.Program,
		LocalPath:    path,
		MaxOutput:    uint32(c.MaxPayload),
		WithoutRules: c.WithoutRules,
		Logger:       srv.Logger,
	}
	if c.MaxPrograms != nil {
		config.MaxPrograms = *c.MaxPrograms
	}
	handler, err := programs.New(config)
	if err != nil {
		return usageError("--handler exec: %w", err)
	}
	srv.Handler = handler
	return nil
}
