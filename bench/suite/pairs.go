package suite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/measure"
	"credrpc/bench/report"
)

// A PairsConfig says how servers are compared in pairs: all have the same load once
// in a round, in an order that is drawn anew for each.
type PairsConfig struct {
	Load     load.Load
	Rounds   int
	Duration time.Duration // of one run
	Payload  int           // bytes of a call's payload
	Seed     uint64        // of the order of the servers
}

// Pairs says what was found.
type Pairs struct {
	Machine     measure.Machine `json:"machine"`
	Load        load.Load       `json:"load"`
	Seconds     float64         `json:"seconds"` // of a run
	Payload     int             `json:"payload_bytes"`
	Seed        uint64          `json:"seed"`
	Rounds      int             `json:"rounds"` // finished
	Interrupted bool            `json:"interrupted"`
	Steps       []Step          `json:"steps"`
}

// A Step is one of the servers that are compared.
type Step struct {
	Name           string           `json:"name"`
	CallsPerSecond *report.Spread   `json:"calls_per_second"`
	CPUPerCall     *report.Spread   `json:"server_us_per_call"` // of the server's process alone
	Throughput     *report.Interval `json:"throughput_ratio"`   // by the first step's of the same round
	CPU            *report.Interval `json:"cpu_ratio"`          // the same
	P99            *report.Spread   `json:"p99_us"`
	Errors         uint64           `json:"errors"`
}

// pairs starts a server for each variant and compares them. It returns what the
// rounds before ctx ended found, and the runs by server, then by round.
func (b *Bench) pairs(ctx context.Context, c PairsConfig, variants []variant) (*Pairs, [][]report.Run, error) {
	r := &Pairs{Machine: measure.Describe(), Load: c.Load, Seconds: c.Duration.Seconds(), Payload: c.Payload, Seed: c.Seed}
	var competitors []competitor
	for _, v := range variants {
		b.Progress(0, "starting "+v.Name)
		process, err := b.start(ctx, v)
		if err != nil {
			return r, nil, err
		}
		if _, err := b.load(ctx, process, load.Config{Load: c.Load, Payload: c.Payload, Duration: warmUp}); err != nil {
			return r, nil, err
		}
		competitors = append(competitors, competitor{v, process})
	}
	runs := make([][]report.Run, len(competitors))
	random := rand.New(rand.NewPCG(c.Seed, 0))
	var err error
	for round := range c.Rounds {
		if err = b.pairsRound(ctx, c, competitors, random.Perm(len(competitors)), round, runs); err != nil {
			break
		}
		r.Rounds++
	}
	r.summarise(competitors, runs)
	if ctx.Err() != nil {
		r.Interrupted = true
		return r, runs, nil
	}
	return r, runs, err
}

// pairsRound lets every server have the load once.
func (b *Bench) pairsRound(ctx context.Context, c PairsConfig, competitors []competitor, order []int, round int, runs [][]report.Run) error {
	for done, i := range order {
		b.Progress((float64(round)+float64(done)/float64(len(order)))/float64(c.Rounds),
			fmt.Sprintf("round %d of %d: %s", round+1, c.Rounds, competitors[i].Name))
		run, err := b.run(ctx, competitors[i], load.Config{Load: c.Load, Payload: c.Payload, Duration: c.Duration})
		if err != nil {
			return err
		}
		runs[i] = append(runs[i], *run)
	}
	return nil
}

// summarise makes the steps of the rounds that every server has.
func (r *Pairs) summarise(competitors []competitor, runs [][]report.Run) {
	for i, s := range competitors {
		step := Step{Name: s.Name}
		var rate, cpu, p99, rateRatio, cpuRatio []float64
		for round := range r.Rounds {
			run, first := &runs[i][round], &runs[0][round]
			step.Errors += run.Errors()
			rate = append(rate, run.CallsPerSecond)
			cpu = append(cpu, run.ServerPerCall())
			p99 = append(p99, run.Latency.P99)
			rateRatio = append(rateRatio, run.CallsPerSecond/first.CallsPerSecond)
			cpuRatio = append(cpuRatio, run.ServerPerCall()/first.ServerPerCall())
		}
		step.CallsPerSecond, step.CPUPerCall, step.P99 = report.SpreadOf(rate), report.SpreadOf(cpu), report.SpreadOf(p99)
		step.Throughput, step.CPU = report.IntervalOf(rateRatio), report.IntervalOf(cpuRatio)
		r.Steps = append(r.Steps, step)
	}
}

// Errors returns how many calls were not answered right.
func (r *Pairs) Errors() (n uint64) {
	for _, s := range r.Steps {
		n += s.Errors
	}
	return n
}

// remarks are what has to be known to read a table of steps.
func (r *Pairs) remarks(b *strings.Builder) {
	fmt.Fprintf(b, "Medians of %d rounds of %gs (least-greatest); ratios are of two runs of the same round,\n"+
		"with the 95 %% confidence interval of their median.\n", r.Rounds, r.Seconds)
	if r.Interrupted {
		b.WriteString("Interrupted: figures come from the rounds that were finished.\n")
	}
}
