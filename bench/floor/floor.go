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
const MaxPayload = 32<<10 - 4

// ErrNoCompiler reports that there is no C compiler to build the program with.
var ErrNoCompiler = errors.New("floor: neither cc nor gcc is installed")

//go:embed src/floor.c
var source string

//go:embed src/once.c
var onceSource string

// Compile builds the program into dir and returns its path. The file belongs to
// the caller. It returns [ErrNoCompiler], or an error with what the compiler
// printed.
func Compile(ctx context.Context, dir string) (path string, err error) {
	return build(ctx, filepath.Join(dir, "floor"), source, "-pthread")
}

// CompileOnce builds, as Compile does, the program that answers one call on its
// standard input and output and ends: what a UCSPI server runs. It is static, since
// that is the program that starts soonest.
func CompileOnce(ctx context.Context, dir string) (path string, err error) {
	return build(ctx, filepath.Join(dir, "once"), onceSource, "-static")
}

func build(ctx context.Context, path, source string, flags ...string) (string, error) {
	compiler, err := exec.LookPath("cc")
	if err != nil {
		if compiler, err = exec.LookPath("gcc"); err != nil {
			return "", ErrNoCompiler
		}
	}
	cmd := exec.CommandContext(ctx, compiler, append(flags, "-O2", "-Wall", "-o", path, "-x", "c", "-")...)
	cmd.Stdin = strings.NewReader(source)
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("floor: %s: %w\n%s", compiler, err, output)
	}
	return path, nil
}
