package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"credrpc/bench/load"
	"credrpc/internal/size"
)

// A loadCommand is one run of the load generator.
type loadCommand struct {
	Socket   string    `required:"" placeholder:"PATH" help:"Socket of the server."`
	Batch    int       `default:"1" help:"Calls that each caller sends before it collects their answers."`
	Callers  int       `default:"1" help:"Callers at the same time."`
	Seconds  float64   `default:"2" help:"How long callers start new calls."`
	Payload  size.Size `default:"32" placeholder:"SIZE" help:"Bytes of a call's payload (${default}), such as 64K."`
	Sleepers int       `default:"0" help:"Callers besides, counted apart, whose calls begin with 's'."`
	JSON     bool      `help:"Print the result as JSON."`
}

// Run makes the load and prints what came of it.
func (c *loadCommand) Run() error {
	if debug := os.Getenv("GODEBUG"); !strings.Contains(debug, load.Setting) {
		os.Setenv("GODEBUG", strings.TrimPrefix(debug+","+load.Setting, ","))
		return fmt.Errorf("running again with %s: %w", load.Setting,
			syscall.Exec("/proc/self/exe", os.Args, os.Environ()))
	}
	result, err := load.Run(load.Config{
		Path:     c.Socket,
		Load:     load.Load{Batch: c.Batch, Callers: c.Callers},
		Payload:  int(c.Payload),
		Duration: time.Duration(c.Seconds * float64(time.Second)),
		Sleepers: c.Sleepers,
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(result)
	}
	printGroup(result.Load.String(), &result.Group)
	if result.Sleepers != nil {
		printGroup("sleeping", result.Sleepers)
	}
	if result.Errors() > 0 {
		return errors.New("not every call was answered right")
	}
	return nil
}

// printGroup prints what a group of callers did, in one line.
func printGroup(name string, g *load.Group) {
	l := g.Latency
	fmt.Printf("%s: %.0f calls/s, p50 %.1f µs, p99 %.1f µs, p99.9 %.1f µs, %d errors, backlog full %d times",
		name, g.CallsPerSecond, l.P50, l.P99, l.P999, g.Errors(), g.BacklogFull)
	if g.FirstError != "" {
		fmt.Printf(" (%s)", g.FirstError)
	}
	fmt.Println()
}
