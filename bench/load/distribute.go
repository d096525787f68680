package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"credrpc/internal/sys"
)

const (
	// readyTimeout is how long parts may take to start.
	readyTimeout = time.Minute

	// reportTimeout is how long parts may take to add up what they did, beyond
	// the end of everything else.
	reportTimeout = 30 * time.Second

	// maxReport is the most bytes that a part may say. Those of a part with 100
	// steps and all histograms are some 20 MiB.
	maxReport = 256 << 20

	// progressInterval is how often progress is told.
	progressInterval = 200 * time.Millisecond
)

// A Distribution says how [Distribute] makes parts and whom it tells. Begin, End
// and Progress may be nil; they are called by the goroutine that called it.
type Distribution struct {
	// Command returns a command that calls [ServePart] with its standard input and
	// output. Required. It must be one that every user of the run may execute.
	Command func() *exec.Cmd

	// Begin says that the warm-up is over, since late: where there are too few cores
	// that can be longer than a short run takes, whose calls count from its time on.
	Begin    func(late time.Duration)
	End      func()                      // all measured callers have ended
	Progress func(elapsed time.Duration) // since the start
}

// Distribute makes the load with processes of their own and says what became of
// it. If ctx ends, calls begin no more and the result has what there is; it has no
// result, and ctx's error, only if that happens before the start.
//
// It returns what is wrong with config, as [Config.Validate] does, and what a part
// says that fails.
func Distribute(ctx context.Context, config Config, d Distribution) (*Result, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	measured, hostile := config.parts()
	all := append(measured[:len(measured):len(measured)], hostile...)
	defer func() {
		for _, p := range all {
			p.kill()
		}
	}()
	if err := launch(ctx, all, d.Command); err != nil {
		return nil, err
	}
	// Time for the order to arrive everywhere.
	start := sys.Monotonic() + int64(20*time.Millisecond) + int64(len(all))*int64(time.Millisecond)
	for _, p := range all {
		fmt.Fprintln(p.stdin, start)
	}
	if err := d.watch(ctx, &config, start, measured); err != nil {
		return nil, err
	}
	for _, p := range hostile {
		p.stdin.Close()
	}
	if err := finish(all); err != nil {
		return nil, err
	}
	return config.result(measured, hostile)
}

// A part is a process that has a share of a run.
type part struct {
	share  share
	uid    uint32
	asUser bool // it acts as uid
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	ready  chan struct{} // closed when it waits for the start, or has failed
	ended  chan struct{} // closed when all its callers have ended, or it has failed
	done   chan struct{} // closed when the process is gone; err and yield are set before
	err    error
	yield  yield
}

func newPart(c Config, s share) *part {
	c.UIDs = nil
	s.Config = c
	return &part{share: s, ready: make(chan struct{}), ended: make(chan struct{}), done: make(chan struct{})}
}

// parts returns the parts of a run: one for each user that calls, and those of the
// hostile callers.
func (c *Config) parts() (measured, hostile []*part) {
	users := max(1, len(c.UIDs))
	for i := range users {
		before := c.Load.Callers * i / users
		own := *c
		own.Hostile = nil
		own.Load.Callers = c.Load.Callers*(i+1)/users - before
		if i > 0 {
			own.Sleepers = 0
		}
		p := newPart(own, share{Part: i, Parts: users, Callers: before})
		if len(c.UIDs) > 0 {
			p.uid, p.asUser = c.UIDs[i], true
		}
		measured = append(measured, p)
	}
	var plain Hostile
	for _, callers := range c.Hostile {
		if callers.Misdeed != Denied {
			plain = append(plain, callers)
			continue
		}
		own := *c
		own.Hostile = Hostile{callers}
		p := newPart(own, share{Hostile: true})
		p.uid, p.asUser = Nobody, true
		hostile = append(hostile, p)
	}
	if len(plain) > 0 {
		own := *c
		own.Hostile = plain
		hostile = append(hostile, newPart(own, share{Hostile: true}))
	}
	return measured, hostile
}

// launch starts all parts and waits until they are ready.
func launch(ctx context.Context, all []*part, command func() *exec.Cmd) error {
	for _, p := range all {
		if err := p.start(command()); err != nil {
			return err
		}
	}
	timeout := time.After(readyTimeout)
	for _, p := range all {
		select {
		case <-p.ready:
		case <-ctx.Done():
			return ctx.Err()
		case <-timeout:
			return fmt.Errorf("load: a part is not ready after %v", readyTimeout)
		}
		select {
		case <-p.done:
			return p.err
		default:
		}
	}
	return nil
}

// start starts the process in a group of its own, so that signals from a terminal
// reach only its parent, and has the kernel kill it with the thread that started
// it, which ends with this process.
func (p *part) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if p.asUser {
		// Its group has the same number, and it is in no other.
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: p.uid, Gid: p.uid}
	}
	debug := Setting
	if set := os.Getenv("GODEBUG"); set != "" {
		debug = set + "," + debug
	}
	cmd.Env = append(cmd.Environ(), "GODEBUG="+debug)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("load: part: %w", err)
	}
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return fmt.Errorf("load: part: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("load: part: %w", err)
	}
	p.cmd = cmd
	go p.follow(stdout, &stderr)
	json.NewEncoder(p.stdin).Encode(p.share) // a part that is gone says so elsewhere
	return nil
}

// follow reads what the process says until it has ended. One that acts as another
// user may be under the hands of that user, so what it says is not trusted.
func (p *part) follow(stdout io.Reader, stderr *bytes.Buffer) {
	err := p.read(bufio.NewReader(io.LimitReader(stdout, maxReport)))
	if failed := p.cmd.Wait(); failed != nil {
		err = failed // which is why it said nothing more
	}
	if err != nil {
		p.err = fmt.Errorf("load: a part failed: %w\n%s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	close(p.done)
	for _, c := range []chan struct{}{p.ready, p.ended} {
		select {
		case <-c:
		default:
			close(c)
		}
	}
}

// read reads the lines that a part writes, in their order.
func (p *part) read(lines *bufio.Reader) error {
	for _, step := range []struct {
		line string
		done chan struct{}
	}{{lineReady, p.ready}, {lineEnded, p.ended}} {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		if line != step.line+"\n" {
			return fmt.Errorf("it says %q", line)
		}
		close(step.done)
	}
	text, err := lines.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &p.yield)
}

// watch waits until all measured callers have ended.
func (d *Distribution) watch(ctx context.Context, c *Config, start int64, measured []*part) error {
	clock := clockAt(start)
	begin := time.After(c.WarmUp - clock.now())
	late := time.NewTimer(c.WarmUp + c.Length() + grace + lastGrace + reportTimeout)
	defer late.Stop()
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	cancelled := ctx.Done()
	for i := 0; i < len(measured); {
		select {
		case <-measured[i].ended:
			i++
		case <-begin:
			if d.Begin != nil {
				d.Begin(max(0, clock.now()-c.WarmUp))
			}
		case <-tick.C:
			if err := failed(measured); err != nil {
				return err
			}
			if d.Progress != nil {
				d.Progress(clock.now())
			}
		case <-cancelled:
			cancelled = nil
			for _, p := range measured {
				p.stdin.Close()
			}
		case <-late.C:
			return ErrStuck
		}
	}
	if d.End != nil {
		d.End()
	}
	return nil
}

// failed returns the error of a part that is gone before its time.
func failed(parts []*part) error {
	for _, p := range parts {
		select {
		case <-p.done:
			if p.err != nil {
				return p.err
			}
		default:
		}
	}
	return nil
}

// finish waits until all parts have said what they found and are gone.
func finish(all []*part) error {
	timeout := time.After(reportTimeout)
	var errs []error
	for _, p := range all {
		select {
		case <-p.done:
			errs = append(errs, p.err)
		case <-timeout:
			return errors.Join(append(errs, ErrStuck)...)
		}
	}
	return errors.Join(errs...)
}

// kill ends a process that has started and has not ended.
func (p *part) kill() {
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Kill() // os.ErrProcessDone if it has ended
	<-p.done
	p.stdin.Close()
}

// result adds up what the parts found.
func (c *Config) result(measured, hostile []*part) (*Result, error) {
	var harvests []*harvest
	var users []UserResult
	for i, p := range measured {
		h := p.yield.Harvest
		if !h.complete(&p.share.Config) {
			return nil, errors.New("load: a part does not say all that it found")
		}
		harvests = append(harvests, h)
		if len(c.UIDs) == 0 {
			continue
		}
		group, err := h.total().group(p.share.Config.Load.Callers, max(0, h.Ended-c.WarmUp).Seconds())
		if err != nil {
			return nil, err
		}
		users = append(users, UserResult{c.UIDs[i], group})
	}
	r, err := newResult(c, harvests)
	if err != nil {
		return nil, err
	}
	r.Users = users
	for _, callers := range c.Hostile { // in their order
		for _, p := range hostile {
			for _, found := range p.yield.Hostile {
				if found.Misdeed == callers.Misdeed {
					found.FirstRefusal = visible(found.FirstRefusal)
					r.Hostile = append(r.Hostile, found)
				}
			}
		}
	}
	return r, nil
}
