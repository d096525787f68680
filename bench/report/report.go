package report

import (
	"time"

	"credrpc/bench/load"
	"credrpc/bench/measure"
)

// The kinds of servers that others are compared with.
const (
	KindFloor     = "floor"
	KindReference = "reference"
)

// A Server is one that takes part.
type Server struct {
	Name    string `json:"name"`  // unique
	Kind    string `json:"kind"`  // of several variants of a kind, the fastest is shown for each load
	Cores   int    `json:"cores"` // most cores that it can use at the same time
	Checks  Checks `json:"checks_credentials"`
	Against string `json:"against,omitempty"` // name of the server that it is compared with, apart from floor and reference
	// GoVersion built its program, "" if it is not in Go, or may not be read.
	GoVersion string `json:"go_version,omitempty"`
}

// A Setting is what was chosen for a report and is the same for all of its runs.
type Setting struct {
	Name  string `json:"name"` // such as "rules in the file"
	Value string `json:"value"`
}

// An Axis is what changes from run to run of a report, besides server and load:
// the variable of a curve.
type Axis struct {
	Name        string `json:"name"`           // such as "payload"
	Unit        string `json:"unit,omitempty"` // of its values, such as "bytes"
	Logarithmic bool   `json:"logarithmic"`    // how it is best shown
}

// A Report is what one benchmark found. Runs may be incomplete: where a server
// lacks a run that another has, the pair does not count.
type Report struct {
	Name        string          `json:"name"`            // of the benchmark, such as "quick"; unique within a file
	Title       string          `json:"title,omitempty"` // what it measures, in a few words
	Machine     measure.Machine `json:"machine"`
	Settings    []Setting       `json:"settings,omitempty"`
	Servers     []Server        `json:"servers"`        // in the order in which they are shown
	Loads       []load.Load     `json:"loads"`          // in the order in which they are shown
	Axis        *Axis           `json:"axis,omitempty"` // of [Run.At]; nil if there is none
	Rounds      int             `json:"rounds"`         // wanted
	Seconds     float64         `json:"seconds"`        // of a run, wanted
	Payload     int             `json:"payload_bytes"`  // if it is the same in all runs
	Seed        uint64          `json:"seed"`           // of the order of the servers
	Interrupted bool            `json:"interrupted"`
	Notices     []string        `json:"notices"`            // what is missing and why
	Findings    []string        `json:"findings,omitempty"` // what was concluded, in sentences
	Runs        []Run           `json:"runs"`
	Summaries   []Summary       `json:"summaries"`       // see [Report.Summarise]
	Pairs       []*Pair         `json:"pairs,omitempty"` // see [Report.Summarise]
	// What the machine waited for, before the first run and after the last; nil
	// where the kernel does not say.
	PressureBefore *measure.Pressure `json:"pressure_before,omitempty"`
	PressureAfter  *measure.Pressure `json:"pressure_after,omitempty"`
}

// A Run is one load on one server.
type Run struct {
	Server string `json:"server"` // name
	Round  int    `json:"round"`  // from 0
	// At is the run's value of the report's axis.
	At float64 `json:"at,omitempty"`
	load.Result
	// What the server used during the run.
	ServerUserSeconds   float64 `json:"server_user_seconds"`
	ServerSystemSeconds float64 `json:"server_system_seconds"`
	// What the cores of the machine did during the run, summed up.
	MachineBusySeconds float64    `json:"machine_busy_seconds"`
	MachineIdleSeconds float64    `json:"machine_idle_seconds"`
	Bottleneck         Bottleneck `json:"bottleneck"`
	// Process is what the server's process used in the measured part of the run,
	// nil if only the processor time is known.
	Process *measure.Usage `json:"server_process,omitempty"`
	// Runtime is what the Go runtime of the server did during the run, nil if it was
	// not asked.
	Runtime *measure.Runtime `json:"server_runtime,omitempty"`
	// SystemCalls are those of the server a call, by name: counted in another run of
	// the same load, which is slower. nil if they were not counted.
	SystemCalls map[string]float64 `json:"system_calls_per_call,omitempty"`
	// Idle says what connections cost that sent nothing during the run, nil if there
	// were none.
	Idle *Idle `json:"idle,omitempty"`
}

// An Idle is what connections cost that send nothing, and what became of them. The
// kernel's memory is that of both ends.
type Idle struct {
	load.Held
	Waited       bool           `json:"waited"`              // until the server ended them; else their holder did
	Before       measure.Memory `json:"memory_before"`       // of the server, with none
	During       measure.Memory `json:"memory_during"`       // after the run with all
	KernelBefore uint64         `json:"kernel_bytes_before"` // see [measure.KernelObjects]; 0 if unknown
	KernelDuring uint64         `json:"kernel_bytes_during"` // when all were open
}

// A Bottleneck is what decided how fast the calls of a run went. See the
// package's documentation.
type Bottleneck string

// The bottlenecks.
const (
	BoundByServer    Bottleneck = "server"
	BoundByGenerator Bottleneck = "generator"
	BoundByCores     Bottleneck = "cores"
	BoundByWaiting   Bottleneck = "waiting"
)

const (
	busyShare = 0.85 // of the cores that a side can use; from here on it counts as busy
	idleShare = 0.10 // of the machine's cores; up to here the machine counts as busy
	lateShare = 0.50 // of the latency's p99; from here on the generator counts as late
)

// Judge returns the bottleneck of r: serverCores is how many cores the server
// can use, machineCores how many there are.
func (r *Run) Judge(serverCores, machineCores int) Bottleneck {
	share := func(seconds float64, cores int) float64 {
		return seconds / (r.Seconds * float64(max(1, min(cores, machineCores))))
	}
	switch {
	case r.Seconds <= 0:
		return BoundByWaiting
	case r.Late():
		return BoundByGenerator
	case share(r.serverSeconds(), serverCores) >= busyShare:
		return BoundByServer
	case share(r.callersSeconds(), r.Callers) >= busyShare:
		return BoundByGenerator
	case r.MachineIdleSeconds <= idleShare*(r.MachineBusySeconds+r.MachineIdleSeconds):
		return BoundByCores
	}
	return BoundByWaiting
}

// Late reports whether the generator of an open loop was so late that the latencies
// are its own rather than the server's.
func (r *Run) Late() bool {
	return r.Offered != nil && r.Offered.PacingError.P99 > 0 && r.Offered.PacingError.P99 >= lateShare*r.Latency.P99
}

// Resident returns the resident memory of the server in bytes, and false if nobody
// looked: after the run, or when connections that send nothing were open beside it.
func (r *Run) Resident() (bytes float64, known bool) {
	switch {
	case r.Process != nil:
		return float64(r.Process.MemoryAfter.RSS), true
	case r.Idle != nil:
		return float64(r.Idle.During.RSS), true
	}
	return 0, false
}

// serverSeconds is the processor time of the server.
func (r *Run) serverSeconds() float64 { return r.ServerUserSeconds + r.ServerSystemSeconds }

// othersSeconds is the processor time of everything but the server and the load
// generator.
func (r *Run) othersSeconds() float64 {
	return max(0, r.MachineBusySeconds-r.serverSeconds()-r.callersSeconds())
}

// microsecondsPerCall is seconds divided by the calls of the run, in
// microseconds. Calls that failed cost too, and count.
func (r *Run) microsecondsPerCall(seconds float64) float64 {
	calls := r.Calls + r.Errors()
	if calls == 0 {
		return 0
	}
	return seconds / float64(calls) * float64(time.Second/time.Microsecond)
}

// ServerPerCall is the server's processor time a call, in microseconds.
func (r *Run) ServerPerCall() float64 { return r.microsecondsPerCall(r.serverSeconds()) }

// CallersPerCall is the processor time of the callers a call, in microseconds.
func (r *Run) CallersPerCall() float64 { return r.microsecondsPerCall(r.callersSeconds()) }

// callersSeconds is the processor time of the callers.
func (r *Run) callersSeconds() float64 { return r.UserSeconds + r.SystemSeconds }

// Errors returns how many calls of all runs were not answered right.
func (r *Report) Errors() (n uint64) {
	for i := range r.Runs {
		n += r.Runs[i].Errors()
	}
	return n
}
