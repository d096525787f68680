package suite

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"

	"credrpc/bench/load"
)

// generatorGrace is how long after the end of a load its generator may take to end.
// It is longer than callers wait for their last answers.
const generatorGrace = 20 * time.Second

// drive makes a load on a server and says what became of it; d is told what
// happens, as by [load.Distribute].
func (b *Bench) drive(ctx context.Context, t *target, config load.Config, d load.Distribution) (*load.Result, error) {
	config.Path = t.socket
	if t.generator != nil {
		last, err := generate(ctx, t.generator(t.socket, config), d, config.WarmUp+config.Length())
		if err != nil {
			return nil, err
		}
		return t.result(last, &config)
	}
	d.Command = b.partCommand
	return load.Distribute(ctx, config, d)
}

// partCommand returns a command that is a part of a load. The file is named as the
// child names its own: a user that may not look into this process may run it.
func (b *Bench) partCommand() *exec.Cmd { return exec.Command("/proc/self/exe", "part") }

// result is what the generator of the variant says in its last line.
func (v *variant) result(last []byte, config *load.Config) (*load.Result, error) {
	if v.parse != nil {
		return v.parse(last, config)
	}
	var result load.Result
	if err := json.Unmarshal(last, &result); err != nil {
		return nil, fmt.Errorf("suite: load generator: %w", err)
	}
	return &result, nil
}

// generate runs the load generator of another program, which lasts as long as length
// says. It writes "begin" and "end" and then the result, a line each; generate returns
// the last. If ctx ends it is interrupted and says what it has.
func generate(ctx context.Context, command []string, d load.Distribution, length time.Duration) (last []byte, err error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.SysProcAttr = isolated()
	var stderr tail
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("suite: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("suite: load generator: %w", err)
	}
	lines := make(chan []byte)
	go func() {
		defer close(lines)
		for r := bufio.NewReader(stdout); ; {
			line, err := r.ReadBytes('\n')
			if err != nil {
				return
			}
			lines <- line
		}
	}()
	last = follow(ctx, cmd.Process, lines, d, length)
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("suite: load generator: %w\n%s", err, stderr.String())
	}
	return last, nil
}

// follow tells d what the generator says until it ends, and returns its last line.
// It kills a generator that takes too long.
func follow(ctx context.Context, generator *os.Process, lines <-chan []byte, d load.Distribution, length time.Duration) (last []byte) {
	began := time.Now()
	late := time.NewTimer(length + generatorGrace)
	defer late.Stop()
	tick := time.NewTicker(200 * time.Millisecond) // as package load tells progress
	defer tick.Stop()
	for cancelled := ctx.Done(); ; {
		select {
		case line, more := <-lines:
			switch {
			case !more:
				return last
			case string(line) == "begin\n":
				if d.Begin != nil {
					d.Begin(0)
				}
			case string(line) == "end\n":
				if d.End != nil {
					d.End()
				}
			}
			last = line
		case <-tick.C:
			if d.Progress != nil {
				d.Progress(time.Since(began))
			}
		case <-cancelled:
			cancelled = nil
			generator.Signal(os.Interrupt)
			late.Reset(generatorGrace)
		case <-late.C:
			generator.Kill()
		}
	}
}
