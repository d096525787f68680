package cclient

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"credrpc/bench/floor"
	"credrpc/bench/load"

	"github.com/HdrHistogram/hdrhistogram-go"
)

//go:embed src/cclient.c
var source string

// Compile builds the program into dir and returns its path. The file belongs to the
// caller. It returns the errors of [floor.Compile].
func Compile(ctx context.Context, dir string) (path string, err error) {
	path = filepath.Join(dir, "cclient")
	if err := floor.Build(ctx, path, source, "-pthread"); err != nil {
		return "", err
	}
	return path, nil
}

// Command returns the command line of the program for a run.
func Command(program string, config *load.Config) []string {
	return []string{program, config.Path, strconv.Itoa(config.Load.Callers), strconv.Itoa(config.Payload),
		seconds(config.WarmUp), seconds(config.Duration)}
}

// seconds writes a duration for the command line.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// A found is what the program writes.
type found struct {
	load.Counts
	FirstError    string     `json:"first_error"`
	Interrupted   bool       `json:"interrupted"`
	Seconds       float64    `json:"seconds"`
	UserSeconds   float64    `json:"user_seconds"`
	SystemSeconds float64    `json:"system_seconds"`
	Times         [][2]int64 `json:"times"` // nanoseconds, and how many calls took at least as many, and less than the next
}

// Parse returns the result of a run from the last line that the program wrote in it.
func Parse(line []byte, config *load.Config) (*load.Result, error) {
	var f found
	if err := json.Unmarshal(line, &f); err != nil {
		return nil, fmt.Errorf("cclient: %w", err)
	}
	r := &load.Result{
		Load: config.Load, Payload: config.Payload, WarmUp: config.WarmUp.Seconds(), Seconds: f.Seconds,
		Interrupted: f.Interrupted, UserSeconds: f.UserSeconds, SystemSeconds: f.SystemSeconds,
	}
	r.Group = load.Group{Counts: f.Counts, Callers: config.Load.Callers, FirstError: f.FirstError}
	r.RequestBytes = f.Calls * uint64(config.Payload)
	r.AnswerBytes = r.RequestBytes
	if f.Seconds > 0 {
		r.CallsPerSecond = float64(f.Calls) / f.Seconds
		r.BytesPerSecond = float64(r.RequestBytes+r.AnswerBytes) / f.Seconds
	}
	if n := f.Errors(); n > 0 {
		r.ErrorKinds = []load.ErrorKind{{What: f.FirstError, Count: n}}
	}
	// As histograms of package load are.
	h := hdrhistogram.New(64, int64(time.Minute), 3)
	for _, bucket := range f.Times {
		h.RecordValues(min(bucket[0], int64(time.Minute)), bucket[1]) // which is in range
	}
	text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("cclient: histogram: %w", err)
	}
	// A closed loop: latency is service time, and so is its histogram.
	r.Latency, r.Histogram = load.LatencyOf(h), string(text)
	r.ServiceTime = r.Latency
	return r, nil
}
