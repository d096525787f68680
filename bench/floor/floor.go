package floor

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// MaxPayload is the largest payload in bytes that the program takes: LIMIT of
// src/floor.c without the header.
const MaxPayload = 16 << 20

// What the program asks the kernel about a caller: its third argument.
const (
	CheckNone     = "none"
	CheckPeercred = "peercred" // who connected
	CheckSCM      = "scm"      // who sent the request; the default
	CheckBoth     = "both"     // both, which must be the same user and group
)

// ErrNoCompiler reports that there is no C compiler to build the program with.
var ErrNoCompiler = errors.New("floor: neither cc nor gcc is installed")

//go:embed src/floor.c
var source string

// Compile builds the program into dir and returns its path. The file belongs to
// the caller. It returns [ErrNoCompiler], or an error with what the compiler
// printed.
func Compile(ctx context.Context, dir string) (path string, err error) {
	path = filepath.Join(dir, "floor")
	if err := Build(ctx, path, source, "-pthread"); err != nil {
		return "", err
	}
	return path, nil
}

// Build makes the program path of C source, with more arguments for the compiler.
// Its errors are those of [Compile].
func Build(ctx context.Context, path, source string, flags ...string) error {
	compiler, err := exec.LookPath("cc")
	if err != nil {
		if compiler, err = exec.LookPath("gcc"); err != nil {
			return ErrNoCompiler
		}
	}
	cmd := exec.CommandContext(ctx, compiler, append(flags, "-O2", "-Wall", "-o", path, "-x", "c", "-")...)
	cmd.Stdin = strings.NewReader(source)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("floor: %s: %w\n%s", compiler, err, output)
	}
	return nil
}
