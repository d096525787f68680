package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"credrpc/bench/callers"
)

// A callersCommand is one run of callers with a client of the protocol, for the clients
// command. It writes a line "begin" when calls begin to count, a line "end" when all
// callers have ended, and a [load.Result] as JSON.
type callersCommand struct {
	Client  string  `arg:"" enum:"client,net" help:"Package client or package net."`
	Socket  string  `required:"" placeholder:"PATH" help:"Socket of the server."`
	Callers int     `default:"1" help:"Callers at the same time."`
	Payload int     `default:"32" help:"Bytes of a call's payload."`
	WarmUp  float64 `default:"0" help:"Seconds of calls before, which are not counted."`
	Seconds float64 `default:"2" help:"How long callers start new calls."`
}

// Run makes the calls, until the end or a signal.
func (c *callersCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	conn := callers.Client(c.Socket)
	if c.Client == "net" {
		conn = callers.Net(c.Socket)
	}
	r, err := callers.Run(ctx, callers.Config{
		Callers:  c.Callers,
		Payload:  c.Payload,
		WarmUp:   time.Duration(c.WarmUp * float64(time.Second)),
		Duration: time.Duration(c.Seconds * float64(time.Second)),
		Begin:    func() { fmt.Println("begin") },
		End:      func() { fmt.Println("end") },
	}, conn)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}
