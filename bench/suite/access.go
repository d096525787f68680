package suite

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"credrpc/accessdb"
	"credrpc/bench/load"
	"credrpc/bench/measure"
	"credrpc/bench/report"
)

// An AccessConfig says what [Bench.Access] measures.
type AccessConfig struct {
	Load     load.Load
	Rounds   int
	Duration time.Duration // of one run
	Payload  int           // bytes of a call's payload
	Loops    int           // event loops; 0 is the server's default
	OnLoop   bool          // handlers on the event loop
	Rules    int           // rules in the file, at least 1
	Seed     uint64        // of the order of the servers
}

// AccessResult says what access rules cost.
type AccessResult struct {
	Machine     measure.Machine `json:"machine"`
	Load        load.Load       `json:"load"`
	OnLoop      bool            `json:"on_loop"`
	Rules       int             `json:"rules"`
	Seconds     float64         `json:"seconds"` // of a run
	Payload     int             `json:"payload_bytes"`
	Seed        uint64          `json:"seed"`
	Rounds      int             `json:"rounds"` // finished
	Interrupted bool            `json:"interrupted"`
	Steps       []AccessStep    `json:"steps"`
}

// An AccessStep is a server that differs from the first step's in its rules.
type AccessStep struct {
	Name           string           `json:"name"`
	CallsPerSecond *report.Spread   `json:"calls_per_second"`
	CPUPerCall     *report.Spread   `json:"server_us_per_call"`
	Throughput     *report.Interval `json:"throughput_ratio"` // by the first step's of the same round
	CPU            *report.Interval `json:"cpu_ratio"`        // the same
	Errors         uint64           `json:"errors"`
}

// accessSteps are the servers, by name and by the arguments that each has besides.
// The second does what the first does: its ratios show what the comparison cannot
// tell apart.
var accessSteps = []struct {
	name string
	args func(file, directory string) []string
}{
	{"no rules", func(_, _ string) []string { return nil }},
	{"no rules, again", func(_, _ string) []string { return nil }},
	{"file, from the cache", func(file, _ string) []string { return []string{"--rules", file} }},
	{"file, past the cache", func(file, _ string) []string { return []string{"--rules", file, "--rules-cache=-1"} }},
	{"directory", func(_, directory string) []string { return []string{"--rules", directory} }},
}

// Access measures servers with and without access rules under the same load. It
// returns what the rounds before ctx ended found.
func (b *Bench) Access(ctx context.Context, c AccessConfig) (*AccessResult, error) {
	r := &AccessResult{Machine: measure.Describe(), Load: c.Load, OnLoop: c.OnLoop, Rules: c.Rules,
		Seconds: c.Duration.Seconds(), Payload: c.Payload, Seed: c.Seed}
	competitors, err := b.accessCompetitors(ctx, c)
	if err != nil {
		return r, err
	}
	runs := make([][]report.Run, len(competitors)) // by step, then by round
	random := rand.New(rand.NewPCG(c.Seed, 0))
	for round := range c.Rounds {
		for done, i := range random.Perm(len(competitors)) {
			b.Progress((float64(round)+float64(done)/float64(len(competitors)))/float64(c.Rounds),
				fmt.Sprintf("round %d of %d: %s", round+1, c.Rounds, competitors[i].Name))
			run, err := b.run(ctx, competitors[i], load.Config{Load: c.Load, Payload: c.Payload, Duration: c.Duration})
			if ctx.Err() != nil {
				r.Interrupted = true
				r.summarise(runs)
				return r, nil
			}
			if err != nil {
				r.summarise(runs)
				return r, err
			}
			runs[i] = append(runs[i], *run)
		}
		r.Rounds++
	}
	r.summarise(runs)
	return r, nil
}

// accessCompetitors starts a server for each step and warms it up.
func (b *Bench) accessCompetitors(ctx context.Context, c AccessConfig) ([]competitor, error) {
	name := Eventloop
	if c.OnLoop {
		name = EventloopOnLoop
	}
	base, err := variants([]string{name}, c.Loops)
	if err != nil {
		return nil, err
	}
	b.Progress(0, fmt.Sprintf("compiling %d rules", c.Rules))
	file, directory, err := b.writeRules(c.Rules)
	if err != nil {
		return nil, err
	}
	var all []competitor
	for _, step := range accessSteps {
		v := base[0].with(step.args(file, directory)...)
		v.Name = step.name
		process, err := b.start(ctx, v)
		if err != nil {
			return nil, err
		}
		s := competitor{v, process}
		if _, err := b.load(ctx, process, load.Config{Load: c.Load, Payload: c.Payload, Duration: warmUp}); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// writeRules makes a file of n rules, of this process's user and of uids from 1
// million on, and a directory of the first of them.
func (b *Bench) writeRules(n int) (file, directory string, err error) {
	dir, err := b.directory()
	if err != nil {
		return "", "", err
	}
	file, directory = filepath.Join(dir, "rules.cdb"), filepath.Join(dir, "rules")
	builder, err := accessdb.Create(file, 0o600)
	if err != nil {
		return "", "", err
	}
	defer builder.Close()
	own := "uid/" + strconv.Itoa(os.Geteuid())
	for i := range n {
		key := own
		if i > 0 {
			key = "uid/" + strconv.Itoa(1_000_000+i)
		}
		if err := builder.Add(accessdb.Rule{Key: key, Decision: accessdb.Allow}); err != nil {
			return "", "", err
		}
	}
	if err := builder.Commit(); err != nil {
		return "", "", err
	}
	if err := os.MkdirAll(filepath.Join(directory, own), 0o700); err != nil {
		return "", "", err
	}
	return file, directory, os.WriteFile(filepath.Join(directory, own, "allow"), nil, 0o600)
}

// summarise makes the steps of the rounds that every step has.
func (r *AccessResult) summarise(runs [][]report.Run) {
	for i, step := range accessSteps {
		if i == len(runs) {
			return
		}
		s := AccessStep{Name: step.name}
		var rate, cpu, rateRatio, cpuRatio []float64
		for round := range r.Rounds {
			run, first := &runs[i][round], &runs[0][round]
			s.Errors += run.Errors()
			rate = append(rate, run.CallsPerSecond)
			cpu = append(cpu, run.ServerPerCall())
			rateRatio = append(rateRatio, run.CallsPerSecond/first.CallsPerSecond)
			cpuRatio = append(cpuRatio, run.ServerPerCall()/first.ServerPerCall())
		}
		s.CallsPerSecond, s.CPUPerCall = report.SpreadOf(rate), report.SpreadOf(cpu)
		s.Throughput, s.CPU = report.IntervalOf(rateRatio), report.IntervalOf(cpuRatio)
		r.Steps = append(r.Steps, s)
	}
}

// Errors returns how many calls were not answered right.
func (r *AccessResult) Errors() (n uint64) {
	for _, s := range r.Steps {
		n += s.Errors
	}
	return n
}

// Write writes the result as text.
func (r *AccessResult) Write(w io.Writer) error {
	if r.Rounds == 0 {
		_, err := fmt.Fprintln(w, "no round was finished")
		return err
	}
	mode := "handlers that may block"
	if r.OnLoop {
		mode = "handlers on the loop"
	}
	rows := [][]string{{"", "calls/s", "× no rules", "server CPU µs a call", "× no rules", "errors"}}
	for _, s := range r.Steps {
		rows = append(rows, []string{s.Name, whole(s.CallsPerSecond), s.Throughput.String(),
			fmt.Sprintf("%.2f (%.2f-%.2f)", s.CPUPerCall.Median, s.CPUPerCall.Min, s.CPUPerCall.Max), s.CPU.String(), fmt.Sprint(s.Errors)})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%v, %d bytes, %s, %d rules in the file\n", r.Load, r.Payload, mode, r.Rules)
	report.WriteRows(&b, rows)
	fmt.Fprintf(&b, "Medians of %d rounds of %gs (least-greatest); ratios are of two runs of the same round,\n"+
		"with the 95 %% confidence interval of their median.\n", r.Rounds, r.Seconds)
	if r.Interrupted {
		b.WriteString("Interrupted: figures come from the rounds that were finished.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
