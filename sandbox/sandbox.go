package sandbox

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// ErrCgo reports a program that is linked with cgo: threads that C has made cannot be
// reached, so that privileges would stay with them.
var ErrCgo = errors.New("sandbox: this program is linked with cgo, and threads of C would keep their privileges; build it with CGO_ENABLED=0")

// An OptionError reports a field of [Options] that makes no sense here. Nothing has
// been changed.
type OptionError struct {
	Field string
	Err   error
}

// Error names the field and the reason.
func (e *OptionError) Error() string { return "sandbox: " + e.Field + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *OptionError) Unwrap() error { return e.Err }

// optionError makes the error of a field.
func optionError(field, format string, args ...any) error {
	return &OptionError{field, fmt.Errorf(format, args...)}
}

// Options say what is kept. The zero value is for handlers that need no files.
type Options struct {
	// Read are files and directories that may be read, with all that is beneath. A
	// file is pinned by its inode: for one that is replaced by rename name its
	// directory.
	Read []string

	// Execute are programs and directories that may be read and executed, with all
	// that is beneath. If there are any, system calls that programs and starting them
	// need are allowed as well, which are far more. A dynamically linked program
	// needs its loader and libraries here too. What is started has the same sandbox.
	Execute []string

	// Write are files and directories that may be read and written, in which files
	// and directories may be made and removed. Permissions, owners and attributes
	// may not be changed (SystemCalls), nor files moved to other directories.
	Write []string

	// Remove are directories, with all that is beneath, in which files may be
	// removed: that of the server's socket. Which file cannot be said: it should
	// hold nothing else.
	Remove []string

	// Datagrams are paths of sockets that may be sent to, with sockets that are open: that
	// of the journal. Before Landlock ABI 9 any may.
	Datagrams []string

	// Capabilities are those to keep, by their names in capabilities(7), such as
	// "CAP_CHOWN". A process that lacks one cannot keep it: that is an error. The
	// system calls that exist for a capability are allowed with it.
	Capabilities []string

	// SystemCalls are allowed as well, by name, whatever their arguments. A name
	// that this machine's kernel interface does not have is an error.
	SystemCalls []string

	// OpenFiles is the most descriptors, for RLIMIT_NOFILE. 0 leaves the limit.
	OpenFiles uint64

	// Processes is the most processes and threads of the user, for RLIMIT_NPROC. 0
	// leaves the limit. It does not bind user 0 (getrlimit(2)).
	Processes uint64

	// MinLandlock is the least Landlock ABI to be satisfied with. 0 takes what the
	// kernel has, if it is nothing too; [Report.Missing] then says so.
	MinLandlock int

	// WithoutFilter leaves all system calls allowed: for kernels without seccomp,
	// and for handlers whose calls cannot be listed.
	WithoutFilter bool
}

// programs reports whether the process may start others.
func (o *Options) programs() bool { return len(o.Execute) > 0 }

// A Report says what is in force.
type Report struct {
	// Options are those that were asked for.
	Options Options

	// Landlock is the ABI whose rights are enforced, 0 for none.
	Landlock int

	// SystemCalls is how many of the kernel's calls the filter lets pass, some with
	// certain arguments only; 0 is without a filter.
	SystemCalls int

	// Capabilities are those that were kept.
	Capabilities []string

	// Missing is what could not be enforced, in words, because the kernel does not
	// know it or the process lacks what it takes and nothing depends on it.
	Missing []string
}

// LogValue makes a report readable in one line of a log.
func (r Report) LogValue() slog.Value {
	orNone := func(list []string) any {
		if len(list) == 0 {
			return "none"
		}
		return list
	}
	return slog.GroupValue(
		slog.Int("landlock", r.Landlock),
		slog.Int("system_calls", r.SystemCalls),
		slog.Any("capabilities", orNone(r.Capabilities)),
		slog.Any("read", orNone(r.Options.Read)),
		slog.Any("write", orNone(r.Options.Write)),
		slog.Any("execute", orNone(r.Options.Execute)),
		slog.Any("remove", orNone(r.Options.Remove)),
		slog.Any("datagrams", orNone(r.Options.Datagrams)),
		slog.Any("missing", orNone(r.Missing)),
	)
}

// Apply gives up all that o does not keep, in the order that the package describes.
// After an error the process must not go on. Once the filter is in force Apply fails: it
// refuses what Apply needs.
//
// Returns [ErrCgo] and [*OptionError], after which nothing has been changed, or an
// error of the system.
func Apply(o Options) (Report, error) {
	plan, err := o.plan()
	if err != nil {
		return Report{}, err
	}
	// The file of the time zone is read at the first use, which may be too late.
	_ = time.Local.String()
	r := Report{Options: o}
	for _, step := range []func(*Report) error{
		plan.limit, forbidDumps, forbidGain, plan.dropCapabilities, plan.restrictFiles, plan.restrictCalls,
	} {
		if err := step(&r); err != nil {
			return r, fmt.Errorf("sandbox: %w", err)
		}
	}
	return r, nil
}

// A plan is what a process that was looked at is going to do.
type plan struct {
	options Options
	abi     int               // the kernel's Landlock, 0 for none
	keep    uint64            // capabilities, one bit each
	can     uint64            // effective capabilities before
	limits  map[int]uint64    // by resource
	filter  []unix.SockFilter // empty without
	passing map[string]bool   // system calls that pass it
}

// plan finds out what o means here, and whether it can be done. It changes nothing.
func (o Options) plan() (*plan, error) {
	// Any prctl that only asks tells whether all threads can be reached.
	if errno := sys.PrctlAllThreads(unix.PR_GET_NO_NEW_PRIVS, 0, 0); errno == unix.ENOTSUP {
		return nil, ErrCgo
	}
	p := &plan{options: o}
	for _, step := range []func() error{p.planLimits, p.planCapabilities, p.planFiles, p.planCalls} {
		if err := step(); err != nil {
			var option *OptionError
			if !errors.As(err, &option) {
				err = fmt.Errorf("sandbox: %w", err)
			}
			return nil, err
		}
	}
	return p, nil
}
