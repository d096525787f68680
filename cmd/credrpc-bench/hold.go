package main

import (
	"encoding/json"
	"fmt"
	"os"

	"credrpc/bench/load"
)

// A holdCommand holds connections that send nothing, for the idle command. It
// writes a line when all are open and a [load.Held] as JSON at the end.
type holdCommand struct {
	Socket      string `required:"" help:"Socket of the server."`
	Connections int    `required:"" help:"How many."`
}

// Run holds until the server has ended all connections, or a signal.
func (c *holdCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	held, err := load.Hold(ctx, c.Socket, c.Connections, func() { fmt.Println("open") })
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(held)
}
