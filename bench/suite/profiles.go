package suite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"credrpc/bench/probe"
)

// Profiles are files about the server that a run makes; those that are empty are not
// made. They are there, complete, when the run is over, or not at all.
type Profiles struct {
	// What a Go server writes itself. See package probe.
	CPU, Trace, Heap string
	// Perf is what perf-record(1) writes about any server, with its stacks.
	Perf string
}

// ofRuntime reports whether any is the Go runtime's.
func (p *Profiles) ofRuntime() bool { return p.CPU != "" || p.Trace != "" || p.Heap != "" }

// profiles are those that are made in a run, in the benchmark's own directory.
type profiles struct {
	files    probe.Files
	perf     *recorder         // nil: not asked for
	wanted   map[string]string // where they shall be, by where they are made
	complete bool              // they were made
}

// prepare returns the profiles of a run, which are ready to begin, after a look
// at whether they can be written where they are wanted. Whoever has them calls
// discard in the end.
func (b *Bench) prepare(wanted *Profiles, server *target) (*profiles, error) {
	dir, err := b.directory()
	if err != nil {
		return nil, err
	}
	p := &profiles{wanted: map[string]string{}}
	var perfFile string
	for _, file := range []struct {
		name, wanted string
		made         *string
	}{
		{"cpu", wanted.CPU, &p.files.CPUProfile}, {"trace", wanted.Trace, &p.files.Trace},
		{"heap", wanted.Heap, &p.files.Heap}, {"perf", wanted.Perf, &perfFile},
	} {
		if file.wanted == "" {
			continue
		}
		*file.made = filepath.Join(dir, file.name+".profile")
		if p.wanted[*file.made], err = writable(file.wanted); err != nil {
			return nil, err
		}
	}
	if perfFile != "" {
		if p.perf, err = startPerf(server.pid, perfFile); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// begin begins what the server does not do itself.
func (p *profiles) begin() error {
	if p.perf == nil {
		return nil
	}
	return p.perf.tell("enable")
}

// end ends it.
func (p *profiles) end() error {
	if p.perf == nil {
		return nil
	}
	return p.perf.tell("disable")
}

// publish puts the files where they are wanted, if they were made.
func (p *profiles) publish() error {
	if !p.complete {
		return nil
	}
	if p.perf != nil {
		if err := p.perf.finish(); err != nil {
			return err
		}
	}
	var errs []error
	for made, wanted := range p.wanted {
		errs = append(errs, publish(made, wanted))
	}
	return errors.Join(errs...)
}

// discard ends what still runs.
func (p *profiles) discard() {
	if p.perf != nil {
		p.perf.kill()
	}
}

// writable returns the file that path leads to, after a look at whether it can be
// written.
func writable(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return "", fmt.Errorf("suite: %s is a directory", path)
	case err == nil && !info.Mode().IsRegular():
		return path, nil
	case err == nil:
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return "", fmt.Errorf("suite: %w", err)
		}
	}
	f, err := beside(path)
	if err != nil {
		return "", err
	}
	return path, errors.Join(f.Close(), os.Remove(f.Name()))
}

// beside makes a file beside path that is to become it.
func beside(path string) (*os.File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".credrpc-bench-")
	if err != nil {
		return nil, fmt.Errorf("suite: %s cannot be written: %w", path, err)
	}
	return f, nil
}

// publish copies a file. Where it goes to, the old file or none is there before,
// and the whole new one after; a device or a pipe is written to.
func publish(made, wanted string) error {
	from, err := os.Open(made)
	if err != nil {
		return fmt.Errorf("suite: %w", err)
	}
	defer from.Close()
	if info, err := os.Stat(wanted); err == nil && !info.Mode().IsRegular() {
		to, err := os.OpenFile(wanted, os.O_WRONLY, 0)
		if err != nil {
			return fmt.Errorf("suite: %w", err)
		}
		return copyInto(to, from)
	}
	to, err := beside(wanted)
	if err != nil {
		return err
	}
	if err = copyInto(to, from); err == nil {
		err = os.Rename(to.Name(), wanted)
	}
	if err != nil {
		os.Remove(to.Name())
		return fmt.Errorf("suite: %w", err)
	}
	return nil
}

// copyInto copies from and closes to.
func copyInto(to, from *os.File) error {
	_, err := io.Copy(to, from)
	return errors.Join(err, to.Close())
}
