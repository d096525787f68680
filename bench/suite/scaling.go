package suite

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"

	"credrpc/bench/load"
	"credrpc/bench/report"
)

// The scenarios of this file have one load, or a few, and change one number: what
// they vary is the axis of their reports.

// bare is a load of N callers with one call at a time.
func bare(callers int) load.Load { return load.Load{Batch: 1, Callers: callers} }

// Callers measures what servers do under more and more callers with one call at a
// time each. Package server has no limit that they reach.
func (b *Bench) Callers(ctx context.Context, c Comparison, callers []int) (*report.Report, error) {
	c.Loads = nil
	for _, n := range callers {
		c.Loads = append(c.Loads, bare(n))
	}
	r := c.report("callers")
	r.Title = "throughput and latency by the number of callers"
	r.Axis = &report.Axis{Name: "callers", Logarithmic: true}
	unlimited := strconv.Itoa(2 * load.MaxCallers)
	all, err := c.servers("--max-calls", unlimited, "--max-calls-per-uid", unlimited)
	if err != nil {
		return r, err
	}
	competitors, err := b.enter(ctx, c, all, r)
	if err == nil {
		heats := c.heats(competitors)
		for i := range heats {
			heats[i].at = float64(callers[i])
		}
		err = b.rounds(ctx, c, heats, r)
	}
	return r, finish(ctx, r, err)
}

// servers returns the variants of c's servers, those of package server with more
// arguments.
func (c *Comparison) servers(args ...string) ([]variant, error) {
	all, err := variants(c.Servers, c.Loops)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Kind == Eventloop || all[i].Kind == EventloopOnLoop {
			all[i] = all[i].with(args...)
		}
	}
	return all, nil
}

// Payloads measures what servers do with larger and larger payloads, which they
// echo.
func (b *Bench) Payloads(ctx context.Context, c Comparison, payloads []int) (*report.Report, error) {
	r := c.report("payload")
	r.Title = "calls and bytes a second by the size of requests and answers"
	r.Axis = &report.Axis{Name: "payload", Unit: "bytes", Logarithmic: true}
	all, err := c.servers("--max-payload", strconv.Itoa(slices.Max(payloads)))
	if err != nil {
		return r, err
	}
	competitors, err := b.enter(ctx, c, all, r)
	if err == nil {
		var heats []heat
		for _, n := range payloads {
			for _, h := range c.heats(competitors) {
				h.at, h.config.Payload = float64(n), n
				heats = append(heats, h)
			}
		}
		err = b.rounds(ctx, c, heats, r)
	}
	return r, finish(ctx, r, err)
}

// Loops measures what package server does with one event loop and with more.
func (b *Bench) Loops(ctx context.Context, c Comparison, loops []int) (*report.Report, error) {
	r := c.report("loops")
	r.Title = "throughput and latency by the number of event loops"
	r.Axis = &report.Axis{Name: "loops"}
	var heats []heat
	for _, n := range loops {
		c.Loops = n
		competitors, err := b.competitors(ctx, c, r)
		if err != nil {
			return r, finish(ctx, r, err)
		}
		for _, h := range c.heats(competitors) {
			h.at = float64(n)
			heats = append(heats, h)
		}
	}
	return r, finish(ctx, r, b.rounds(ctx, c, heats, r))
}

// Users measures what servers do when more and more users call in turn, another with
// every call of a caller. It returns [load.ErrNotRoot] where callers cannot act as
// others.
func (b *Bench) Users(ctx context.Context, c Comparison, users []int) (*report.Report, error) {
	r := c.report("uids")
	r.Title = "throughput and latency by the number of users that call in turn"
	r.Axis = &report.Axis{Name: "users", Logarithmic: true}
	if err := mayActAsOthers(); err != nil {
		return r, err
	}
	competitors, err := b.competitors(ctx, c, r)
	for _, s := range competitors {
		if err == nil {
			err = b.open(s.socket)
		}
	}
	if err == nil {
		var heats []heat
		for _, n := range users {
			for _, h := range c.heats(competitors) {
				h.at, h.config.Identities = float64(n), n
				heats = append(heats, h)
			}
		}
		err = b.rounds(ctx, c, heats, r)
	}
	return r, finish(ctx, r, err)
}

// mayActAsOthers returns [load.ErrNotRoot] if callers cannot.
func mayActAsOthers() error {
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("%w, and this process has uid %d", load.ErrNotRoot, uid)
	}
	return nil
}

// doublings returns the powers of two below n, and n.
func doublings(n int) (all []int) {
	for i := 1; i < n; i *= 2 {
		all = append(all, i)
	}
	return append(all, n)
}
