package suite

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/report"
)

const (
	politeRate    = 500 // calls a second
	politeCallers = 8   // who make them: as many as the tightest limit below allows

	// The users: neither exists, and both are below 65534, which every user
	// namespace has.
	politeUID   = 60_001
	floodingUID = 60_002
)

// floodServers are the servers that are flooded. A way to limit a user is a line.
func floodServers(loops int) ([]variant, error) {
	all, err := variants([]string{Reference, Eventloop}, loops)
	limited := func(name string, args ...string) {
		all = append(all, eventloopVariant(Eventloop, loops).with(args...).called(Eventloop+"-"+name, ""))
	}
	limited("8-calls-per-uid", "--max-calls-per-uid", strconv.Itoa(politeCallers))
	limited("1000-per-second", "--rate-per-uid", strconv.Itoa(2*politeRate))
	return all, err
}

// Flood measures what one user gets who calls now and then, 500 times a second at
// random, while another user has callers that call as fast as they are answered or
// refused: none of them, and each of the numbers given. Runs are of the polite user,
// and their Users are both. It returns [load.ErrNotRoot] where callers cannot act as
// others.
func (b *Bench) Flood(ctx context.Context, c Comparison, flooders []int) (*report.Report, error) {
	c.Loads = []load.Load{bare(politeCallers)}
	r := c.report("flood")
	r.Title = "what a polite user's calls take while another user floods the server"
	r.Axis = &report.Axis{Name: "flooding callers"}
	r.Settings = []report.Setting{{Name: "polite user", Value: fmt.Sprintf("%d calls/s, Poisson, %d callers", politeRate, politeCallers)}}
	if err := mayActAsOthers(); err != nil {
		return r, err
	}
	all, err := floodServers(c.Loops)
	if err != nil {
		return r, err
	}
	competitors, err := b.enter(ctx, c, all, r)
	for _, s := range competitors {
		if err == nil {
			err = b.open(s.socket)
		}
	}
	if err == nil {
		err = b.rounds(ctx, c, b.floodHeats(c, competitors, flooders), r)
	}
	return r, finish(ctx, r, err)
}

// floodHeats are a heat without flooding callers, and those with some.
func (b *Bench) floodHeats(c Comparison, competitors []competitor, flooders []int) []heat {
	polite := load.Config{Load: c.Loads[0], Payload: c.Payload, UIDs: load.UIDs{politeUID},
		Arrivals: &load.Arrivals{Poisson: true, Steps: load.Steps{{Rate: politeRate, Duration: c.Duration}}}}
	heats := []heat{{config: polite, competitors: competitors}}
	for _, n := range flooders {
		heats = append(heats, heat{at: float64(n), config: polite, competitors: competitors,
			run: func(ctx context.Context, s competitor, config load.Config) (*report.Run, error) {
				flood := load.Config{Path: s.socket, Load: bare(n), Payload: c.Payload, UIDs: load.UIDs{floodingUID}, Duration: floodLength}
				var run *report.Run
				result, err := b.beside(ctx, flood, func() (err error) {
					run, err = b.run(ctx, s, config)
					return err
				})
				if err != nil {
					return nil, err
				}
				run.Users = append(run.Users, result.Users...)
				return run, nil
			}})
	}
	return heats
}

// floodLength is longer than any run; a flood ends with what runs beside it.
const floodLength = time.Hour

// beside calls f while a load is made, and returns what came of that.
func (b *Bench) beside(ctx context.Context, config load.Config, f func() error) (*load.Result, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var result *load.Result
	var err error
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		result, err = load.Distribute(ctx, config, load.Distribution{Command: b.partCommand, Begin: func(time.Duration) { close(begun) }})
	}()
	select {
	case <-begun:
	case <-ended: // it failed
		return nil, err
	}
	failed := f()
	stop()
	<-ended
	if failed != nil {
		return nil, failed
	}
	return result, err
}
