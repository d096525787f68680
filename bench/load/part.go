package load

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Parts talk to [Distribute] in lines. It writes the share as JSON, reads
// lineReady, writes when to start, and reads lineEnded when all callers have ended,
// and the yield as JSON. It closes the part's input for no call to begin any more.
const (
	lineReady = "ready"
	lineEnded = "ended"
)

// A yield is what one part found: one of the two.
type yield struct {
	Harvest *harvest
	Hostile []HostileResult
}

// ServePart is a part of a run: a process that [Distribute] started, with its
// standard input and output. The process must be free of other work.
func ServePart(in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	text, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("load: part: %w", err)
	}
	var s share
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("load: part: %w", err)
	}
	var g *generator
	if !s.Hostile {
		if g, err = newGenerator(&s); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, lineReady)
	start, stop, err := readOrders(lines)
	if err != nil {
		return err
	}
	var y yield
	if s.Hostile {
		y.Hostile = beHostileUntil(stop, &s.Config)
	} else if y.Harvest, err = g.run(start, stop); err != nil {
		return err
	}
	fmt.Fprintln(out, lineEnded)
	return json.NewEncoder(out).Encode(y)
}

// readOrders returns when to start, and a channel that is closed at the end of the
// input.
func readOrders(lines *bufio.Reader) (start int64, stop <-chan struct{}, err error) {
	text, err := lines.ReadString('\n')
	if err != nil {
		return 0, nil, fmt.Errorf("load: part: %w", err)
	}
	if start, err = strconv.ParseInt(strings.TrimSuffix(text, "\n"), 10, 64); err != nil {
		return 0, nil, fmt.Errorf("load: part: %w", err)
	}
	stopped := make(chan struct{})
	go func() {
		io.Copy(io.Discard, lines)
		close(stopped)
	}()
	return start, stopped, nil
}

// beHostileUntil has hostile callers from now on: they begin with the warm-up.
func beHostileUntil(stop <-chan struct{}, c *Config) []HostileResult {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-stop
		cancel()
	}()
	return beHostile(ctx, c.Path, c.Hostile)
}
