package main

import "credrpc/internal/ipcserver"

// ipcserverCommand leaves its arguments to package ipcserver: they are those of
// s6-ipcserver, not in the style of this program.
type ipcserverCommand struct {
	Args []string `arg:"" optional:"" help:"As for s6-ipcserver, and rules; see credrpc ipcserver --help."`
}

// Run runs the server.
func (c *ipcserverCommand) Run(s streams) error {
	if status := ipcserver.Run(c.Args, s.out, s.err); status != exitOK {
		return &exitError{status: status}
	}
	return nil
}
