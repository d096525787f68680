package report

import (
	"encoding/json"
	"io"
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
	Name   string `json:"name"`  // unique
	Kind   string `json:"kind"`  // of several variants of a kind, the fastest is shown for each load
	Cores  int    `json:"cores"` // most cores that it can use at the same time
	Checks Checks `json:"checks_credentials"`
}

// A Report is what a comparison found. Runs may be incomplete: where a server
// lacks a run that another has, the pair does not count.
type Report struct {
	Machine     measure.Machine `json:"machine"`
	Servers     []Server        `json:"servers"` // in the order in which they are shown
	Loads       []load.Load     `json:"loads"`   // in the order in which they are shown
	Rounds      int             `json:"rounds"`  // wanted
	Seconds     float64         `json:"seconds"` // of a run, wanted
	Payload     int             `json:"payload_bytes"`
	Seed        uint64          `json:"seed"` // of the order of the servers
	Interrupted bool            `json:"interrupted"`
	Notices     []string        `json:"notices"` // what is missing and why
	Runs        []Run           `json:"runs"`
	Summaries   []Summary       `json:"summaries"` // see [Report.Summarise]
}

// A Run is one load on one server.
type Run struct {
	Server string `json:"server"` // name
	Round  int    `json:"round"`  // from 0
	load.Result
	// What the server used during the run.
	ServerUserSeconds   float64 `json:"server_user_seconds"`
	ServerSystemSeconds float64 `json:"server_system_seconds"`
	// What the cores of the machine did during the run, summed up.
	MachineBusySeconds float64    `json:"machine_busy_seconds"`
	MachineIdleSeconds float64    `json:"machine_idle_seconds"`
	Bottleneck         Bottleneck `json:"bottleneck"`
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
	case r.Offered != nil && r.Offered.PacingError.P99 > 0 && r.Offered.PacingError.P99 >= lateShare*r.Latency.P99:
		return BoundByGenerator
	case share(r.serverSeconds(), serverCores) >= busyShare:
		return BoundByServer
	case share(r.UserSeconds+r.SystemSeconds, r.Callers) >= busyShare:
		return BoundByGenerator
	case r.MachineIdleSeconds <= idleShare*(r.MachineBusySeconds+r.MachineIdleSeconds):
		return BoundByCores
	}
	return BoundByWaiting
}

// serverSeconds is the processor time of the server.
func (r *Run) serverSeconds() float64 { return r.ServerUserSeconds + r.ServerSystemSeconds }

// othersSeconds is the processor time of everything but the server and the load
// generator.
func (r *Run) othersSeconds() float64 {
	return max(0, r.MachineBusySeconds-r.serverSeconds()-r.UserSeconds-r.SystemSeconds)
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

// Errors returns how many calls of all runs were not answered right.
func (r *Report) Errors() (n uint64) {
	for i := range r.Runs {
		n += r.Runs[i].Errors()
	}
	return n
}

// WriteJSON writes the report to w.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
