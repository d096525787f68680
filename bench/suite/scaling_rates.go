package suite

import (
	"context"
	"fmt"
	"math"
	"slices"

	"credrpc/bench/load"
	"credrpc/bench/report"
)

// rateStep is what offered rates are a multiple of, in calls a second.
const rateStep = 100

// capacityRuns is the number of runs whose median is a server's capacity.
const capacityRuns = 3

// Rates measures latency under offered rates of Poisson arrivals, which come whatever
// the server does, from c's only load of callers. Each server has shares of its own
// capacity, which is what the same callers get from it in a closed loop, and those of
// the slowest server's, so that all can be compared at the same rates. Of several
// variants of a kind only the one with the greatest capacity takes part.
func (b *Bench) Rates(ctx context.Context, c Comparison, shares []float64) (*report.Report, error) {
	r := c.report("rates")
	r.Title = "latency by the offered rate, from the scheduled arrival"
	r.Axis = &report.Axis{Name: "calls/s offered"}
	competitors, err := b.competitors(ctx, c, r)
	var heats []heat
	if err == nil {
		heats, err = b.rateHeats(ctx, c, competitors, shares, r)
	}
	if err == nil {
		err = b.rounds(ctx, c, heats, r)
	}
	return r, finish(ctx, r, err)
}

// rateHeats finds out the capacities and returns a heat for each rate.
func (b *Bench) rateHeats(ctx context.Context, c Comparison, competitors []competitor, shares []float64, r *report.Report) ([]heat, error) {
	fastest := map[string]competitor{}
	capacities := map[string]float64{} // by kind
	slowest := math.Inf(1)
	for _, s := range competitors {
		capacity, err := b.capacity(ctx, c, s)
		if err != nil {
			return nil, err
		}
		if capacity > capacities[s.Kind] {
			capacities[s.Kind], fastest[s.Kind] = capacity, s
		}
	}
	for _, capacity := range capacities {
		slowest = min(slowest, capacity)
	}
	byRate := map[float64]*heat{}
	for _, s := range competitors {
		if s.Name != fastest[s.Kind].Name {
			continue
		}
		capacity := capacities[s.Kind]
		r.Settings = append(r.Settings, report.Setting{Name: "capacity of " + s.Name, Value: grouped(capacity) + " calls/s"})
		for _, rate := range ratesOf(shares, capacity, slowest) {
			h := byRate[rate]
			if h == nil {
				config := load.Config{Load: c.Loads[0], Payload: c.Payload, Arrivals: &load.Arrivals{
					Poisson: true, Steps: load.Steps{{Rate: rate, Duration: c.Duration}}}}
				h = &heat{at: rate, config: config}
				byRate[rate] = h
			}
			h.competitors = append(h.competitors, s)
		}
	}
	r.Servers = slices.DeleteFunc(r.Servers, func(s report.Server) bool { return s.Name != fastest[s.Kind].Name })
	var heats []heat
	for _, h := range byRate {
		heats = append(heats, *h)
	}
	// Maps have no order, and the seed shall be all that decides.
	slices.SortFunc(heats, func(a, b heat) int { return int(a.at - b.at) })
	return heats, nil
}

// capacity returns the calls a second that a server answers in a closed loop.
func (b *Bench) capacity(ctx context.Context, c Comparison, s competitor) (float64, error) {
	var all []float64
	for range min(capacityRuns, c.Rounds) {
		b.Progress(0, "what "+s.Name+" can do")
		config := load.Config{Load: c.Loads[0], Payload: c.Payload, Duration: c.Duration, WarmUp: runWarmUp(c.Loads[0])}
		result, err := b.load(ctx, s, config)
		if err != nil {
			return 0, err
		}
		all = append(all, result.CallsPerSecond)
	}
	capacity := report.SpreadOf(all).Median
	if capacity < rateStep {
		return 0, fmt.Errorf("%w: %s answers %.0f calls a second, of which no share can be offered", ErrServer, s.Name, capacity)
	}
	return capacity, nil
}

// ratesOf returns the rates for a server, each once.
func ratesOf(shares []float64, capacity, slowest float64) (rates []float64) {
	for _, of := range []float64{capacity, slowest} {
		for _, share := range shares {
			rate := max(1, math.Round(share*of/rateStep)) * rateStep
			if !slices.Contains(rates, rate) {
				rates = append(rates, rate)
			}
		}
	}
	return rates
}
