package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/measure"
	"credrpc/bench/probe"
	"credrpc/frame"
)

// stopTimeout is how long a child may take to end after SIGTERM. It is longer
// than a server takes to drain.
const stopTimeout = 10 * time.Second

// pingTimeout is how long one call may take while a server starts, also under
// strace.
const pingTimeout = 2 * time.Second

// A child is a server process.
type child struct {
	name   string
	socket string
	probe  *probe.Client // nil: it cannot be asked
	cmd    *exec.Cmd
	stderr tail
	ended  chan struct{} // closed when the process has ended; err is set before
	err    error
}

// isolated puts a child into a process group of its own and lets the kernel kill
// it when the thread that started it ends. Threads of a Go program end with the
// program, unless a goroutine locked to one ends, and no goroutine here locks.
func isolated() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// probeFD is the descriptor of the probe's channel in a server.
const probeFD = 3

// startChild starts a process, with variables in its environment besides those of this
// one. If it is probed, it has a channel as descriptor [probeFD].
func startChild(name string, command, environment []string, probed bool) (*child, error) {
	c := &child{name: name, cmd: exec.Command(command[0], command[1:]...), ended: make(chan struct{})}
	c.cmd.SysProcAttr = isolated()
	c.cmd.Env = append(c.cmd.Environ(), environment...)
	c.cmd.Stderr = &c.stderr
	if probed {
		client, theirs, err := probe.New()
		if err != nil {
			return nil, err
		}
		defer theirs.Close()
		c.probe, c.cmd.ExtraFiles = client, []*os.File{theirs}
	}
	if err := c.cmd.Start(); err != nil {
		c.closeProbe()
		return nil, fmt.Errorf("%w: %s: %w", ErrServer, name, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.ended)
	}()
	return c, nil
}

// ready waits until ping says that the server is ready.
func (c *child) ready(ctx context.Context, ping func(socket string) error, timeout time.Duration) error {
	var last error
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); {
		if last = ping(c.socket); last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.ended:
			return c.failure()
		case <-time.After(2 * time.Millisecond):
		}
	}
	return fmt.Errorf("%w: %s does not answer: %w", ErrServer, c.name, last)
}

// ping makes one call, whose request is one piece as the floor needs it.
func ping(socket string) error {
	request, err := frame.AppendRequest(nil, []byte("ready?"))
	if err != nil {
		return err
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(pingTimeout)); err != nil {
		return err
	}
	if _, err := conn.Write(request); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	if want := append(make([]byte, frame.HeaderSize), request...); !bytes.Equal(answer, want) {
		return fmt.Errorf("the answer is %q", answer)
	}
	return nil
}

// alive returns an error if the server has ended.
func (c *child) alive() error {
	select {
	case <-c.ended:
		return c.failure()
	default:
		return nil
	}
}

// failure says how the server, which has ended, ended.
func (c *child) failure() error {
	return fmt.Errorf("%w: %s ended: %v\n%s", ErrServer, c.name, c.err, c.stderr.String())
}

// beginProbe has the server begin to count, and to write files, if it can be asked.
func (c *child) beginProbe(files probe.Files) error {
	if c.probe == nil {
		return nil
	}
	if err := c.probe.Begin(files); err != nil {
		return errors.Join(c.alive(), fmt.Errorf("suite: %s: %w", c.name, err))
	}
	return nil
}

// endProbe returns what the Go runtime of the server did since [child.beginProbe],
// nil if it cannot be asked.
func (c *child) endProbe() (*measure.Runtime, error) {
	if c.probe == nil {
		return nil, nil
	}
	r, err := c.probe.End()
	if err != nil {
		return nil, errors.Join(c.alive(), fmt.Errorf("suite: %s: %w", c.name, err))
	}
	return r, nil
}

// closeProbe closes the channel, if there is one.
func (c *child) closeProbe() {
	if c.probe != nil {
		c.probe.Close()
	}
}

// stop ends the process group of the child, with force if it must be.
func (c *child) stop() {
	defer c.closeProbe()
	syscall.Kill(-c.cmd.Process.Pid, syscall.SIGTERM) // ESRCH if it has ended
	select {
	case <-c.ended:
		return
	case <-time.After(stopTimeout):
	}
	syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	<-c.ended
}

// load makes a load on the server and returns what came of it. It returns ctx's
// error if that ends first, and then the run is lost.
func (b *Bench) load(ctx context.Context, s competitor, config load.Config) (*load.Result, error) {
	return b.loadWithin(ctx, s, config, load.Distribution{})
}

// loadWithin is load, and d is told of the measured part of the run.
func (b *Bench) loadWithin(ctx context.Context, s competitor, config load.Config, d load.Distribution) (*load.Result, error) {
	t := &target{variant: s.variant, socket: s.socket}
	result, err := b.drive(ctx, t, config, d)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err == nil {
		return result, nil
	}
	if dead := s.alive(); dead != nil {
		return nil, dead
	}
	return nil, fmt.Errorf("suite: load %v on %s: %w", config.Load, s.name, err)
}

// seconds writes a duration for a command line.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// A tail keeps the end of what is written to it. It is safe for concurrent use.
type tail struct {
	mu   sync.Mutex
	text []byte // guarded by mu
}

// tailSize is how many bytes a tail keeps: enough for a message and the
// beginning of a trace. Nobody tuned it.
const tailSize = 4096

var _ io.Writer = (*tail)(nil)

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if extra := len(t.text) - tailSize; extra > 0 {
		t.text = t.text[extra:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
