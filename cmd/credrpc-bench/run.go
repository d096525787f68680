package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/report"
	"credrpc/bench/suite"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A runCommand makes one load on one server.
type runCommand struct {
	Server      string `default:"eventloop" enum:"floor,reference,eventloop-on-loop,eventloop,gnet,s6,ttrpc,grpc,netrpc" help:"Server to start: ${enum}."`
	targetFlags `embed:""`
	Program     string `placeholder:"FILE" help:"For ttrpc, grpc and netrpc: the program credrpc-peers; without it, it is built from the clone that the working directory is in."`

	Callers  int           `default:"16" help:"Callers at the same time."`
	Batch    int           `default:"1" help:"Closed loop: calls that each caller sends before it collects their answers."`
	Rate     float64       `placeholder:"N" help:"Open loop: calls a second that arrive, whatever the server does."`
	Steps    load.Steps    `placeholder:"RATE:TIME,..." help:"Open loop: rates one after another, such as 10000:5s,20000:5s. Instead of --rate and --seconds."`
	Arrivals string        `default:"constant" enum:"constant,poisson" help:"Open loop: arrivals at even distances or at random (${enum})."`
	Seconds  float64       `default:"10" help:"Length of the measured part."`
	WarmUp   time.Duration `default:"1s" help:"Length of the part before it, which is not counted."`
	Seed     uint64        `default:"1" help:"Seed of arrivals and sizes."`

	Payload *load.Range `placeholder:"BYTES" help:"Bytes of a request, 32 unless given: N, or LOW-HIGH for any of these. A number may have a unit, such as 64K."`
	Answer  *load.Range `placeholder:"BYTES" help:"Bytes of an answer, in the same way; without it the request comes back. The request must have at least 13 bytes."`
	Sizes   load.Sizes  `placeholder:"REQUEST/ANSWER:WEIGHT,..." help:"A mix of sizes instead, such as 32:90,32/1M:10."`

	Pieces  int           `default:"1" help:"Pieces in which a request is sent."`
	Pause   time.Duration `default:"1ms" help:"Pause between pieces."`
	UIDs    load.UIDs     `name:"uids" placeholder:"UID,LOW-HIGH,..." help:"Users as whom the callers act, each with a part of them. Needs root."`
	Hostile load.Hostile  `placeholder:"KIND=N,..." help:"Hostile callers besides, who are counted and not measured. Kinds: slow, half, garbage, early, denied, spliced, linger, deaf; all=N is N of each."`
	Phases  bool          `help:"Measure the phases of a call too, which costs three readings of the clock a call."`

	PProf    string `name:"pprof" placeholder:"FILE" help:"Write a processor profile of the measured part to FILE, for go tool pprof. Of servers in Go that are started, as --trace and --heap. Files are written when the run is over."`
	Trace    string `placeholder:"FILE" help:"Write a trace of the Go runtime in the measured part to FILE, for go tool trace."`
	Heap     string `placeholder:"FILE" help:"Write what lives on the heap after the measured part to FILE, for go tool pprof."`
	Perf     string `placeholder:"FILE" help:"Write what perf record -e cpu-clock -g says of the measured part to FILE, for perf report. Of any server."`
	Syscalls bool   `help:"Count system calls a call in another run, of at most a second, under strace."`

	output
	HGRM string `name:"hgrm" placeholder:"FILE" help:"Write the latencies in microseconds to FILE, as HdrHistogram's plotter reads them, and service times to FILE with -service before its extension."`
}

// Help is what --help shows besides the flags.
func (c *runCommand) Help() string {
	return `Without --rate and --steps callers wait for their answers before they call again (closed loop). With them calls arrive by a schedule and latency counts from the scheduled arrival, also for calls that arrive while the server stalls.

Hostile callers: slow sends a byte every 100 ms; half closes after half of a request; garbage sends a length of 4 GiB; early closes before it reads the answer; denied calls properly as user 65534, which the rules deny (needs root); spliced begins a request as user 20000 and has root send the rest (needs root); linger passes a descriptor whose last close takes as long as it likes; deaf asks for half a MiB and does not read it. Each begins anew a millisecond after its last attempt.

ttrpc, grpc and netrpc keep their connections and check who connected, once. Only a closed loop of one call at a time can be put on them.

Profiles and traces cost the server time: compare figures of runs without.

Interrupted, it prints what it has, and files of the part that was made are complete.`
}

// Validate reports flags that do not go together.
func (c *runCommand) Validate() error {
	if err := c.targetFlags.Validate(); err != nil {
		return err
	}
	switch {
	case c.Program != "" && c.Server != suite.TTRPC && c.Server != suite.GRPC && c.Server != suite.NetRPC:
		return errors.New("--program is for ttrpc, grpc and netrpc")
	case c.Socket != "" && (c.PProf != "" || c.Trace != "" || c.Heap != ""):
		return errors.New("--pprof, --trace and --heap are for a server that is started: one at --socket is not asked; --perf records any process")
	case c.Socket != "" && c.PID == 0 && (c.Perf != "" || c.Syscalls):
		return errors.New("--perf and --syscalls need --pid to know which process the server at --socket is")
	case c.Rate != 0 && c.Steps != nil:
		return errors.New("--steps have their own rates, so --rate is not for them")
	case c.Rate == 0 && c.Steps == nil && c.Arrivals != "constant":
		return errors.New("--arrivals is for an open loop, which needs --rate or --steps")
	case c.Sizes != nil && (c.Payload != nil || c.Answer != nil):
		return errors.New("--sizes has both sizes, so --payload and --answer are not for it")
	case c.Seconds <= 0 || c.Seconds > load.MaxDuration.Seconds():
		return errors.New("--seconds must be above 0, and at most a week")
	}
	config := c.config()
	config.Path = "checked later"
	return config.Validate()
}

// config returns the load, without the socket.
func (c *runCommand) config() load.Config {
	config := load.Config{
		Load:     load.Load{Batch: c.Batch, Callers: c.Callers},
		Duration: time.Duration(c.Seconds * float64(time.Second)),
		WarmUp:   c.WarmUp,
		Payload:  32,
		Sizes:    c.Sizes,
		Seed:     c.Seed,
		Pieces:   c.Pieces,
		Pause:    c.Pause,
		Phases:   c.Phases,
		UIDs:     c.UIDs,
		Hostile:  c.Hostile,
	}
	if c.Payload != nil || c.Answer != nil {
		size := load.Size{Request: load.Range{Low: 32, High: 32}, Answer: c.Answer, Weight: 1}
		if c.Payload != nil {
			size.Request = *c.Payload
		}
		config.Sizes = load.Sizes{size}
	}
	steps := c.Steps
	if c.Rate != 0 {
		steps = load.Steps{{Rate: c.Rate, Duration: config.Duration}}
	}
	if steps != nil {
		config.Arrivals = &load.Arrivals{Poisson: c.Arrivals == "poisson", Steps: steps}
	}
	return config
}

// Run makes the load and prints what came of it. It fails if a call was not
// answered right.
func (c *runCommand) Run() error {
	if err := checkWritable(c.HGRM); err != nil {
		return err
	}
	text := func(w io.Writer, r *report.Report) error {
		return errors.Join(suite.WriteScenario(w, r), writeHGRM(c.HGRM, &r.Runs[0].Group))
	}
	return c.measure(text, func(b *bench) (*report.Report, error) {
		s := c.scenario(c.Server)
		s.Program, s.Load, s.SystemCalls = c.Program, c.config(), c.Syscalls
		s.Profiles = suite.Profiles{CPU: c.PProf, Trace: c.Trace, Heap: c.Heap, Perf: c.Perf}
		return b.Scenario(b.ctx, s)
	})
}

// microsecond is how many units of a histogram are one of the file's.
const microsecond = float64(time.Microsecond)

// writeHGRM writes the histograms of a group to path and a file beside it, unless
// path is empty.
func writeHGRM(path string, g *load.Group) error {
	if path == "" {
		return nil
	}
	extension := filepath.Ext(path)
	beside := strings.TrimSuffix(path, extension) + "-service" + extension
	for file, decode := range map[string]func() (*hdrhistogram.Histogram, error){path: g.Decode, beside: g.DecodeService} {
		h, err := decode()
		if err != nil {
			return err
		}
		err = writeFile(file, func(w io.Writer) error {
			_, err := h.PercentilesPrint(w, 5, microsecond)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// A partCommand is a part of a load, started by the run command.
type partCommand struct{}

// Run obeys its standard input.
func (partCommand) Run() error { return load.ServePart(os.Stdin, os.Stdout) }
