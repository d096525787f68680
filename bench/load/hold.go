package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// holdStep is how often Hold looks at its context while it waits.
const holdStep = 100 * time.Millisecond

// backlogPause is how long Hold waits when the backlog is full, about the time in
// which a server takes some calls from it.
const backlogPause = 50 * time.Microsecond

// A Held says what became of connections that sent nothing.
type Held struct {
	Opened int `json:"opened"`
	Ended  int `json:"ended"` // by the server
	// FirstEnd and LastEnd are when the server ended the first and the last of
	// them, in seconds since all were open.
	FirstEnd float64 `json:"first_end_seconds"`
	LastEnd  float64 `json:"last_end_seconds"`
}

// Hold opens n connections to the server at path, calls opened, sends nothing,
// and waits until the server has ended all of them or ctx ends. A full backlog
// is waited for. It may run beside other goroutines.
func Hold(ctx context.Context, path string, n int, opened func()) (Held, error) {
	var held Held
	polls := make([]unix.PollFd, 0, n)
	defer func() {
		for _, p := range polls {
			unix.Close(int(p.Fd))
		}
	}()
	for len(polls) < n {
		fd, err := connect(ctx, path)
		if err != nil {
			return held, fmt.Errorf("load: connection %d of %d: %w", len(polls)+1, n, err)
		}
		polls = append(polls, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		held.Opened++
	}
	opened()
	began := time.Now()
	for len(polls) > 0 && ctx.Err() == nil {
		ready, err := unix.Poll(polls, int(holdStep.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return held, fmt.Errorf("load: poll: %w", err)
		}
		if ready <= 0 {
			continue
		}
		left := polls[:0]
		for _, p := range polls {
			if p.Revents == 0 || !ended(int(p.Fd)) {
				left = append(left, p)
				continue
			}
			unix.Close(int(p.Fd))
			held.Ended++
			held.LastEnd = time.Since(began).Seconds()
			if held.Ended == 1 {
				held.FirstEnd = held.LastEnd
			}
		}
		polls = left
	}
	return held, nil
}

// connect returns a new connection.
func connect(ctx context.Context, path string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	for {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		if err == nil {
			return fd, nil
		}
		if !errors.Is(err, unix.EAGAIN) || ctx.Err() != nil {
			unix.Close(fd)
			return -1, err
		}
		time.Sleep(backlogPause)
	}
}

// ended reads what there is and reports whether the connection has ended.
func ended(fd int) bool {
	var buf [512]byte
	for {
		n, err := unix.Read(fd, buf[:])
		switch {
		case errors.Is(err, unix.EAGAIN):
			return false
		case errors.Is(err, unix.EINTR):
		case err != nil || n == 0:
			return true
		}
	}
}
