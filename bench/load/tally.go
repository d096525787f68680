package load

import (
	"fmt"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// The times that histograms tell apart. See the package's documentation.
const (
	lowestTime  = 64 // nanoseconds
	longestTime = time.Minute
)

// A histogram holds times in nanoseconds. The zero value holds none and takes
// none.
type histogram struct {
	*hdrhistogram.Histogram
}

func newHistogram() histogram {
	return histogram{hdrhistogram.New(lowestTime, int64(longestTime), 3)}
}

// record adds a time.
func (h histogram) record(d time.Duration) {
	if h.Histogram != nil {
		h.RecordValue(int64(min(d, longestTime))) // which is in range
	}
}

// merge adds the times of other.
func (h *histogram) merge(other histogram) {
	switch {
	case other.Histogram == nil:
	case h.Histogram == nil:
		h.Histogram = other.Clone()
	default:
		h.Merge(other.Histogram)
	}
}

// MarshalText returns the histogram as HdrHistogram V2, compressed, base64; "" if
// it is the zero value.
func (h histogram) MarshalText() ([]byte, error) {
	if h.Histogram == nil {
		return nil, nil
	}
	return h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
}

// UnmarshalText reads what MarshalText returns.
func (h *histogram) UnmarshalText(text []byte) (err error) {
	h.Histogram = nil
	if len(text) > 0 {
		h.Histogram, err = hdrhistogram.Decode(text)
	}
	return err
}

// The phases of a call.
const (
	connecting = iota
	sending
	waiting
	receiving
	phases
)

// A tally is what became of the calls of one caller, and later of many, in one
// step. Its fields are for the JSON between parts.
type tally struct {
	Counts       Counts
	RequestBytes uint64 // of payload, of calls that were answered right
	AnswerBytes  uint64
	Unstarted    uint64 // arrivals that no caller has begun

	// Open loop: what was answered right in the time of the step, whenever it
	// arrived.
	Completed      uint64
	CompletedBytes uint64

	Service    histogram
	Latency    histogram // open loop; in a closed loop it is Service
	Pacing     histogram // open loop
	CallerWait histogram // open loop
	Phases     [phases]histogram

	Kinds []kind // of calls that were not answered right, the first first
}

// A kind is one way in which a call was not answered right.
type kind struct {
	Text  string
	Count uint64
	cause cause
	said  string // by the server
}

// A cause says why a call was not answered right.
type cause struct {
	what  string     // at which step, or what was wrong
	errno unix.Errno // of a system call
	bytes int        // of the answer that arrived, if that is what was wrong
}

// String shows the cause.
func (c cause) String() string {
	switch {
	case c.errno != 0:
		return c.what + ": " + c.errno.Error()
	case c.what == endedEarly:
		return fmt.Sprintf("%s %d bytes", c.what, c.bytes)
	}
	return c.what
}

// newTally returns a tally with the histograms that are wanted.
func newTally(open, withPhases bool) *tally {
	t := &tally{Service: newHistogram()}
	if open {
		t.Latency, t.Pacing, t.CallerWait = newHistogram(), newHistogram(), newHistogram()
	}
	if withPhases {
		for i := range t.Phases {
			t.Phases[i] = newHistogram()
		}
	}
	return t
}

const (
	// maxKinds is the largest number of kinds that a tally tells apart. Nobody
	// tuned it.
	maxKinds = 16

	// otherKind is the text of all others.
	otherKind = "others"

	// endedEarly is what was wrong with an answer that ended too early.
	endedEarly = "the answer ended after"
)

// note counts a call that was not answered right, and what the server said about
// it. It allocates only for a kind that is new: the collector is off.
func (t *tally) note(c cause, said []byte) {
	for i := range t.Kinds {
		if k := &t.Kinds[i]; k.cause == c && k.said == string(said) {
			k.Count++
			return
		}
	}
	if len(t.Kinds) >= maxKinds {
		t.addKind(kind{Text: otherKind, Count: 1})
		return
	}
	k := kind{Text: c.String(), Count: 1, cause: c, said: string(said)}
	if len(said) > 0 {
		k.Text += ": " + strconv.Quote(k.said)
	}
	t.addKind(k)
}

// addKind adds a count to the kind with the same text.
func (t *tally) addKind(more kind) {
	for i := range t.Kinds {
		if k := &t.Kinds[i]; k.Text == more.Text {
			k.Count += more.Count
			return
		}
	}
	t.Kinds = append(t.Kinds, more)
}

// merge adds what other counted.
func (t *tally) merge(other *tally) {
	t.Counts.Add(other.Counts)
	t.RequestBytes += other.RequestBytes
	t.AnswerBytes += other.AnswerBytes
	t.Unstarted += other.Unstarted
	t.Completed += other.Completed
	t.CompletedBytes += other.CompletedBytes
	t.Service.merge(other.Service)
	t.Latency.merge(other.Latency)
	t.Pacing.merge(other.Pacing)
	t.CallerWait.merge(other.CallerWait)
	for i := range t.Phases {
		t.Phases[i].merge(other.Phases[i])
	}
	for _, k := range other.Kinds {
		t.addKind(k)
	}
}
