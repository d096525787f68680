package s6chain

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"

	"credrpc/bench/floor"
)

// MaxPayload is the largest payload in bytes that is answered: LIMIT of
// src/echo.c.
const MaxPayload = 16 << 20

// ErrUnavailable reports that the chain cannot run here: a program of s6 is
// missing, or echo cannot be built.
var ErrUnavailable = errors.New("s6chain: not available")

const (
	// connections is how many calls are in flight at most: more than any load
	// has. The default is 40.
	connections = 10_000

	// backlog is that of all servers that are compared.
	backlog = 4096
)

//go:embed src/echo.c
var source string

// Compile builds echo into dir and returns its path. The file belongs to the
// caller. It returns [ErrUnavailable] with the reason.
func Compile(ctx context.Context, dir string) (path string, err error) {
	path = filepath.Join(dir, "echo")
	if err := floor.Build(ctx, path, source, "-static"); err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return path, nil
}

// Command returns the command line of the chain: where it makes its socket, the
// compiled rules, and the path of echo. It returns [ErrUnavailable].
func Command(socket, rules, echo string) ([]string, error) {
	server, err := exec.LookPath("s6-ipcserver")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	access, err := exec.LookPath("s6-ipcserver-access")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	most := strconv.Itoa(connections)
	return []string{server, "-q", "-a", "0700", "-b", strconv.Itoa(backlog), "-c", most, "-C", most, "--", socket,
		access, "-v", "0", "-x", rules, "--", echo}, nil
}
