package main

import (
	"errors"
	"io"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/report"
	"credrpc/bench/suite"
)

// A soakCommand has a server serve for long and says whether it grows.
type soakCommand struct {
	Server      string  `default:"eventloop" enum:"reference,eventloop-on-loop,eventloop" help:"Server to start: ${enum}."`
	Minutes     float64 `default:"10" help:"How long the load lasts, without the moments between samples."`
	targetFlags `embed:""`

	Every  time.Duration `default:"0s" help:"Time between two samples; 0 is a 60th of the whole, and from 1 to 60 seconds."`
	WarmUp float64       `default:"20" placeholder:"PERCENT" help:"Share of the samples that does not count: buffers are made, threads started."`

	Rate    float64      `placeholder:"N" help:"Calls a second that arrive at random, whatever the server does. Without it callers wait for their answers."`
	Callers int          `default:"16" help:"Callers at the same time."`
	Sizes   load.Sizes   `default:"32:60,21/4K:20,100-2000:14,64K:5,21/512K:1" placeholder:"REQUEST/ANSWER:WEIGHT,..." help:"Sizes of requests and answers (${default})."`
	UIDs    load.UIDs    `name:"uids" placeholder:"UID,LOW-HIGH,..." help:"Users as whom the callers act, each with a part of them. Needs root."`
	Hostile load.Hostile `placeholder:"KIND=N,..." help:"Hostile callers besides, who are counted and not measured. See credrpc-bench run."`
	Faults  suite.Faults `placeholder:"FAULT,..." help:"What befalls the server meanwhile, one after another, at random: reload, replace, damage, stop, descriptors, or all. Of package server, started with rules of its own."`
	Seed    uint64       `default:"1" help:"Seed of arrivals and sizes."`

	output
}

// Help is what --help shows besides the flags.
func (c *soakCommand) Help() string {
	return `Every answer is compared byte for byte. A server that is started says in it who called, as the kernel told it, and that is compared too; requests and answers need 21 bytes for it. Hostile callers who are denied, spliced, linger or send garbage must never be answered.

Faults: reload sends SIGHUP; replace puts another file in the place of the rules; damage writes half a file over it and then a whole one; stop stops the process (SIGSTOP) for 20 to 200 ms; descriptors lowers its limit of them to what it has for as long. There is one every half a second, but for the end of each sample.

After every sample the server's process is looked at: resident and proportional memory, descriptors, threads, and goroutines if it was started. A robust slope with its 95 % interval says of each "level", "grows" or "too short to say", in units an hour and a call. Only what goes on growing in the second half, and by more than a tolerance in all, grows: 1 MiB of memory, or 2 % of it, 8 descriptors, 8 threads, 16 goroutines. So the longer the load lasts, the slower a leak is found.

Interrupted, it prints what it has. Exit status 1 if something grows, a call was not answered right, somebody was answered who must not be, or the server ended.`
}

// Validate reports flags that do not go together.
func (c *soakCommand) Validate() error {
	if err := c.targetFlags.Validate(); err != nil {
		return err
	}
	switch {
	case c.Socket != "" && c.PID == 0:
		return errors.New("--socket needs --pid: the server's process is what is looked at")
	case len(c.Faults) > 0 && (c.Socket != "" || c.Rules != "" || c.Server == suite.Reference):
		return errors.New("--faults are for package server, started with rules of its own: not with --socket, --rules or --server reference")
	case !(c.Minutes > 0 && c.Minutes <= load.MaxDuration.Minutes()):
		return errors.New("--minutes must be above 0, and at most a week")
	case c.Every < 0:
		return errors.New("--every is not negative")
	case !(c.WarmUp >= 0 && c.WarmUp < 100):
		return errors.New("--warm-up is a share of the samples: 0 to less than 100 percent")
	case !(c.Rate >= 0 && c.Rate <= load.MaxRate):
		return errors.New("--rate must be above 0, and at most ten million")
	}
	config := c.config()
	config.Load.Path, config.Load.Duration = "checked later", config.Every
	return config.Load.Validate()
}

// config returns what is done.
func (c *soakCommand) config() suite.SoakConfig {
	whole := time.Duration(c.Minutes * float64(time.Minute))
	every := c.Every
	if every == 0 {
		every = min(max(whole/60, time.Second), time.Minute)
	}
	s := c.scenario(c.Server)
	s.Load = load.Config{
		Load: load.Load{Batch: 1, Callers: c.Callers}, Payload: 32, Sizes: c.Sizes,
		Seed: c.Seed, UIDs: c.UIDs, Hostile: c.Hostile, Identify: c.Socket == "",
	}
	return suite.SoakConfig{Scenario: s, Rate: c.Rate, Every: every, Samples: max(1, int(whole/every)), WarmUp: c.WarmUp / 100, Faults: c.Faults}
}

// Run has the server serve and prints what became of it. It fails if the server grows
// or ends, or if a call was not answered right.
func (c *soakCommand) Run() error {
	var grown []suite.Growth
	text := func(w io.Writer, r *report.Report) error { return suite.WriteSoak(w, r, grown) }
	return c.measure(text, func(b *bench) (r *report.Report, err error) {
		r, grown, err = b.Soak(b.ctx, c.config())
		return r, err
	})
}
