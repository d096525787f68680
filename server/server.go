package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"credrpc/accessdb"
	"credrpc/internal/listen"
)

// Defaults of the fields of [Server].
const (
	DefaultMaxRequest     = 1 << 20          // bytes
	DefaultMaxResponse    = 1 << 20          // bytes
	DefaultMaxCalls       = 4096             // and up to 1024 refused connections besides: below 8192 descriptors
	DefaultMaxCallsPerUID = 1024             // a quarter of the calls
	DefaultMaxBytesPerUID = 64 << 20         // bytes, or what eight of the largest calls take
	DefaultRequestTimeout = 5 * time.Second  // generous: local callers need microseconds
	DefaultCallTimeout    = 30 * time.Second // generous: enough to start a program
)

// Bounds of [Server.RatePerUID] and [Server.BurstPerUID]. Within them the limiter
// counts nanoseconds for a hundred years without an overflow.
const (
	MinRatePerUID  = 1.0 / 3600 // calls a second: one an hour
	MaxRatePerUID  = 1e6        // calls a second
	MaxBurstPerUID = 1 << 20    // calls
)

// maxLoops is far more than any machine needs; each is two descriptors.
const maxLoops = 1024

// A Server serves calls from one listener. Its exported fields are set before
// Serve and not changed after; the zero value of each but Handler is safe for a
// privileged service. A Server serves once and must not be copied. Its methods
// are safe for concurrent use.
type Server struct {
	// Handler answers the calls. Required.
	Handler Handler

	// HandlerOnLoop promises that the handler never blocks and is quick. It
	// then runs on the event loop without an overseer, and holds up every call
	// while it runs, and the end of the stream of up to sixteen that have their
	// answer. Before Linux 6.16 it runs beside the loop all the same.
	HandlerOnLoop bool

	// Loops is the number of event loops that share the listener. Those beyond
	// the first rest until callers come faster than the others serve them, so
	// that too many cost little. 0 is one for every eight of GOMAXPROCS, and at
	// least two, or one where GOMAXPROCS is 1.
	Loops int

	// Mode has the permission bits of the socket file that ListenAndServe
	// makes; connecting needs write permission (unix(7)). 0 is 0600.
	Mode fs.FileMode

	// Owner and Group are given to the socket file before anybody can connect.
	// nil leaves those of the process.
	Owner, Group *uint32

	// AllowUntrustedDirectory lets ListenAndServe make the socket file also where
	// somebody else than root and the server's user may change a directory or a
	// symbolic link on the way to it: whoever may can replace the socket, and answer
	// its callers. Otherwise that is [ErrUntrustedDirectory]. A directory with the
	// sticky bit, such as /tmp, may be writable for all, and one that belongs to root or
	// the server's user may be for root's and the server's group.
	AllowUntrustedDirectory bool

	// MaxRequest and MaxResponse are the most bytes of payload either way, at
	// most [frame.MaxPayload]. 0 is 1 MiB.
	MaxRequest, MaxResponse uint32

	// MaxCalls is the most calls in flight, from accepting a connection to
	// its answer, or to closing it without one. 0 is 4096. Half of them are for whoever comes first; of the other
	// half, one of n users with calls in flight can always have 1/(n*(n+1)), and at
	// least one call while there is room, whatever the others hold. On top of them
	// one place for every 64, and at least one, is reserved for root and the
	// server's own user, to whom shares do not apply.
	MaxCalls int

	// MaxCallsPerUID is the most calls in flight for one connecting user. 0 is
	// 1024 or MaxCalls, whichever is less.
	MaxCallsPerUID int

	// RatePerUID is how many calls a second one connecting user may make, and
	// BurstPerUID how many of them at once after a pause: of a user's calls no more
	// than BurstPerUID + RatePerUID*T go on in any T seconds. A call over that waits
	// for its turn, which no other user notices, and one that would have to wait for
	// more than a second is refused after a second, before rules are asked and
	// anything is read; both are in flight meanwhile. Root and the server's own user
	// are exempt. RatePerUID is from [MinRatePerUID] to [MaxRatePerUID]; 0 is no limit.
	// BurstPerUID is at most [MaxBurstPerUID]; 0 is what a tenth of a second brings,
	// and at least 1.
	RatePerUID  float64
	BurstPerUID int

	// MaxBytesPerUID is the most bytes that buffers take for one connecting user:
	// requests that have arrived in part or wait for their handler to return, and
	// answers that wait for their callers, also in the kernel, if they are over 64 KiB:
	// the call is in flight until the caller has read or closed, without a deadline
	// once the kernel has the answer. What is not counted is a request of up to
	// 16 KiB that arrived in one piece and whose handler runs already. A call that
	// needs more is refused, gets this for an answer, or, with its answer half
	// written, is closed. 0 is 64 MiB,
	// and at least enough for eight of the largest calls; less than one of them needs
	// is an error.
	MaxBytesPerUID int64

	// RequestTimeout bounds the time from accepting a connection until its
	// request is whole. 0 is 5 seconds.
	RequestTimeout time.Duration

	// CallTimeout bounds the time from the whole request until the caller has
	// taken the answer. 0 is 30 seconds.
	CallTimeout time.Duration

	// AllowOtherSender admits requests whose sender is another user or group
	// than the connector, as from a set-user-ID program. The handler must then
	// decide on [Call.Sender] and [Call.Peer] both.
	AllowOtherSender bool

	// Access decides who may call, by the effective user and group that
	// connected, as soon as a connection is accepted and before anything of its
	// request is read. A caller that it does not allow gets the error "access
	// denied" and no reason. nil allows everybody who can connect. A *accessdb.DB
	// of a file costs nanoseconds; one of a directory makes system calls on the
	// event loop for every call.
	Access AccessChecker

	// Audit, if set, is told of every decision of Access before the caller is.
	// It is called on the event loops, by several goroutines at once, and holds
	// up every other call while it runs. If it panics the caller is refused.
	Audit func(AccessDecision)

	// Ended, if set, is told what has become of every connection that was accepted, when
	// [Stats] counts it: before it is closed, and before a caller over whose answer of
	// more than 64 KiB the server watches has read it. It is called on the event loops
	// and elsewhere, by several goroutines at once, and holds up other calls while it
	// runs. If it panics that goes to the log. It may call Close, but not Shutdown, which
	// waits for it.
	Ended func(CallRecord)

	// MeasureLatency makes the server count how long calls take ([Stats.Latency]).
	MeasureLatency bool

	// Takeover makes ListenAndServe take the socket over from a Server with Takeover
	// that runs at the path, of the same user, and offer it to the next one, through
	// the control socket path + ".takeover" of mode 0600. No caller is refused: the
	// running server goes on until Listening has returned here, then stops accepting,
	// answers what it has accepted and returns [ErrTakenOver], and who connects
	// meanwhile is answered by this one. If anything fails before, the running server
	// just goes on. Mode, and Owner and Group if set, must be those of the socket
	// file. Where no server runs it is made. Limits and rates begin anew. A takeover
	// fails after a minute without progress. Serve does not take over ([*ConfigError]).
	Takeover bool

	// Listening, if set, is called once, when the socket listens and the server has
	// opened all that it needs, before the first call is accepted. An error ends
	// Serve, which returns it. It is the place to give up privileges: see package
	// credrpc/sandbox.
	Listening func() error

	// Ready, if set, is called once, when calls are accepted.
	Ready func()

	// Logger gets what the server's operator must know: how it listens, what
	// it had to work around, handlers that panicked. nil is silent.
	Logger *slog.Logger

	mu       sync.Mutex
	starting bool     // Serve has a listener, and Listening or a server that hands it over has not answered yet; guarded by mu
	serving  *serving // set by Serve; guarded by mu
	closed   bool     // Shutdown or Close was called; guarded by mu
}

// Serve answers calls that arrive at l until Shutdown, Close or a failure, and
// returns [ErrServerClosed] or the failure. It takes l over and closes it.
// Processes may serve on one socket, one after the other or together, if all leave it
// non-blocking: Fd of an [os.File] that [net.UnixListener.File] made does not.
//
// l must be a [*net.UnixListener] of network "unix", also one that was
// inherited ([net.FileListener]); anything else is a [*ListenerError]. Serve
// sets SO_PASSCRED on it if it is missing, and logs that the one who made it
// should have: of connections that were queued before, the kernel knows who has sent
// what came before they were accepted or comes after that; a call that arrives in the
// microsecond between is refused. A field that makes no sense is a [*ConfigError]; further errors are
// [ErrNoHandler] and [ErrServing].
func (s *Server) Serve(l net.Listener) error {
	limits, err := s.prepare()
	if err == nil && s.Takeover {
		err = &ConfigError{"Takeover", "is set, but whoever made the listener hands it on; Serve does not"}
	}
	if err != nil {
		if l != nil {
			l.Close()
		}
		return err
	}
	unixListener, ok := l.(*net.UnixListener)
	if !ok {
		if l == nil {
			return &ListenerError{Reason: "is nil"}
		}
		l.Close()
		return &ListenerError{Addr: l.Addr(), Reason: fmt.Sprintf("is a %T; need a *net.UnixListener", l)}
	}
	ln, err := adopt(unixListener, s.logger())
	if err != nil {
		l.Close()
		return err
	}
	return s.serve(ln, limits)
}

// ListenAndServe makes a socket at path and serves it as Serve does.
//
// A path that begins with "@" is an abstract name, which no permissions
// protect: any local user can connect, and Mode, Owner and Group must not be set
// ([*ConfigError]). Otherwise the directory must exist, and neither it nor any other on
// the way may be for others to change ([ErrUntrustedDirectory]). Beside the socket stands path + ".lock",
// which is locked as long as the server lives and never removed. A socket file
// that nobody listens on is replaced; [ErrAddressInUse] reports a live server,
// [ErrNotSocket] any other file. At the end the socket file is removed, if it
// is still the one that was made here. [Server.Takeover] hands it on instead.
func (s *Server) ListenAndServe(path string) error {
	limits, err := s.prepare()
	if err != nil {
		return err
	}
	if strings.HasPrefix(path, "@") && (s.Mode != 0 || s.Owner != nil || s.Group != nil) {
		return &ConfigError{"Mode, Owner, Group", fmt.Sprintf("%q is abstract, no permissions protect it", path)}
	}
	if strings.HasPrefix(path, "@") && s.Takeover {
		return &ConfigError{"Takeover", fmt.Sprintf("%q is abstract, no lock protects it", path)}
	}
	o := listen.Options{Mode: s.Mode, Owner: s.Owner, Group: s.Group, AnyDirectory: s.AllowUntrustedDirectory}
	if o.Mode == 0 {
		o.Mode = 0o600
	}
	open := newListener
	if s.Takeover {
		open = takeOrMake
	}
	ln, err := open(path, o, s.Takeover)
	if err != nil {
		return fmt.Errorf("server: listen on %q: %w", path, err)
	}
	return s.serve(ln, limits)
}

// prepare checks that s can serve, before anything is touched.
func (s *Server) prepare() (limits, error) {
	if s.Handler == nil {
		return limits{}, ErrNoHandler
	}
	if db, ok := s.Access.(*accessdb.DB); ok && db == nil {
		return limits{}, &ConfigError{"Access", "is a nil *accessdb.DB, which can only refuse"}
	}
	if s.Audit != nil && s.Access == nil {
		return limits{}, &ConfigError{"Audit", "is set, but Access, whose decisions it is told, is nil"}
	}
	s.mu.Lock()
	err := s.unusedLocked()
	s.mu.Unlock()
	if err != nil {
		return limits{}, err
	}
	return s.limits()
}

// unusedLocked returns an error if s serves or has served.
func (s *Server) unusedLocked() error {
	switch {
	case s.closed:
		return ErrServerClosed
	case s.starting || s.serving != nil:
		return ErrServing
	}
	return nil
}

func (s *Server) serve(ln *listener, lim limits) error {
	run, err := s.start(ln, lim)
	if err != nil {
		ln.close()
		return err
	}
	if s.Ready != nil {
		s.Ready()
	}
	err = run.wait()
	if err == ErrTakenOver {
		err = s.drain(lim, err)
	}
	return err
}

// start makes the loops and lets them run, unless s was closed before.
func (s *Server) start(ln *listener, lim limits) (*serving, error) {
	run, err := newServing(s, lim, ln)
	if err != nil {
		return nil, err
	}
	if err := s.begin(run); err != nil {
		run.closePollers()
		return nil, err
	}
	return run, nil
}

// begin lets run start once Listening agrees and the listener is its own.
func (s *Server) begin(run *serving) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.unusedLocked(); err != nil {
		return err
	}
	if err := s.agreeLocked(run.ln); err != nil {
		return err
	}
	if s.closed {
		return ErrServerClosed
	}
	s.serving = run
	run.start()
	return nil
}

// agreeLocked calls Listening and has ln handed over if it is another server's, with
// mu unlocked meanwhile.
func (s *Server) agreeLocked(ln *listener) error {
	s.starting = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.starting = false
	}()
	if s.Listening != nil {
		if err := s.Listening(); err != nil {
			return err
		}
	}
	return s.claim(ln)
}

// Shutdown ends the server without losing a call: it takes no new connections,
// answers those in flight and those that wait in the backlog, and returns nil
// when all are done. Connections whose request is not whole have until their
// deadline. The backlog of an inherited listener is left to whoever holds the
// listener next. When ctx ends first Shutdown does what Close does and returns
// the context's error. Serve returns as soon as Shutdown has begun: a program must
// wait for Shutdown before it exits.
func (s *Server) Shutdown(ctx context.Context) error {
	run := s.close()
	if run == nil {
		return nil
	}
	select {
	case <-run.stopped: // an earlier one has done it all
		return nil
	default:
	}
	run.stopAccepting()
	select {
	case <-run.drained:
		run.stopAll()
		<-run.stopped
		return nil
	case <-run.stopped: // by Close
		return nil
	case <-ctx.Done():
		return errors.Join(ctx.Err(), s.Close())
	}
}

// Close ends the server at once: connections are closed, the contexts of
// running handlers end, what those return is dropped. It does not wait for
// handlers.
func (s *Server) Close() error {
	if run := s.close(); run != nil {
		run.stopAll()
	}
	return nil
}

// close notes that s is closed, and returns what runs.
func (s *Server) close() *serving {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.serving
}

// Stats returns the counters. They stay at their last values after the end.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	run := s.serving
	s.mu.Unlock()
	stats := Stats{Refused: make(map[Reason]uint64)}
	if run != nil {
		run.addStats(&stats)
	}
	return stats
}

func (s *Server) logger() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}
