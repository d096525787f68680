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

// ErrNotInstalled reports that a program of s6 is missing.
var ErrNotInstalled = errors.New("s6chain: s6 is not installed")

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
// caller. It returns [floor.ErrNoCompiler], or an error with what the compiler
// printed.
func Compile(ctx context.Context, dir string) (path string, err error) {
	path = filepath.Join(dir, "echo")
	if err := floor.Build(ctx, path, source, "-static"); err != nil {
		return "", err
	}
	return path, nil
}

// Command returns the command line of the chain: where it makes its socket, the
// compiled rules, and the path of echo. It returns [ErrNotInstalled].
func Command(socket, rules, echo string) ([]string, error) {
	server, err := exec.LookPath("s6-ipcserver")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotInstalled, err)
	}
	access, err := exec.LookPath("s6-ipcserver-access")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotInstalled, err)
	}
	most := strconv.Itoa(connections)
	return []string{server, "-q", "-a", "0700", "-b", strconv.Itoa(backlog), "-c", most, "-C", most, "--", socket,
		access, "-v", "0", "-x", rules, "--", echo}, nil
}
