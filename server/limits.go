package server

import (
	"fmt"
	"io/fs"
	"runtime"
	"time"

	"credrpc/frame"
)

// limits is the configuration with its defaults filled in.
type limits struct {
	onLoop           bool
	allowOtherSender bool
	loops            int
	maxRequest       uint32
	maxResponse      uint32
	maxCalls         int
	maxCallsPerUID   int
	ratePerUID       float64
	burstPerUID      int
	maxBytesPerUID   int64
	requestTimeout   time.Duration
	callTimeout      time.Duration
}

func (s *Server) limits() (limits, error) {
	l := limits{
		onLoop:           s.HandlerOnLoop,
		allowOtherSender: s.AllowOtherSender,
		loops:            orDefault(s.Loops, DefaultLoops()),
		maxRequest:       orDefault(s.MaxRequest, DefaultMaxRequest),
		maxResponse:      orDefault(s.MaxResponse, DefaultMaxResponse),
		maxCalls:         orDefault(s.MaxCalls, DefaultMaxCalls),
		requestTimeout:   orDefault(s.RequestTimeout, DefaultRequestTimeout),
		callTimeout:      orDefault(s.CallTimeout, DefaultCallTimeout),
	}
	l.maxCallsPerUID = orDefault(s.MaxCallsPerUID, min(DefaultMaxCallsPerUID, l.maxCalls))
	l.ratePerUID = s.RatePerUID
	l.burstPerUID = orDefault(s.BurstPerUID, min(max(1, int(s.RatePerUID/10)), MaxBurstPerUID))
	largest := largestCall(l.maxRequest, l.maxResponse)
	l.maxBytesPerUID = orDefault(s.MaxBytesPerUID, max(DefaultMaxBytesPerUID, 8*largest))
	switch {
	case s.Mode&^fs.ModePerm != 0:
		return l, &ConfigError{"Mode", fmt.Sprintf("%#o has more than permission bits", uint32(s.Mode))}
	case l.loops < 0 || l.loops > maxLoops:
		return l, &ConfigError{"Loops", fmt.Sprintf("%d is not between 0 and %d", l.loops, maxLoops)}
	case l.maxRequest > frame.MaxPayload:
		return l, &ConfigError{"MaxRequest", fmt.Sprintf("%d is over frame.MaxPayload, %d", l.maxRequest, frame.MaxPayload)}
	case l.maxResponse > frame.MaxPayload:
		return l, &ConfigError{"MaxResponse", fmt.Sprintf("%d is over frame.MaxPayload, %d", l.maxResponse, frame.MaxPayload)}
	case l.maxCalls < 0:
		return l, &ConfigError{"MaxCalls", "is negative"}
	case l.maxCallsPerUID < 0:
		return l, &ConfigError{"MaxCallsPerUID", "is negative"}
	case l.maxCallsPerUID > l.maxCalls:
		return l, &ConfigError{"MaxCallsPerUID", fmt.Sprintf("%d is over MaxCalls, %d", l.maxCallsPerUID, l.maxCalls)}
	case s.RatePerUID != 0 && !(s.RatePerUID >= MinRatePerUID && s.RatePerUID <= MaxRatePerUID): // or NaN
		return l, &ConfigError{"RatePerUID", fmt.Sprintf("%v is not between one call an hour and %v a second", s.RatePerUID, MaxRatePerUID)}
	case s.BurstPerUID < 0 || s.BurstPerUID > MaxBurstPerUID:
		return l, &ConfigError{"BurstPerUID", fmt.Sprintf("%d is not between 0 and %d", s.BurstPerUID, MaxBurstPerUID)}
	case s.BurstPerUID != 0 && s.RatePerUID == 0:
		return l, &ConfigError{"BurstPerUID", "is set, but RatePerUID, of which it is a part, is 0"}
	case l.maxBytesPerUID < largest:
		return l, &ConfigError{"MaxBytesPerUID", fmt.Sprintf("%d is less than one call may need, %d", l.maxBytesPerUID, largest)}
	case l.requestTimeout < 0:
		return l, &ConfigError{"RequestTimeout", "is negative"}
	case l.callTimeout < 0:
		return l, &ConfigError{"CallTimeout", "is negative"}
	}
	return l, nil
}

// largestCall returns how many bytes the buffers of one call take at the most, the
// kernel's included: a buffer is up to twice as large as what is in it.
func largestCall(maxRequest, maxResponse uint32) int64 {
	return 2*int64(maxRequest) + 2*int64(maxResponse) + 2*keptBuffer + socketBuffer
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// DefaultLoops returns how many event loops a [Server] has without Loops.
func DefaultLoops() int { return loopsFor(runtime.GOMAXPROCS(0)) }

func loopsFor(processors int) int { return min(processors, max(2, processors/8)) }
