package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/pprof"
	"runtime/trace"
	"time"
)

// MaxProfile is the longestText that a profile may take.
const MaxProfile = time.Minute

// longestText is MaxProfile as operators write it.
const longestText = "60s"

// A limitedBuffer keeps what is written as long as it fits into an answer.
type limitedBuffer struct {
	bytes.Buffer
	over bool
}

var errProfileTooLarge = fmt.Errorf("pprof: the profile is larger than %d bytes; ask for a shorter time", maxResponse)

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.over = b.over || len(p) > maxResponse-b.Len(); b.over {
		return 0, errProfileTooLarge
	}
	return b.Buffer.Write(p)
}

// timedProfile answers what the process does for some time. It stops early when the
// operator hangs up.
func (h *Handler) timedProfile(ctx context.Context, _ []byte, arguments []string) ([]byte, error) {
	kinds := map[string]struct {
		start func(*limitedBuffer) error
		stop  func()
	}{
		"cpu":   {func(b *limitedBuffer) error { return pprof.StartCPUProfile(b) }, pprof.StopCPUProfile},
		"trace": {func(b *limitedBuffer) error { return trace.Start(b) }, trace.Stop},
	}
	kind, known := kinds[arguments[0]]
	if !known {
		return nil, fmt.Errorf("pprof %q: want %s", arguments[0], h.usages("pprof"))
	}
	duration, err := time.ParseDuration(arguments[1])
	if err != nil || duration <= 0 || duration > MaxProfile {
		return nil, fmt.Errorf("pprof %s %q: want a duration up to %s, such as 5s", arguments[0], arguments[1], longestText)
	}
	return h.exclusively(func(b *limitedBuffer) error {
		if err := kind.start(b); err != nil {
			return fmt.Errorf("pprof %s: %w", arguments[0], err)
		}
		defer kind.stop()
		select {
		case <-time.After(duration):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// profile answers what there is now.
func (h *Handler) profile(_ context.Context, _ []byte, arguments []string) ([]byte, error) {
	name := arguments[0]
	if name != "heap" && name != "goroutine" {
		return nil, fmt.Errorf("pprof %q: want %s", name, h.usages("pprof"))
	}
	return h.exclusively(func(b *limitedBuffer) error { return pprof.Lookup(name).WriteTo(b, 0) })
}

// exclusively returns what make writes, unless another profile is being made.
func (h *Handler) exclusively(make func(*limitedBuffer) error) ([]byte, error) {
	if !h.profiling.CompareAndSwap(false, true) {
		return nil, errors.New("pprof: another profile is being made; try again when it is done")
	}
	defer h.profiling.Store(false)
	b := new(limitedBuffer)
	if err := make(b); err != nil {
		return nil, err
	}
	if b.over {
		return nil, errProfileTooLarge
	}
	return b.Bytes(), nil
}
