package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"credrpc/client"
	"credrpc/frame"
	"credrpc/internal/size"
)

type callCommand struct {
	Path      string        `arg:"" help:"Socket of the server. A name that begins with @ is abstract."`
	Payload   *string       `arg:"" optional:"" help:"Bytes to send; standard input when absent."`
	Timeout   time.Duration `default:"30s" placeholder:"DURATION" help:"Time for the call; 0 is without limit (${default})."`
	MaxAnswer size.Size     `default:"1M" placeholder:"SIZE" help:"Most bytes of an answer (${default}), such as 64K or 16MiB."`
}

// Help says what becomes of the answer.
func (*callCommand) Help() string {
	return `The answer's bytes go to standard output, nothing added. An error that the server answers goes to standard error, quoted if it holds what could command a terminal.

Exit status: 0 answered, 1 the server answered an error, 2 wrong usage, 3 the server cannot be reached, is too slow or breaks the protocol.`
}

// Run makes the call.
func (c *callCommand) Run(s streams) error {
	if c.Timeout < 0 {
		return usageError("--timeout: want a duration that is not negative")
	}
	if c.MaxAnswer < 1 || c.MaxAnswer > frame.MaxPayload {
		return usageError("--max-answer: want 1 to %d", frame.MaxPayload)
	}
	if c.Path == "" {
		return usageError("<path>: is empty")
	}
	payload, err := c.payload(s.in)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	caller := client.Client{Path: c.Path, MaxResponse: uint32(c.MaxAnswer)}
	answer, err := caller.Call(ctx, payload)
	var remote *client.RemoteError
	switch {
	case errors.As(err, &remote):
		fmt.Fprintln(s.err, printable(remote.Text))
		return &exitError{status: exitFailed}
	case err != nil:
		return &exitError{exitUnreachable, withAdvice(err)}
	}
	if _, err := s.out.Write(answer); err != nil {
		return fmt.Errorf("the call was answered, but writing the answer failed: %w", err)
	}
	return nil
}

// withAdvice adds what to do about an answer that is too large. What no frame can be is
// text of a server of another kind, such as a program of ipcserver, or of HTTP.
func withAdvice(err error) error {
	var large *frame.TooLargeError
	switch {
	case !errors.As(err, &large):
		return err
	case large.Length > frame.MaxPayload:
		return fmt.Errorf("%w; the server does not speak the protocol of credrpc serve", err)
	}
	return fmt.Errorf("%w; --max-answer allows more", err)
}

// printable returns text with what could command a terminal escaped.
func printable(text string) string {
	safe := func(r rune) bool { return unicode.IsPrint(r) || r == '\n' || r == '\t' }
	if utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !safe(r) }) < 0 {
		return text
	}
	return strconv.QuoteToGraphic(text)
}

// payload returns the bytes to send.
func (c *callCommand) payload(in io.Reader) ([]byte, error) {
	if c.Payload != nil {
		return []byte(*c.Payload), nil
	}
	payload, err := io.ReadAll(io.LimitReader(in, frame.MaxPayload+1))
	if err != nil {
		return nil, usageError("standard input: %w", err)
	}
	if len(payload) > frame.MaxPayload {
		return nil, usageError("standard input: more than %d bytes", frame.MaxPayload)
	}
	return payload, nil
}
