package load

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

var (
	// ErrPath reports a socket path that is empty, too long or holds a NUL.
	ErrPath = errors.New("load: not the path of a socket")

	// ErrStuck reports callers that got no answer long after the end of a run.
	ErrStuck = errors.New("load: callers still wait for an answer")
)

// MaxPayload is the largest payload of a call in bytes.
const MaxPayload = 16 << 20

// Setting is what GODEBUG should contain when a process that calls [Run] starts:
// the scheduler then sends no signals to callers that wait in the kernel.
const Setting = "asyncpreemptoff=1"

// otherDescriptors is more than the number of descriptors that a process has
// besides its calls.
const otherDescriptors = 32

// grace is how long after the end of a run callers may wait for the answers to
// their last calls.
const grace = 10 * time.Second

// A Config says what [Run] does. Path and Load are needed.
type Config struct {
	Path     string // of the socket; "@name" is an abstract address
	Load     Load
	Payload  int           // bytes of a call's payload; at most MaxPayload
	Duration time.Duration // when callers start no further batch
	Sleepers int           // callers besides, whose calls make the server sleep; the payload must have a byte for them
}

// Run makes the load and says what became of it. Calls that fail are counted,
// and are no error of Run. The process must be free of other work: see the
// package's documentation.
//
// It returns [ErrPath], an error about the load or the numbers in config, which
// may be more than the descriptor limit allows, and [ErrStuck] if a caller has not ended 10 seconds after the end. Then its
// goroutine still runs, and the process is good for nothing but to exit.
func Run(config Config) (*Result, error) {
	address, ok := sys.MakeAddress(config.Path)
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrPath, config.Path)
	}
	if err := config.validate(); err != nil {
		return nil, err
	}
	if err := config.fits(); err != nil {
		return nil, err
	}
	measured := make([]*caller, config.Load.Callers)
	for i := range measured {
		measured[i] = newCaller(address, config.Load.Batch, config.Payload, awake)
	}
	sleepers := make([]*caller, config.Sleepers)
	for i := range sleepers {
		sleepers[i] = newCaller(address, 1, config.Payload, Sleeping)
	}

	percent := debug.SetGCPercent(-1)
	before := runtime.GOMAXPROCS(len(measured) + len(sleepers) + 2)
	user, system := processTime()
	measuredEnd, sleepersEnd, err := runAll(measured, sleepers, config.Duration)
	if err != nil {
		return nil, err // the world cannot be stopped any more, so nothing is restored
	}
	userEnd, systemEnd := processTime()
	runtime.GOMAXPROCS(before)
	debug.SetGCPercent(percent)

	r := &Result{Load: config.Load, Payload: config.Payload, Seconds: measuredEnd.Seconds(),
		UserSeconds: (userEnd - user).Seconds(), SystemSeconds: (systemEnd - system).Seconds()}
	if r.Group, err = summarise(measured, r.Seconds); err != nil {
		return nil, err
	}
	if len(sleepers) > 0 {
		g, err := summarise(sleepers, sleepersEnd.Seconds())
		if err != nil {
			return nil, err
		}
		r.Sleepers = &g
	}
	return r, nil
}

func (config *Config) validate() error {
	if err := config.Load.Validate(); err != nil {
		return err
	}
	if config.Payload < 0 || config.Payload > MaxPayload {
		return fmt.Errorf("load: a payload of %d bytes is not in 0 to %d", config.Payload, MaxPayload)
	}
	if config.Sleepers < 0 || config.Load.Callers+config.Sleepers > MaxCallers {
		return fmt.Errorf("load: %d sleeping callers are too many", config.Sleepers)
	}
	if config.Sleepers > 0 && config.Payload < 1 {
		return errors.New("load: sleeping calls need a payload")
	}
	return nil
}

// fits reports a load that has more connections open at once than the process
// may have descriptors.
func (config *Config) fits() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("load: descriptor limit: %w", err)
	}
	need := uint64(config.Load.Batch*config.Load.Callers + config.Sleepers + otherDescriptors)
	if need > limit.Cur {
		return fmt.Errorf("load: %v needs %d descriptors and %d are allowed", config.Load, need, limit.Cur)
	}
	return nil
}

// runAll runs all callers at once until duration is over, and returns when the
// last of each kind ended.
func runAll(measured, sleepers []*caller, duration time.Duration) (measuredEnd, sleepersEnd time.Duration, err error) {
	start := make(chan struct{})
	var began time.Time
	var measuredGroup, sleepersGroup sync.WaitGroup
	for _, c := range measured {
		measuredGroup.Go(func() { <-start; c.run(began, duration) })
	}
	for _, c := range sleepers {
		sleepersGroup.Go(func() { <-start; c.run(began, duration) })
	}
	ended := make(chan struct{})
	began = time.Now()
	close(start)
	go func() {
		measuredGroup.Wait()
		measuredEnd = time.Since(began)
		sleepersGroup.Wait()
		sleepersEnd = time.Since(began)
		close(ended)
	}()
	select {
	case <-ended:
		return measuredEnd, sleepersEnd, nil
	case <-time.After(duration + grace):
		return 0, 0, ErrStuck
	}
}

// processTime returns the processor time of this process. See getrusage(2).
func processTime() (user, system time.Duration) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, 0 // it fails for bad arguments only
	}
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
}
