package program

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A child is a running program. The goroutine that started it owns it.
type child struct {
	pid   int
	pidfd int // readable when the program has ended (pidfd_open(2))

	// Our ends of the program's pipes, non-blocking; -1 once closed.
	stdin, stdout, stderr int
}

// start runs cmd. The calling goroutine must stay on its thread until the child has
// been waited for.
func start(cmd command) (*child, error) {
	var pipes [3][2]int // of standard input, output and error: the end to read, the end to write
	for i := range pipes {
		if err := unix.Pipe2(pipes[i][:], unix.O_CLOEXEC); err != nil {
			closePipes(pipes[:i])
			return nil, os.NewSyscallError("pipe2", err)
		}
	}
	c := &child{pidfd: -1, stdin: pipes[0][1], stdout: pipes[1][0], stderr: pipes[2][0]}
	err := errors.Join(unix.SetNonblock(c.stdin, true), unix.SetNonblock(c.stdout, true), unix.SetNonblock(c.stderr, true))
	if err == nil {
		c.pid, err = syscall.ForkExec(cmd.path, cmd.arguments, &syscall.ProcAttr{
			Dir:   "/",
			Env:   cmd.environment,
			Files: []uintptr{uintptr(pipes[0][0]), uintptr(pipes[1][1]), uintptr(pipes[2][1])},
			Sys:   &syscall.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGKILL, PidFD: &c.pidfd},
		})
	}
	if err != nil {
		closePipes(pipes[:])
		return nil, err
	}
	unix.Close(pipes[0][0])
	unix.Close(pipes[1][1])
	unix.Close(pipes[2][1])
	return c, nil
}

func closePipes(pipes [][2]int) {
	for _, p := range pipes {
		unix.Close(p[0])
		unix.Close(p[1])
	}
}

// run lets the program have the request, fills out with what it writes, and returns
// how it ended. When ctx ends the program is killed.
func (c *child) run(ctx context.Context, request []byte, out *output) (unix.WaitStatus, error) {
	defer c.close()
	dismiss := c.guard(ctx)
	c.talk(request, out)
	c.kill() // its descendants: the program itself is a zombie
	c.empty(out)
	dismiss()
	return c.wait()
}

// guard kills the program when ctx ends. Once dismiss has returned it does not.
func (c *child) guard(ctx context.Context) (dismiss func()) {
	done, dismissed := ctx.Done(), make(chan struct{})
	var guard sync.WaitGroup
	guard.Go(func() {
		select {
		case <-done:
			c.kill()
		case <-dismissed:
		}
	})
	return func() {
		close(dismissed)
		guard.Wait()
	}
}

// kill ends every process of the program's group. Nobody may have waited for the
// program yet. It cannot fail for a reason that could be dealt with: see kill(2).
func (c *child) kill() { unix.Kill(-c.pid, unix.SIGKILL) }

// talk writes the request and reads the output until the program has ended.
func (c *child) talk(request []byte, out *output) {
	for {
		// Negative descriptors are ignored, see poll(2).
		fds := [...]unix.PollFd{
			{Fd: int32(c.pidfd), Events: unix.POLLIN},
			{Fd: int32(c.stdin), Events: unix.POLLOUT},
			{Fd: int32(c.stdout), Events: unix.POLLIN},
			{Fd: int32(c.stderr), Events: unix.POLLIN},
		}
		if _, err := unix.Poll(fds[:], -1); err != nil {
			continue // EINTR
		}
		if fds[1].Revents != 0 {
			request = c.write(request)
		}
		if fds[2].Revents != 0 {
			c.readOutput(out)
		}
		if fds[3].Revents != 0 {
			c.readError(out)
		}
		if fds[0].Revents != 0 {
			return
		}
	}
}

// write writes as much of rest as the pipe takes, returns what is left, and closes
// the pipe if that is nothing.
func (c *child) write(rest []byte) []byte {
	if len(rest) > 0 {
		n, err := unix.Write(c.stdin, rest)
		switch err {
		case nil:
			rest = rest[n:]
		case unix.EAGAIN, unix.EINTR:
		default:
			rest = nil // EPIPE: nobody reads it, which is the program's business
		}
	}
	if len(rest) == 0 {
		closeEnd(&c.stdin)
	}
	return rest
}

// readOutput reads once from standard output. It returns false if there is nothing
// to read for now or for ever. Output over the limit ends the program.
func (c *child) readOutput(out *output) (more bool) {
	n, more := readEnd(&c.stdout, out.room())
	out.answer = out.answer[:len(out.answer)+n]
	if out.tooLarge() {
		closeEnd(&c.stdout)
		c.kill()
		return false
	}
	return more
}

// readError reads once from standard error, and keeps what fits.
func (c *child) readError(out *output) (more bool) {
	if kept := out.keep[len(out.stderr):]; len(kept) > 0 {
		n, more := readEnd(&c.stderr, kept)
		out.stderr = out.keep[:len(out.stderr)+n]
		return more
	}
	var dropped [4096]byte
	_, more = readEnd(&c.stderr, dropped[:])
	return more
}

// readEnd reads once from a pipe, and closes it at the end of the file.
func readEnd(end *int, p []byte) (n int, more bool) {
	n, err := unix.Read(*end, p)
	switch {
	case n > 0:
		return n, true
	case err == unix.EAGAIN:
		return 0, false
	case err == unix.EINTR:
		return 0, true
	}
	closeEnd(end)
	return 0, false
}

// empty takes what is left in the pipes of a program that has ended. A descendant
// that goes on writing gains nothing: there is an end to what is taken.
func (c *child) empty(out *output) {
	for c.stdout >= 0 && c.readOutput(out) {
	}
	for c.stderr >= 0 && len(out.stderr) < len(out.keep) && c.readError(out) {
	}
}

// wait lets the kernel forget the program, which has ended.
func (c *child) wait() (status unix.WaitStatus, err error) {
	for {
		_, err = unix.Wait4(c.pid, &status, 0, nil)
		if err != unix.EINTR {
			return status, os.NewSyscallError("wait4", err)
		}
	}
}

// close closes what is open.
func (c *child) close() {
	for _, end := range []*int{&c.stdin, &c.stdout, &c.stderr, &c.pidfd} {
		closeEnd(end)
	}
}

func closeEnd(end *int) {
	if *end >= 0 {
		unix.Close(*end)
		*end = -1
	}
}
