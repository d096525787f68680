package suite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"credrpc/bench/floor"
	"credrpc/bench/load"
)

// ErrNoStrace reports that strace is not installed.
var ErrNoStrace = errors.New("suite: strace is not installed")

// SystemCalls says how many system calls a server makes a call.
type SystemCalls struct {
	Server  string             `json:"server"`
	Calls   uint64             `json:"calls"` // of the protocol
	PerCall float64            `json:"system_calls_per_call"`
	ByName  map[string]float64 `json:"by_name"` // system calls a call
	Errors  uint64             `json:"errors"`
}

// Strace counts the system calls of servers under a load. Each server runs twice
// under strace, with and without the load, and what it does without, starting
// and stopping, does not count. It returns [ErrNoStrace] where that is missing.
func (b *Bench) Strace(ctx context.Context, servers []string, config load.Config, loops int) ([]SystemCalls, error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return nil, ErrNoStrace
	}
	all, err := variants(servers, loops)
	if err != nil {
		return nil, err
	}
	var results []SystemCalls
	for i, v := range all {
		b.Progress(float64(i)/float64(len(all)), "counting system calls of "+v.Name)
		idle, _, err := b.traced(ctx, strace, v, nil)
		if errors.Is(err, floor.ErrNoCompiler) {
			continue
		}
		if err != nil {
			return results, err
		}
		busy, result, err := b.traced(ctx, strace, v, &config)
		if err != nil {
			return results, err
		}
		s := SystemCalls{Server: v.Name, Calls: result.Calls, Errors: result.Errors(), ByName: map[string]float64{}}
		for name, n := range busy {
			if more := float64(n) - float64(idle[name]); more > 0 && s.Calls > 0 {
				s.ByName[name] = more / float64(s.Calls)
				s.PerCall += s.ByName[name]
			}
		}
		results = append(results, s)
	}
	return results, nil
}

// traced runs a server under strace, with a load unless that is nil, and returns
// its system calls by name.
func (b *Bench) traced(ctx context.Context, strace string, v variant, config *load.Config) (map[string]uint64, *load.Result, error) {
	dir, err := b.directory()
	if err != nil {
		return nil, nil, err
	}
	output := filepath.Join(dir, "strace")
	command := v.command
	v.command = func(b *Bench, ctx context.Context, socket string) ([]string, error) {
		all, err := command(b, ctx, socket)
		return append([]string{strace, "-f", "-c", "-o", output}, all...), err
	}
	server, err := b.start(ctx, v)
	if err != nil {
		return nil, nil, err
	}
	var result *load.Result
	if config != nil {
		if result, err = b.load(ctx, server, *config); err != nil {
			return nil, nil, err
		}
	}
	server.stop() // strace blocks the signal and ends after the server, with its summary
	f, err := os.Open(output)
	if err != nil {
		return nil, nil, fmt.Errorf("suite: strace: %w: %s", err, server.stderr.String())
	}
	defer f.Close()
	counts, err := readSummary(f)
	return counts, result, err
}

// readSummary reads what strace -c prints: columns "% time", "seconds",
// "usecs/call", "calls", "errors", which may be blank, and "syscall".
func readSummary(r io.Reader) (map[string]uint64, error) {
	counts := map[string]uint64{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 || fields[len(fields)-1] == "total" {
			continue
		}
		if n, err := strconv.ParseUint(fields[3], 10, 64); err == nil { // else it is a heading
			counts[fields[len(fields)-1]] += n
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("suite: strace: %w", err)
	}
	if len(counts) == 0 {
		return nil, errors.New("suite: strace printed no counts")
	}
	return counts, nil
}

// rareCall is the number of system calls a call below which a kind is not shown.
const rareCall = 0.005

// WriteSystemCalls writes the counts as text, a line for each server.
func WriteSystemCalls(w io.Writer, l load.Load, duration time.Duration, all []SystemCalls) error {
	if _, err := fmt.Fprintf(w, "system calls a call under %v for %v, traced (tracing slows everything down)\n", l, duration); err != nil {
		return err
	}
	for _, s := range all {
		names := make([]string, 0, len(s.ByName))
		for name, n := range s.ByName {
			if n >= rareCall {
				names = append(names, name)
			}
		}
		slices.SortFunc(names, func(a, b string) int {
			if s.ByName[a] != s.ByName[b] {
				if s.ByName[a] > s.ByName[b] {
					return -1
				}
				return 1
			}
			return strings.Compare(a, b)
		})
		for i, name := range names {
			names[i] = fmt.Sprintf("%s %.2f", name, s.ByName[name])
		}
		if _, err := fmt.Fprintf(w, "%-18s %6.2f  %s (%d calls, %d errors)\n", s.Server, s.PerCall, strings.Join(names, ", "), s.Calls, s.Errors); err != nil {
			return err
		}
	}
	return nil
}
