package load

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Counts says what became of the calls of a group of callers.
type Counts struct {
	Calls       uint64 `json:"calls"`              // answered, and the answer was right
	Failed      uint64 `json:"failed"`             // no answer: a system call failed, or the connection ended
	Refused     uint64 `json:"refused"`            // answered with an error frame
	Wrong       uint64 `json:"wrong"`              // answered with other bytes than those sent
	Mistaken    uint64 `json:"mistaken,omitempty"` // of those wrong: they say that somebody else called
	BacklogFull uint64 `json:"backlog_full"`       // tries to connect that found the backlog full, and were repeated
}

// Errors returns the number of calls that were not answered right.
func (c Counts) Errors() uint64 { return c.Failed + c.Refused + c.Wrong }

// Add adds the counts of other to c.
func (c *Counts) Add(other Counts) {
	c.Calls += other.Calls
	c.Failed += other.Failed
	c.Refused += other.Refused
	c.Wrong += other.Wrong
	c.Mistaken += other.Mistaken
	c.BacklogFull += other.BacklogFull
}

// A Group is what the callers of one kind did together.
type Group struct {
	Counts
	Callers        int     `json:"callers"`
	CallsPerSecond float64 `json:"calls_per_second"`
	// Payload of the calls that were answered right, requests and answers together.
	BytesPerSecond float64 `json:"bytes_per_second"`
	RequestBytes   uint64  `json:"request_bytes"`
	AnswerBytes    uint64  `json:"answer_bytes"`
	Latency        Latency `json:"latency"`      // from the scheduled arrival
	ServiceTime    Latency `json:"service_time"` // from before the first system call
	Phases         *Phases `json:"phases,omitempty"`
	// Histograms of latencies and of service times, in nanoseconds: HdrHistogram
	// V2, compressed, base64. In a closed loop both are the same, and the second is
	// empty.
	Histogram        string `json:"histogram"`
	ServiceHistogram string `json:"service_histogram,omitempty"`
	// FirstError says what became of one of the calls that were not answered right.
	FirstError string `json:"first_error,omitempty"`
	// ErrorKinds has all of those calls, the most frequent kind first.
	ErrorKinds []ErrorKind `json:"errors_by_kind,omitempty"`
}

// An ErrorKind is one way in which calls were not answered right. What the server
// said is quoted.
type ErrorKind struct {
	What  string `json:"what"`
	Count uint64 `json:"count"`
}

// Latency has order statistics in microseconds.
type Latency struct {
	P50  float64 `json:"p50_us"`
	P90  float64 `json:"p90_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p99.9_us"`
	Max  float64 `json:"max_us"`
}

// LatencyOf returns the order statistics of a histogram of nanoseconds. They are
// 0 if it is empty.
func LatencyOf(h *hdrhistogram.Histogram) Latency {
	return Latency{
		P50:  microseconds(h.ValueAtQuantile(50)),
		P90:  microseconds(h.ValueAtQuantile(90)),
		P99:  microseconds(h.ValueAtQuantile(99)),
		P999: microseconds(h.ValueAtQuantile(99.9)),
		Max:  microseconds(h.Max()),
	}
}

func microseconds[T int64 | float64](ns T) float64 { return float64(ns) / float64(time.Microsecond) }

// Phases are the parts of service time. The means add up to that of the service
// time; the p99 do not.
type Phases struct {
	Connect Phase `json:"connect"` // socket(2), connect(2) and waiting for room in the backlog
	Send    Phase `json:"send"`    // until the kernel has the request
	Wait    Phase `json:"wait"`    // until the first bytes of the answer have been read
	Receive Phase `json:"receive"` // until the last
}

// A Phase has microseconds.
type Phase struct {
	Mean float64 `json:"mean_us"`
	P99  float64 `json:"p99_us"`
}

// Offered says what the schedule of an open loop asked for and how it was kept.
type Offered struct {
	Scheduled uint64  `json:"scheduled"`          // arrivals that were due
	PerSecond float64 `json:"offered_per_second"` // that is, the offered rate
	Unstarted uint64  `json:"unstarted"`          // of those, never begun. Their age at the end is in the latency
	// The two parts of latency that are not service time, of all arrivals.
	PacingError Latency `json:"pacing_error"`
	CallerWait  Latency `json:"caller_wait"`
	// Their histograms, as in [Group].
	PacingHistogram     string `json:"pacing_histogram"`
	CallerWaitHistogram string `json:"caller_wait_histogram"`
}

// A StepResult is what happened to the arrivals of one step, and how many calls a
// second were answered right while it lasted: those that arrived earlier too.
type StepResult struct {
	Rate    float64 `json:"rate"`
	Seconds float64 `json:"seconds"`
	Offered
	Group
}

// A UserResult is what the callers of one user did.
type UserResult struct {
	UID uint32 `json:"uid"`
	Group
}

// A Result is what one run found.
type Result struct {
	Load    Load    `json:"load"`
	Payload int     `json:"payload_bytes"`   // the largest of a request
	Sizes   Sizes   `json:"sizes,omitempty"` // of requests and answers, if there is more than Payload
	Seconds float64 `json:"seconds"`         // from the first call's start, or the end of the warm-up, to the last answer of a measured caller
	Group           // the measured callers
	WarmUp  float64 `json:"warm_up_seconds,omitempty"` // before Seconds
	// Interrupted is true if the run ended before its time.
	Interrupted bool `json:"interrupted,omitempty"`
	// Arrivals, Offered and Steps are nil in a closed loop. Steps has those that
	// have begun, if there are several.
	Arrivals *Arrivals    `json:"arrivals,omitempty"`
	Offered  *Offered     `json:"offered,omitempty"`
	Steps    []StepResult `json:"steps,omitempty"`
	// Sleepers are the callers whose calls make the server sleep. It is nil if
	// there were none.
	Sleepers *Group          `json:"sleepers,omitempty"`
	Users    []UserResult    `json:"users,omitempty"`
	Hostile  []HostileResult `json:"hostile,omitempty"` // of the whole run, with the warm-up
	// UserSeconds and SystemSeconds are the processor time of the processes of
	// the measured callers during the run. See getrusage(2).
	UserSeconds   float64 `json:"generator_user_seconds"`
	SystemSeconds float64 `json:"generator_system_seconds"`
}

// Decode returns the latencies of the group as a histogram of nanoseconds.
func (g *Group) Decode() (*hdrhistogram.Histogram, error) { return decode(g.Histogram) }

// DecodeService returns the service times of the group.
func (g *Group) DecodeService() (*hdrhistogram.Histogram, error) {
	if g.ServiceHistogram == "" {
		return g.Decode()
	}
	return decode(g.ServiceHistogram)
}

func decode(text string) (*hdrhistogram.Histogram, error) {
	h, err := hdrhistogram.Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("load: histogram: %w", err)
	}
	return h, nil
}

// A harvest is what the callers of one part did.
type harvest struct {
	Tallies       []*tally // of the steps; one in a closed loop
	Sleepers      *tally
	Ended         time.Duration // when the last measured caller ended
	SleepersEnded time.Duration
	Window        time.Duration // when calls began no more
	User          time.Duration // processor time after the warm-up
	System        time.Duration
	Interrupted   bool
}

// complete reports whether the harvest has what a run of c must have.
func (h *harvest) complete(c *Config) bool {
	steps := 1
	if c.Arrivals != nil {
		steps = len(c.Arrivals.Steps)
	}
	return h != nil && len(h.Tallies) == steps && !slices.Contains(h.Tallies, nil) && (h.Sleepers != nil) == (c.Sleepers > 0)
}

// newResult adds up what the parts of a run did, in the first of them.
func newResult(c *Config, parts []*harvest) (*Result, error) {
	all := parts[0]
	for _, p := range parts[1:] {
		all.merge(p)
	}
	r := &Result{
		Load: c.Load, Sizes: c.Sizes, WarmUp: c.WarmUp.Seconds(),
		Seconds:     max(0, all.Ended-c.WarmUp).Seconds(),
		Interrupted: all.Interrupted,
		UserSeconds: all.User.Seconds(), SystemSeconds: all.System.Seconds(),
	}
	r.Payload, _ = c.sizes().Max()
	var err error
	if r.Group, err = all.total().group(c.Load.Callers, r.Seconds); err != nil {
		return nil, err
	}
	if all.Sleepers != nil {
		g, err := all.Sleepers.group(c.Sleepers, all.SleepersEnded.Seconds())
		if err != nil {
			return nil, err
		}
		r.Sleepers = &g
	}
	if c.Arrivals == nil {
		return r, nil
	}
	r.Arrivals = c.Arrivals
	window := max(0, all.Window-c.WarmUp).Seconds()
	if r.Offered, err = all.total().offered(window); err != nil {
		return nil, err
	}
	return r, r.addSteps(c, all)
}

// addSteps adds the results of the steps that have begun.
func (r *Result) addSteps(c *Config, all *harvest) error {
	if len(all.Tallies) == 1 {
		return nil
	}
	from := c.WarmUp
	for i, step := range c.Arrivals.Steps {
		seconds := min(step.Duration, all.Window-from).Seconds()
		if seconds <= 0 {
			return nil
		}
		group, err := all.Tallies[i].group(c.Load.Callers, seconds)
		if err != nil {
			return err
		}
		offered, err := all.Tallies[i].offered(seconds)
		if err != nil {
			return err
		}
		group.CallsPerSecond = float64(all.Tallies[i].Completed) / seconds
		group.BytesPerSecond = float64(all.Tallies[i].CompletedBytes) / seconds
		r.Steps = append(r.Steps, StepResult{step.Rate, seconds, *offered, group})
		from += step.Duration
	}
	return nil
}

// total returns what happened in all steps.
func (h *harvest) total() *tally {
	t := new(tally)
	for _, step := range h.Tallies {
		t.merge(step)
	}
	return t
}

// merge adds what another part of the same run did. The first has the sleepers.
func (h *harvest) merge(other *harvest) {
	for i, t := range other.Tallies {
		h.Tallies[i].merge(t)
	}
	h.Ended, h.Window = max(h.Ended, other.Ended), max(h.Window, other.Window)
	h.User, h.System = h.User+other.User, h.System+other.System
	h.Interrupted = h.Interrupted || other.Interrupted
}

// group returns what callers did in seconds.
func (t *tally) group(callers int, seconds float64) (Group, error) {
	g := Group{Counts: t.Counts, Callers: callers, RequestBytes: t.RequestBytes, AnswerBytes: t.AnswerBytes}
	if seconds > 0 {
		g.CallsPerSecond = float64(g.Calls) / seconds
		g.BytesPerSecond = float64(g.RequestBytes+g.AnswerBytes) / seconds
	}
	latency := t.Latency
	if latency.Histogram == nil {
		latency = t.Service
	}
	var err error
	if g.Latency, g.Histogram, err = latency.summary(); err != nil {
		return g, err
	}
	if g.ServiceTime, g.ServiceHistogram, err = t.Service.summary(); err != nil {
		return g, err
	}
	if t.Latency.Histogram == nil {
		g.ServiceHistogram = ""
	}
	if t.Phases[0].Histogram != nil {
		g.Phases = &Phases{t.Phases[connecting].phase(), t.Phases[sending].phase(),
			t.Phases[waiting].phase(), t.Phases[receiving].phase()}
	}
	for _, k := range t.Kinds {
		g.ErrorKinds = append(g.ErrorKinds, ErrorKind{visible(k.Text), k.Count})
	}
	if len(g.ErrorKinds) > 0 {
		g.FirstError = g.ErrorKinds[0].What
	}
	slices.SortStableFunc(g.ErrorKinds, func(a, b ErrorKind) int { return cmp.Compare(b.Count, a.Count) })
	return g, nil
}

// offered returns what the schedule asked for in seconds.
func (t *tally) offered(seconds float64) (*Offered, error) {
	o := &Offered{Scheduled: t.Counts.Calls + t.Counts.Errors() + t.Unstarted, Unstarted: t.Unstarted}
	if seconds > 0 {
		o.PerSecond = float64(o.Scheduled) / seconds
	}
	var err error
	if o.PacingError, o.PacingHistogram, err = t.Pacing.summary(); err != nil {
		return nil, err
	}
	o.CallerWait, o.CallerWaitHistogram, err = t.CallerWait.summary()
	return o, err
}

// summary returns the order statistics and the text of a histogram. Without one
// it is an empty one's.
func (h histogram) summary() (Latency, string, error) {
	if h.Histogram == nil {
		h = newHistogram()
	}
	text, err := h.MarshalText()
	if err != nil {
		return Latency{}, "", fmt.Errorf("load: histogram: %w", err)
	}
	return LatencyOf(h.Histogram), string(text), nil
}

// phase returns the figures of a phase, zero without a histogram.
func (h histogram) phase() Phase {
	if h.Histogram == nil {
		return Phase{}
	}
	return Phase{Mean: microseconds(h.Mean()), P99: microseconds(h.ValueAtQuantile(99))}
}

// visible replaces what could command a terminal. Parts quote what servers say; this
// is for parts that do not.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}
