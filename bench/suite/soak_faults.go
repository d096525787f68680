package suite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"credrpc/accessdb"

	"golang.org/x/sys/unix"
)

// A Fault is what befalls a server while it has a load.
type Fault string

// The faults.
const (
	FaultReload      Fault = "reload"      // SIGHUP: the rules are loaded anew
	FaultReplace     Fault = "replace"     // another file takes the place of the rules
	FaultDamage      Fault = "damage"      // half of a file is written over the rules, and SIGHUP; then another file takes its place
	FaultStop        Fault = "stop"        // SIGSTOP, and a moment later SIGCONT
	FaultDescriptors Fault = "descriptors" // no further descriptors for a moment
)

// allFaults is written instead of them all.
const allFaults = "all"

const (
	// faultInterval is the mean time between two faults.
	faultInterval = 500 * time.Millisecond

	// calmShare is the part of a sample at whose end nothing befalls the server, so
	// that it is looked at when it has recovered.
	calmShare = 0.2
)

func faults() Faults {
	return Faults{FaultReload, FaultReplace, FaultDamage, FaultStop, FaultDescriptors}
}

// Faults befall a server one after another, at random. They are written FAULT,… or all.
type Faults []Fault

// UnmarshalText reads the notation of faults.
func (f *Faults) UnmarshalText(text []byte) error {
	*f = nil
	if len(text) == 0 {
		return nil
	}
	for name := range strings.SplitSeq(string(text), ",") {
		switch fault := Fault(name); {
		case name == allFaults:
			*f = append(*f, faults()...)
		case slices.Contains(faults(), fault):
			*f = append(*f, fault)
		default:
			return fmt.Errorf("suite: there is no fault %q; there are %v and all", name, faults())
		}
	}
	return nil
}

// String returns the notation of faults.
func (f Faults) String() string {
	names := make([]string, len(f))
	for i, fault := range f {
		names[i] = string(fault)
	}
	return strings.Join(names, ",")
}

// faultsMet says how many there were of each.
func faultsMet(met map[Fault]int) string {
	var parts []string
	for _, fault := range faults() {
		if n := met[fault]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d times", fault, n))
		}
	}
	return strings.Join(parts, ", ")
}

// disturb has faults befall a server from now on, for all of a sample but its end, and
// counts them in met, which is its own until the function that it returns has returned:
// that ends it, and says what went wrong with a fault.
func (b *Bench) disturb(ctx context.Context, c *SoakConfig, server *target, met map[Fault]int) (calm func() error) {
	if len(c.Faults) == 0 {
		return func() error { return nil }
	}
	ctx, stop := context.WithTimeout(ctx, time.Duration(float64(c.Every)*(1-calmShare)))
	failed := make(chan error)
	go func() {
		d := disturber{SoakConfig: c, pid: server.pid}
		failed <- d.run(ctx, met)
	}()
	return func() error {
		stop()
		return <-failed
	}
}

// A disturber makes faults.
type disturber struct {
	*SoakConfig
	pid   int
	files int // that were made
}

// run makes them until ctx ends.
func (d *disturber) run(ctx context.Context, met map[Fault]int) error {
	for pause(ctx, rand.N(2*faultInterval)) {
		fault := d.Faults[rand.IntN(len(d.Faults))]
		if err := d.make(fault); err != nil && !errors.Is(err, unix.ESRCH) { // that it has ended is noticed elsewhere
			return fmt.Errorf("suite: fault %q: %w", fault, err)
		}
		met[fault]++
	}
	return nil
}

// make makes one, which is over when it returns.
func (d *disturber) make(fault Fault) error {
	switch fault {
	case FaultReload:
		return unix.Kill(d.pid, unix.SIGHUP)
	case FaultReplace:
		return d.replace()
	case FaultDamage:
		return errors.Join(d.damage(), unix.Kill(d.pid, unix.SIGHUP), d.moment(), d.replace())
	case FaultStop:
		return errors.Join(unix.Kill(d.pid, unix.SIGSTOP), d.moment(), unix.Kill(d.pid, unix.SIGCONT))
	}
	return d.shorten()
}

// moment is how long some faults last. It returns nil.
func (d *disturber) moment() error {
	time.Sleep(20*time.Millisecond + rand.N(180*time.Millisecond))
	return nil
}

// replace puts another file in the place of the rules, with the same verdicts.
func (d *disturber) replace() error {
	d.files++
	return d.writeOpenRules(d.Rules, accessdb.Rule{Key: "uid/" + strconv.Itoa(1_000_000+d.files), Decision: accessdb.Deny})
}

// damage overwrites the file of rules in place and leaves half of it.
func (d *disturber) damage() error {
	info, err := os.Stat(d.Rules)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(d.Rules, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, info.Size()/4))
	return errors.Join(err, f.Truncate(info.Size()/2), f.Close())
}

// shorten leaves the server no further descriptors for a moment.
func (d *disturber) shorten() error {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.pid))
	if err != nil {
		return errors.Join(unix.ESRCH, err)
	}
	var before unix.Rlimit
	if err := unix.Prlimit(d.pid, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		return err
	}
	short := unix.Rlimit{Cur: min(before.Cur, uint64(len(open))), Max: before.Max}
	return errors.Join(unix.Prlimit(d.pid, unix.RLIMIT_NOFILE, &short, nil), d.moment(), unix.Prlimit(d.pid, unix.RLIMIT_NOFILE, &before, nil))
}

// pause waits, and reports false if ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
