// Command credrpc-takeown makes files in the caller's tree the caller's own. It asks the
// service credrpc-chownd(8) for each, which knows from the kernel who asks:
//
//	credrpc-takeown /srv/chown/1000/out/report.pdf
//
// For each file it prints the owner and group before and after, by number.
//
// # Options
//
//   - --socket PATH: of the service (/run/credrpc/chown.sock).
//   - --base DIRECTORY: of the users' trees, as the service has it (/srv/chown).
//   - --timeout DURATION: for each file (30s).
//
// # Exit status
//
// 0 all are the caller's, 1 the service refused one or more, 2 wrong usage, 3 the service
// could not be reached, was too slow, or broke the protocol.
//
// # See also
//
// credrpc-chownd(8)
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"credrpc/client"
	"credrpc/examples/chown"
)

// Exit statuses, those of credrpc call.
const (
	exitTaken       = 0
	exitRefused     = 1
	exitUsage       = 2
	exitUnreachable = 3
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run takes the files that args name and returns the exit status.
func run(args []string, out, complaints io.Writer) int {
	flags := flag.NewFlagSet("credrpc-takeown", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	socket := flags.String("socket", "/run/credrpc/chown.sock", "`path` of the service's socket")
	base := flags.String("base", "/srv/chown", "`directory` of the users' trees, as the service has it")
	timeout := flags.Duration("timeout", 30*time.Second, "time for each file")
	err := flags.Parse(args)
	tree, absErr := filepath.Abs(filepath.Join(*base, strconv.Itoa(os.Getuid())))
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(out, "Usage: credrpc-takeown [flags] FILE...\n\nMakes files of others in your tree your own.")
		flags.SetOutput(out)
		flags.PrintDefaults()
		return exitTaken
	case err != nil:
	case flags.NArg() == 0:
		err = errors.New("no file is named")
	case *timeout <= 0:
		err = errors.New("--timeout: want more than 0")
	default:
		err = absErr
	}
	if err != nil {
		fmt.Fprintf(complaints, "credrpc-takeown: %v\nRun \"credrpc-takeown --help\" for usage.\n", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	t := taker{client: client.Client{Path: *socket}, timeout: *timeout, tree: tree, out: out}
	status := exitTaken
	for _, file := range flags.Args() {
		one, err := t.take(ctx, file)
		if err != nil {
			fmt.Fprintf(complaints, "credrpc-takeown: %q: %v\n", file, err)
		}
		status = max(status, one)
		if one == exitUnreachable {
			break
		}
	}
	return status
}

// A taker takes files.
type taker struct {
	client  client.Client
	timeout time.Duration
	tree    string
	out     io.Writer
}

// take takes one file, says what has changed, and returns the exit status.
func (t *taker) take(ctx context.Context, file string) (int, error) {
	path, err := t.fromTree(file)
	if err != nil {
		return exitUsage, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	answer, err := chown.Take(ctx, &t.client, path)
	var remote *client.RemoteError
	var broken *client.Error
	switch {
	case errors.As(err, &remote):
		return exitRefused, fmt.Errorf("refused: %q", remote.Text) // quoted: it could command a terminal
	case errors.As(err, &broken):
		return exitUnreachable, err
	case errors.Is(err, chown.ErrMalformed):
		return exitUnreachable, fmt.Errorf("the answer is none: %w", err)
	case err != nil:
		return exitUsage, err
	}
	fmt.Fprintf(t.out, "%q: %d:%d -> %d:%d\n", file, answer.Before.UID, answer.Before.GID, answer.After.UID, answer.After.GID)
	return exitTaken, nil
}

// fromTree returns the path that leads to the file from the user's tree. It only helps:
// the service resolves the path itself.
func (t *taker) fromTree(file string) (string, error) {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	path, err := filepath.Rel(t.tree, absolute)
	if err != nil || !filepath.IsLocal(path) || path == "." {
		return "", fmt.Errorf("is not below your tree, %s (--base says where trees are)", t.tree)
	}
	return path, nil
}
