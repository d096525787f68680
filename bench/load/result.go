package load

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Counts says what became of the calls of a group of callers.
type Counts struct {
	Calls       uint64 `json:"calls"`        // answered, and the answer was right
	Failed      uint64 `json:"failed"`       // no answer: a system call failed, or the connection ended
	Refused     uint64 `json:"refused"`      // answered with an error frame
	Wrong       uint64 `json:"wrong"`        // answered with other bytes than those sent
	BacklogFull uint64 `json:"backlog_full"` // tries to connect that found the backlog full, and were repeated
}

// Errors returns the number of calls that were not answered right.
func (c Counts) Errors() uint64 { return c.Failed + c.Refused + c.Wrong }

// Add adds the counts of other to c.
func (c *Counts) Add(other Counts) {
	c.Calls += other.Calls
	c.Failed += other.Failed
	c.Refused += other.Refused
	c.Wrong += other.Wrong
	c.BacklogFull += other.BacklogFull
}

// A Group is what the callers of one kind did together.
type Group struct {
	Counts
	Callers        int     `json:"callers"`
	CallsPerSecond float64 `json:"calls_per_second"`
	Latency        Latency `json:"latency"`
	// Histogram of latencies in nanoseconds: HdrHistogram V2, compressed, base64.
	Histogram string `json:"histogram"`
	// FirstError says what became of one of the calls that were not answered right.
	FirstError string `json:"first_error,omitempty"`
}

// Latency has order statistics in microseconds.
type Latency struct {
	P50  float64 `json:"p50_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p99.9_us"`
	Max  float64 `json:"max_us"`
}

// LatencyOf returns the order statistics of a histogram of nanoseconds. They are
// 0 if it is empty.
func LatencyOf(h *hdrhistogram.Histogram) Latency {
	us := func(ns int64) float64 { return float64(ns) / float64(time.Microsecond) }
	return Latency{
		P50:  us(h.ValueAtQuantile(50)),
		P99:  us(h.ValueAtQuantile(99)),
		P999: us(h.ValueAtQuantile(99.9)),
		Max:  us(h.Max()),
	}
}

// Decode returns the latencies of the group as a histogram of nanoseconds.
func (g *Group) Decode() (*hdrhistogram.Histogram, error) {
	h, err := hdrhistogram.Decode([]byte(g.Histogram))
	if err != nil {
		return nil, fmt.Errorf("load: histogram: %w", err)
	}
	return h, nil
}

// A Result is what one run found.
type Result struct {
	Load    Load    `json:"load"`
	Payload int     `json:"payload_bytes"`
	Seconds float64 `json:"seconds"` // from the first call's start to the last answer of a measured caller
	Group           // the measured callers
	// Sleepers are the callers whose calls make the server sleep. It is nil if
	// there were none.
	Sleepers *Group `json:"sleepers,omitempty"`
	// UserSeconds and SystemSeconds are the processor time of this process
	// during the run. See getrusage(2).
	UserSeconds   float64 `json:"generator_user_seconds"`
	SystemSeconds float64 `json:"generator_system_seconds"`
}

// summarise adds up what callers did in seconds.
func summarise(callers []*caller, seconds float64) (Group, error) {
	g := Group{Callers: len(callers)}
	all := newHistogram()
	for _, c := range callers {
		g.Counts.Add(c.counts)
		all.Merge(c.latency)
		if g.FirstError == "" {
			g.FirstError = c.firstFail
		}
	}
	if seconds > 0 {
		g.CallsPerSecond = float64(g.Calls) / seconds
	}
	g.Latency = LatencyOf(all)
	encoded, err := all.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return g, fmt.Errorf("load: histogram: %w", err)
	}
	g.Histogram = string(encoded)
	return g, nil
}
