package program

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"

	"credrpc/accessdb"
	"credrpc/server"

	"golang.org/x/sys/unix"
)

// DefaultMaxPrograms is how many programs run at once unless the configuration
// says otherwise. The limit protects memory and the process table, which do not
// grow with the number of processors, so neither does it; 64 small programs keep
// dozens of processors busy.
const DefaultMaxPrograms = 64

// A Config says what a [Handler] runs.
type Config struct {
	// Program is the name or path of the program, which becomes its argument 0,
	// and its other arguments. Required, also where every rule has an exec.
	Program []string

	// LocalPath is the path of the server's socket, for IPCLOCALPATH.
	LocalPath string

	// MaxOutput is the most bytes of standard output that are an answer. 0 is
	// [server.DefaultMaxResponse].
	MaxOutput uint32

	// MaxPrograms is the most programs that run at once, three in four of them for
	// one user. Other calls wait, within their deadline and until their callers hang
	// up; users take turns, and the calls of one in the order in which they came. 0
	// is [DefaultMaxPrograms].
	MaxPrograms int

	// WithoutRules runs the program for calls that no rule has allowed. Without
	// it a server that has no rules runs nothing.
	WithoutRules bool

	// Logger gets what keeps programs from being started, at a bounded rate. nil
	// is silent.
	Logger *slog.Logger
}

// A Handler is a [server.Handler] that runs a program for each call. It blocks, so
// [server.Server.HandlerOnLoop] must not be set.
type Handler struct {
	program      string // absolute path
	execline     string // absolute path, "" if execlineb is not installed
	arguments    []string
	localPath    string
	maxOutput    int
	withoutRules bool
	places       *places
	complaints   complaints
}

var _ server.Handler = (*Handler)(nil)

// New looks up the program of c in the PATH of this process, and execlineb for the
// rules. It marks every descriptor of this process but 0, 1 and 2 to be closed on
// exec. It returns an error if the program is not there or not executable, if a
// field makes no sense, or on Linux before 5.3.
func New(c Config) (*Handler, error) {
	if len(c.Program) == 0 {
		return nil, errNoProgram
	}
	program, err := lookUp(c.Program[0])
	if err != nil {
		return nil, err
	}
	if c.MaxPrograms < 0 {
		return nil, fmt.Errorf("a limit of %d programs", c.MaxPrograms)
	}
	if err := checkPidfd(); err != nil {
		return nil, err
	}
	if err := closeInheritedOnExec(); err != nil {
		return nil, err
	}
	h := &Handler{
		program:      program,
		arguments:    c.Program,
		localPath:    c.LocalPath,
		maxOutput:    int(c.MaxOutput),
		withoutRules: c.WithoutRules,
		complaints:   complaints{log: c.Logger},
	}
	h.execline, _ = lookUp(execlineName) // needed once a rule has an exec
	if h.maxOutput == 0 {
		h.maxOutput = server.DefaultMaxResponse
	}
	if c.MaxPrograms == 0 {
		c.MaxPrograms = DefaultMaxPrograms
	}
	h.places = newPlaces(c.MaxPrograms)
	return h, nil
}

// checkPidfd returns an error if the kernel has no pidfds, or none that poll(2)
// knows. See pidfd_open(2).
func checkPidfd() error {
	fd, err := unix.PidfdOpen(unix.Getpid(), 0)
	if err != nil {
		return fmt.Errorf("running programs needs Linux 5.3 or newer: pidfd_open: %w", err)
	}
	return unix.Close(fd)
}

// ServeCall runs the program, or what the rule has instead, for call. Its errors
// are for the caller to read.
func (h *Handler) ServeCall(ctx context.Context, dst []byte, call *server.Call) ([]byte, error) {
	if !h.allowed(call) {
		return nil, errDenied
	}
	uid := call.Peer.UID()
	if err := h.places.enter(ctx, uid); err != nil {
		return nil, err
	}
	defer h.places.leave(uid)
	cmd, err := h.command(call)
	if err != nil {
		h.complaints.add("a rule's exec cannot be run", "rule", call.Access.Key.String(), "error", err)
		return nil, errCannotRun
	}

	// The program gets SIGKILL when this thread ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := start(cmd)
	if err != nil {
		h.complaints.add("a program cannot be run", "program", cmd.path, "error", err)
		return nil, errCannotRun
	}
	out := output{answer: dst, limit: len(dst) + h.maxOutput}
	status, err := c.run(ctx, call.Payload, &out)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		h.complaints.add("waiting for a program failed", "program", cmd.path, "error", err)
		return nil, errLost
	}
	return out.result(status)
}

// allowed reports whether call may run a program. The server has decided that
// already; here a server that decides nothing is found out.
func (h *Handler) allowed(call *server.Call) bool {
	return call.Peer.Valid() && (h.withoutRules || call.Access.Decision == accessdb.Allow)
}
