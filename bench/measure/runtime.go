package measure

import (
	"debug/buildinfo"
	"fmt"
)

// A Runtime is what the Go runtime of a server says that it did during a run.
type Runtime struct {
	Allocations    uint64 `json:"allocations"` // objects on the heap, exact
	AllocatedBytes uint64 `json:"allocated_bytes"`

	Collections uint64  `json:"garbage_collections"` // cycles that ended
	GCPauses    float64 `json:"gc_pause_seconds"`    // in which nothing else ran, summed up
	// GCSeconds is the processor time of those cycles, as the runtime estimates it:
	// it counts GOMAXPROCS processors for a pause, and what collected on processors
	// that were idle otherwise. See runtime/metrics, /cpu/classes/gc/total.
	GCSeconds float64 `json:"gc_cpu_seconds"`

	GoroutinesCreated uint64 `json:"goroutines_created"`
	GoroutinesBefore  int    `json:"goroutines_before"`
	GoroutinesAfter   int    `json:"goroutines_after"`
	GOMAXPROCS        int    `json:"gomaxprocs"`

	// How long goroutines that could run waited for one of the GOMAXPROCS, in
	// microseconds; the runtime takes the time of one of eight waits or so. 0 if
	// there was none.
	SchedulerWaits uint64  `json:"scheduler_waits"` // whose time was taken
	SchedulerP50   float64 `json:"scheduler_latency_p50_us"`
	SchedulerP99   float64 `json:"scheduler_latency_p99_us"`

	// LockWait is how long goroutines waited for mutexes, summed up.
	LockWait float64 `json:"mutex_wait_seconds"`
}

// GoVersionOf returns the version of Go that built the program of process pid, and
// "" for a program that is not in Go or that may not be read.
func GoVersionOf(pid int) string {
	info, err := buildinfo.ReadFile(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return ""
	}
	return info.GoVersion
}
