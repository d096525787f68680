package main

import (
	"errors"
	"io"
	"math"
	"slices"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/objective"
	"credrpc/bench/report"
	"credrpc/bench/suite"
	"credrpc/internal/size"
)

// A findMaxCommand looks for the highest rate that a server can take.
type findMaxCommand struct {
	SLO         objective.Objective `name:"slo" required:"" placeholder:"TERM,..." help:"What must hold, such as p99<500us,errors<0.01%."`
	Server      []string            `default:"eventloop" enum:"floor,reference,eventloop-on-loop,eventloop,gnet" help:"Servers to start: ${enum}. Several have their runs in turn."`
	targetFlags `embed:""`

	From       float64       `default:"0" help:"Lowest rate, in calls a second; 0 is 1000, or more if the objective needs more calls in a run."`
	To         float64       `default:"10000000" help:"Highest rate."`
	Resolution float64       `default:"5" placeholder:"PERCENT" help:"How far apart the rates are at most that are tried."`
	Tries      int           `default:"5" help:"Runs that decide about a rate; an odd number."`
	Seconds    float64       `default:"2" help:"Length of a run."`
	WarmUp     time.Duration `default:"200ms" help:"Length of the part of a run before it, which is not counted."`
	Arrivals   string        `default:"poisson" enum:"constant,poisson" help:"Arrivals at even distances or at random (${enum})."`
	Callers    int           `default:"64" help:"Callers at the same time: the most calls in flight."`
	Payload    size.Size     `default:"32" placeholder:"SIZE" help:"Bytes of a request and its answer (${default}), such as 64K."`
	Sizes      load.Sizes    `placeholder:"REQUEST/ANSWER:WEIGHT,..." help:"A mix of sizes instead, such as 32:90,32/1M:10."`
	UIDs       load.UIDs     `name:"uids" placeholder:"UID,LOW-HIGH,..." help:"Users as whom the callers act, each with a part of them. Needs root."`
	Hostile    load.Hostile  `placeholder:"KIND=N,..." help:"Hostile callers besides, who are counted and not measured. See credrpc-bench run."`
	Seed       uint64        `default:"1" help:"Seed of arrivals, sizes and the order of servers."`

	output
}

// lowestRate is where a search begins unless somebody says or it is too low for the
// objective: every server here takes it.
const lowestRate = 1000 // calls a second

// Help is what --help shows besides the flags.
func (c *findMaxCommand) Help() string {
	return `The objective is terms with commas between them: a figure, < or <=, and a limit. Figures are p50 p90 p99 p99.9 max mean of the latency, from the scheduled arrival; the same of the service time, such as service.p99; and errors and unstarted, as shares of the arrivals in percent. throughput, a share of the offered rate, has > or >=. Without a term about errors none is allowed.

The rate is doubled until most of its runs miss the objective, and what lies between is halved. A rate is decided by a majority of runs (--tries), so that one run decides nothing. The interval goes from a rate at which all runs held to one at which none did. A run that misses because the load generator was late or busy counts for neither; where most are so, the generator is the limit, and the answer is "at least".

Exit status 1 also if the objective is missed at the lowest rate.`
}

// Validate reports flags that do not go together.
func (c *findMaxCommand) Validate() error {
	if err := c.targetFlags.Validate(); err != nil {
		return err
	}
	if c.Seconds <= 0 || c.Seconds > load.MaxDuration.Seconds() {
		return errors.New("--seconds must be above 0, and at most a week")
	}
	if names := slices.Sorted(slices.Values(c.Server)); len(slices.Compact(names)) != len(c.Server) {
		return errors.New("--server names a server twice")
	}
	if c.Sizes != nil && c.Payload != 32 {
		return errors.New("--sizes has the sizes, so --payload is not for it")
	}
	config := c.config()
	if err := config.Validate(); err != nil {
		return err
	}
	config.Load.Path = "checked later"
	return config.Load.Validate()
}

// config returns what is looked for.
func (c *findMaxCommand) config() suite.FindMaxConfig {
	s := c.scenario("")
	s.Load = load.Config{
		Load: load.Load{Batch: 1, Callers: c.Callers}, Payload: int(c.Payload), Sizes: c.Sizes,
		WarmUp: c.WarmUp, UIDs: c.UIDs, Hostile: c.Hostile,
	}
	from := c.From
	if from == 0 {
		calls, _ := c.SLO.LeastCalls()
		from = max(lowestRate, math.Ceil(calls/c.Seconds))
	}
	return suite.FindMaxConfig{
		Servers: c.Server, Scenario: s, Objective: c.SLO, Poisson: c.Arrivals == "poisson",
		From: from, To: c.To, Resolution: c.Resolution / 100, Tries: c.Tries,
		Duration: time.Duration(c.Seconds * float64(time.Second)), Seed: c.Seed,
	}
}

// Run looks for the rates and prints them. It fails if a server has none.
func (c *findMaxCommand) Run() error {
	config := c.config()
	text := func(w io.Writer, r *report.Report) error { return suite.WriteFindMax(w, &config, r) }
	c.mayFail = true // then the objective is missed
	return c.measure(text, func(b *bench) (*report.Report, error) {
		return b.FindMax(b.ctx, config)
	})
}
