package load

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Misdeed is what a hostile caller does, again and again.
type Misdeed string

// The misdeeds.
const (
	Slow    Misdeed = "slow"    // sends a request a byte at a time
	Half    Misdeed = "half"    // sends half of a request and closes
	Garbage Misdeed = "garbage" // sends a length of 4 GiB and other bytes that are no request
	Early   Misdeed = "early"   // closes before it reads the answer
	Denied  Misdeed = "denied"  // calls properly as a user that rules may deny
	Spliced Misdeed = "spliced" // connects and begins a request as a user, and root sends the rest, or all of it
	Linger  Misdeed = "linger"  // passes a descriptor whose last close takes as long as its peer likes
	Deaf    Misdeed = "deaf"    // asks for an answer of half a MiB, does not read, and closes after two seconds
)

// misdeeds are all.
func misdeeds() []Misdeed {
	return []Misdeed{Slow, Half, Garbage, Early, Denied, Spliced, Linger, Deaf}
}

// misdeedNames lists them for a reader.
func misdeedNames() string {
	var names []string
	for _, misdeed := range misdeeds() {
		names = append(names, string(misdeed))
	}
	return strings.Join(names, ", ")
}

// allMisdeeds is written instead of a misdeed for so many callers of each.
const allMisdeeds = "all"

// Hostile says how many hostile callers there are beside the measured ones, and
// who. It is written MISDEED=CALLERS,… or all=CALLERS.
type Hostile []HostileCallers

// HostileCallers are those of one misdeed.
type HostileCallers struct {
	Misdeed Misdeed
	Callers int
}

// Nobody is the user as whom callers are denied: nobody on Debian and most
// others. See adduser.conf(5).
const Nobody = 65534

const (
	// slowPause is the time between two bytes of a slow caller.
	slowPause = 100 * time.Millisecond

	// hostilePause is the time between two attempts of a hostile caller, so that
	// it is a nuisance and no flood.
	hostilePause = time.Millisecond
)

// ParseHostile reads the notation of hostile callers.
func ParseHostile(s string) (Hostile, error) {
	var all Hostile
	for text := range strings.SplitSeq(s, ",") {
		name, number, _ := strings.Cut(text, "=")
		callers, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("load: %q is not MISDEED=CALLERS, such as slow=10", text)
		}
		if name != allMisdeeds {
			all = append(all, HostileCallers{Misdeed(name), callers})
			continue
		}
		for _, m := range misdeeds() {
			all = append(all, HostileCallers{m, callers})
		}
	}
	return all, all.validate()
}

func (h Hostile) validate() error {
	total := 0
	for i, callers := range h {
		if !slices.Contains(misdeeds(), callers.Misdeed) {
			return fmt.Errorf("load: hostile callers that are %q do not exist; there are %s, and %s", callers.Misdeed, misdeedNames(), allMisdeeds)
		}
		if callers.Callers < 1 || callers.Callers > MaxCallers {
			return fmt.Errorf("load: %d hostile callers that are %s are not in 1 to %d", callers.Callers, callers.Misdeed, MaxCallers)
		}
		for _, other := range h[:i] {
			if other.Misdeed == callers.Misdeed {
				return fmt.Errorf("load: hostile callers that are %s are named twice", callers.Misdeed)
			}
		}
		total += callers.Callers
	}
	if total > MaxCallers {
		return fmt.Errorf("load: %d hostile callers are more than %d", total, MaxCallers)
	}
	return nil
}

// Denies reports whether callers act as [Nobody], to be denied.
func (h Hostile) Denies() bool { return h.has(Denied) }

// ActsAsOthers reports whether callers act as other users, which needs root.
func (h Hostile) ActsAsOthers() bool { return h.has(Denied) || h.has(Spliced) }

func (h Hostile) has(m Misdeed) bool {
	return slices.ContainsFunc(h, func(c HostileCallers) bool { return c.Misdeed == m })
}

// String returns the notation that [ParseHostile] reads.
func (h Hostile) String() string {
	all := make([]string, len(h))
	for i, callers := range h {
		all[i] = string(callers.Misdeed) + "=" + strconv.Itoa(callers.Callers)
	}
	return strings.Join(all, ",")
}

// UnmarshalText reads the notation of hostile callers.
func (h *Hostile) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*h = nil
		return nil
	}
	parsed, err := ParseHostile(string(text))
	if err != nil {
		return err
	}
	*h = parsed
	return nil
}

// MarshalText returns the notation of hostile callers, "" for none.
func (h Hostile) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// A HostileResult is what came of the attempts of hostile callers of one misdeed.
type HostileResult struct {
	Misdeed     Misdeed `json:"misdeed"`
	Callers     int     `json:"callers"`
	Attempts    uint64  `json:"attempts"`     // connections that were made
	Answered    uint64  `json:"answered"`     // as if nothing were wrong
	Refused     uint64  `json:"refused"`      // with an error frame
	Ended       uint64  `json:"ended"`        // by the server, without a word
	Left        uint64  `json:"left"`         // by the caller, as it meant to or since the run was over
	Unconnected uint64  `json:"unconnected"`  // connections that could not be made, no attempts
	BacklogFull uint64  `json:"backlog_full"` // of those, because the backlog was full
	// FirstRefusal is what the server said first.
	FirstRefusal string `json:"first_refusal,omitempty"`
}

func (r *HostileResult) add(other *HostileResult) {
	r.Attempts += other.Attempts
	r.Answered += other.Answered
	r.Refused += other.Refused
	r.Ended += other.Ended
	r.Left += other.Left
	r.Unconnected += other.Unconnected
	r.BacklogFull += other.BacklogFull
	if r.FirstRefusal == "" {
		r.FirstRefusal = other.FirstRefusal
	}
}
