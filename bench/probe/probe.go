package probe

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"credrpc/bench/measure"

	"golang.org/x/sys/unix"
)

// ErrServer reports a server that does not answer as it should, or that says that
// it cannot do what it was asked for.
var ErrServer = errors.New("probe: the server")

// answerTimeout is how long a server may take for an answer: the end of a long
// trace, on a machine that does other things as well. Nobody tuned it.
const answerTimeout = 30 * time.Second

// Files are what the server writes about itself, absolute paths; it writes none of
// those that are empty.
type Files struct {
	CPUProfile string `json:"cpu_profile,omitempty"` // for "go tool pprof"
	Trace      string `json:"trace,omitempty"`       // for "go tool trace"
	// Heap is what lives at the end, and what was allocated since the server
	// started: for "go tool pprof". It is sampled, an allocation every 512 KiB.
	Heap string `json:"heap,omitempty"`
}

// A request is a command: one of its fields is set.
type request struct {
	Begin *Files    `json:"begin,omitempty"`
	End   *struct{} `json:"end,omitempty"`
}

// A response is the answer to a command.
type response struct {
	Error   string           `json:"error,omitempty"`
	Runtime *measure.Runtime `json:"runtime,omitempty"`
}

// A Client asks one server. It belongs to one goroutine.
type Client struct {
	conn  *os.File
	lines *bufio.Reader
}

// New makes a channel. The second file is the server's end: it is for the server to
// inherit, and then to be closed here.
func New() (*Client, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("probe: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "probe of the server") // blocking. See doc.go
	if err := unix.SetNonblock(fds[0], true); err != nil {
		unix.Close(fds[0])
		theirs.Close()
		return nil, nil, fmt.Errorf("probe: %w", err)
	}
	conn := os.NewFile(uintptr(fds[0]), "probe") // with deadlines
	return &Client{conn, bufio.NewReader(conn)}, theirs, nil
}

// Begin begins the part that is measured. It returns [ErrServer], also if a file
// cannot be made; then nothing has begun.
func (c *Client) Begin(files Files) error {
	_, err := c.ask(request{Begin: &files})
	return err
}

// End ends the part that [Client.Begin] began and returns what the runtime did in
// it. The files are complete. It returns [ErrServer], also if nothing has begun or if
// a file could not be written; what was begun has ended nonetheless.
func (c *Client) End() (*measure.Runtime, error) {
	answer, err := c.ask(request{End: new(struct{})})
	if err != nil {
		return nil, err
	}
	if answer.Runtime == nil {
		return nil, fmt.Errorf("%w does not say what its runtime did", ErrServer)
	}
	return answer.Runtime, nil
}

// Close ends the channel; the server stops listening to it.
func (c *Client) Close() error { return c.conn.Close() }

// ask sends a command and returns the answer.
func (c *Client) ask(r request) (answer response, err error) {
	line, err := json.Marshal(r)
	if err != nil {
		return answer, fmt.Errorf("probe: %w", err)
	}
	if err := c.conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return answer, fmt.Errorf("probe: %w", err)
	}
	if _, err := c.conn.Write(append(line, '\n')); err != nil {
		return answer, fmt.Errorf("%w cannot be asked: %w", ErrServer, err)
	}
	if line, err = c.lines.ReadBytes('\n'); err != nil {
		return answer, fmt.Errorf("%w does not answer: %w", ErrServer, err)
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return answer, fmt.Errorf("%w answers %q: %w", ErrServer, line, err)
	}
	if answer.Error != "" {
		return answer, fmt.Errorf("%w says: %s", ErrServer, answer.Error)
	}
	return answer, nil
}
