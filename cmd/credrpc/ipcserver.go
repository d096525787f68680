package main

import "credrpc/internal/ipcserver"

// ipcserverCommand leaves its arguments to package ipcserver: they are those of
// s6-ipcserver, not in the style of this program.
type ipcserverCommand struct {
	Args []string `arg:"" optional:"" help:"As for s6-ipcserver, and rules; see credrpc ipcserver --help."`
}

// Help is for the manual; the command shows its help itself.
func (*ipcserverCommand) Help() string { return ipcserver.Help() }

// Run runs the server.
func (c *ipcserverCommand) Run(s streams) error {
	if status := ipcserver.Run(c.Args, s.out, s.err); status != exitOK {
		return &exitError{status: status}
	}
	return nil
}
