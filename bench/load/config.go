package load

import (
	"errors"
	"fmt"
	"os"
	"time"

	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// ErrPath reports a socket path that is empty, too long or holds a NUL.
var ErrPath = errors.New("load: not the path of a socket")

// ErrNotRoot reports callers that shall act as other users, which only root may.
var ErrNotRoot = errors.New("load: callers that act as other users need root")

const (
	// MaxDuration is the longest that a run, a warm-up or a step may last.
	MaxDuration = 7 * 24 * time.Hour

	// MaxPieces is the largest number of pieces of a request.
	MaxPieces = 10_000
)

// IdentifiedSize is the least size of requests and answers of calls whose answers say
// who called.
const IdentifiedSize = identityEnd

// otherDescriptors is more than the number of descriptors that a process has
// besides its calls.
const otherDescriptors = 32

// A Config says what a run does. Path and Load are needed.
type Config struct {
	Path     string // of the socket; "@name" is an abstract address
	Load     Load
	Payload  int           // bytes of a request and its answer, at most MaxPayload, unless there are Sizes
	Duration time.Duration // closed loop: when callers start no further batch
	Sleepers int           // closed-loop callers besides, whose calls make the server sleep; Payload must have a byte for them

	// WarmUp is the time before Duration, or before the first step, whose calls
	// are made and not counted.
	WarmUp time.Duration
	// Arrivals makes an open loop, with one call at a time for each caller, and
	// takes the place of Duration.
	Arrivals *Arrivals
	Sizes    Sizes
	Seed     uint64        // of sizes and Poisson arrivals
	Pieces   int           // in which a request is sent; 0 is 1
	Pause    time.Duration // between pieces
	Phases   bool          // measure them

	// Identities has the callers act as so many users in turn, another for each call:
	// numbers from FirstIdentity on. It needs root.
	Identities int

	// Identify has every answer say who called, and the callers verify it. Sizes must
	// have room for that: see IdentifiedSize.
	Identify bool

	// What needs parts. See [Distribute].
	UIDs    UIDs
	Hostile Hostile
}

// Length is how long the measured part of a run lasts, without what calls take
// that have begun.
func (c *Config) Length() time.Duration {
	if c.Arrivals != nil {
		return c.Arrivals.Steps.duration()
	}
	return c.Duration
}

// sizes returns Sizes, or those that Payload stands for.
func (c *Config) sizes() Sizes {
	if len(c.Sizes) > 0 {
		return c.Sizes
	}
	return fixed(c.Payload)
}

// Size returns the size of requests and answers, if all have the same one.
func (c *Config) Size() (bytes int, ok bool) {
	x, ok := c.sizes().single()
	return x.request, ok
}

// Validate reports numbers and combinations that make no sense. It returns
// [ErrPath] and [ErrNotRoot] among others.
func (c *Config) Validate() error {
	if _, ok := sys.MakeAddress(c.Path); !ok {
		return fmt.Errorf("%w: %q", ErrPath, c.Path)
	}
	if err := c.Load.Validate(); err != nil {
		return err
	}
	if err := c.sizes().validate(); err != nil {
		return err
	}
	if c.WarmUp < 0 || c.WarmUp > MaxDuration || c.Duration < 0 || c.Duration > MaxDuration {
		return fmt.Errorf("load: a run of %v and a warm-up of %v are not in 0 to %v", c.Duration, c.WarmUp, MaxDuration)
	}
	if c.Pieces < 0 || c.Pieces > MaxPieces || c.Pause < 0 || c.Pause > time.Minute {
		return fmt.Errorf("load: %d pieces with pauses of %v are not 1 to %d with at most a minute", c.Pieces, c.Pause, MaxPieces)
	}
	if c.Sleepers < 0 || c.Load.Callers+c.Sleepers > MaxCallers {
		return fmt.Errorf("load: %d sleeping callers are too many", c.Sleepers)
	}
	if c.Sleepers > 0 && (c.Payload < 1 || len(c.Sizes) > 0) {
		return errors.New("load: sleeping calls need a payload of one size")
	}
	if least := c.sizes().least(); c.Identify && (c.Sleepers > 0 || least < IdentifiedSize) {
		return fmt.Errorf("load: answers that say who called need requests and answers of %d bytes, and not %d, of callers that are awake", IdentifiedSize, least)
	}
	if c.Arrivals != nil {
		if err := c.Arrivals.Steps.validate(); err != nil {
			return err
		}
		if c.Load.Batch != 1 {
			return fmt.Errorf("load: %v has batches, and in an open loop every call has its own arrival", c.Load)
		}
	}
	return c.validateUsers()
}

// validateUsers looks at who calls.
func (c *Config) validateUsers() error {
	if err := c.Hostile.validate(); err != nil {
		return err
	}
	if c.Identities < 0 || c.Identities > MaxIdentities {
		return fmt.Errorf("load: callers that act as %d users in turn; it is 0 to %d", c.Identities, MaxIdentities)
	}
	if c.Identities > 0 && len(c.UIDs) > 0 {
		return errors.New("load: callers act as users of their own or as all in turn, not both")
	}
	if len(c.UIDs) > c.Load.Callers {
		return fmt.Errorf("load: %d callers cannot act as %d users; each needs one", c.Load.Callers, len(c.UIDs))
	}
	if (len(c.UIDs) > 0 || c.Identities > 0 || c.Hostile.ActsAsOthers()) && os.Geteuid() != 0 {
		return fmt.Errorf("%w, and this process has uid %d", ErrNotRoot, os.Geteuid())
	}
	return nil
}

// fits reports a load that has more connections open at once than the process
// may have descriptors.
func (c *Config) fits() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("load: descriptor limit: %w", err)
	}
	need := uint64(c.Load.Batch*c.Load.Callers + c.Sleepers + otherDescriptors)
	if need > limit.Cur {
		return fmt.Errorf("load: %v needs %d descriptors and %d are allowed", c.Load, need, limit.Cur)
	}
	return nil
}
