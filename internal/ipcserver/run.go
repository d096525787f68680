package ipcserver

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"credrpc/accessdb"
	"credrpc/internal/idspace"

	"golang.org/x/sys/unix"
)

// lastPatience bounds how long the end of the server waits for programs that are
// being started.
const lastPatience = 2 * time.Second

// workersPerProcessor is how many programs are being loaded at a time, for each
// processor. A worker's thread that waits for that keeps its place among the
// GOMAXPROCS that run Go code, so that there are as many of these. With one, a
// program of three system calls was run 0.77 times as often as s6-ipcserver runs
// it, with four 1.16 times; medians of 11 rounds of 0.6 s, 16 callers, 2
// processors that others used too.
const workersPerProcessor = 4

// spareThreads is how many threads there are beside those of workers and
// undertakers: for the reaper, signals, the rules' watcher and the runtime's own
// work.
const spareThreads = 16

// Run is the command: it runs a server as args say, until a signal ends it, and
// returns the exit status. What is asked for goes to out, what is wrong with args to complaints;
// messages of the server go to standard error. The process belongs to it: it
// changes its ids, uses its standard input and output up and reaps its children,
// and must end when Run has returned.
func Run(args []string, out, complaints io.Writer) (status int) {
	o, err := parse(args)
	switch {
	case errors.Is(err, errHelp):
		fmt.Fprint(out, help)
		return 0
	case err != nil:
		fmt.Fprintf(complaints, "%s: %v\n%s", name, err, usage)
		return statusUsage
	}
	log := logger{o.verbosity}
	if err := serve(o, log); err != nil {
		log.fatal("%v", err)
		var f *failure
		if errors.As(err, &f) {
			return f.status
		}
		return statusSystem
	}
	return 0
}

// serve is the life of a server.
func serve(o *options, log logger) error {
	if err := clearSignalMask(); err != nil {
		return failed("clear the signal mask", err)
	}
	listener, err := openListener(o)
	if err != nil {
		return err
	}
	if err := o.dropPrivileges(); err != nil {
		return err
	}
	s, err := newServer(o, log, listener)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGABRT)
	if s.rules != nil {
		signal.Notify(signals, unix.SIGUSR1)
	}
	if log.at(verbose) {
		log.info("starting")
	}
	s.children.logStatus()
	if err := useUpStandardStreams(o.notify); err != nil {
		return failed("prepare standard input and output", err)
	}
	if err := s.start(); err != nil {
		return err
	}
	return s.obey(signals)
}

// clearSignalMask makes sure that programs start with no signal blocked. The Go
// runtime gives them the mask that this process started with, so that the process
// has to start again with another one. Signals that the runtime unblocks for
// itself, such as SIGCHLD, cannot be seen here.
func clearSignalMask() error {
	runtime.LockOSThread() // a mask belongs to a thread, see signal(7)
	defer runtime.UnlockOSThread()
	var mask, empty unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, nil, &mask); err != nil || mask == empty {
		return err
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &empty, nil); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
}

// useUpStandardStreams tells whoever waits that the server is ready, if that is
// wanted, and puts /dev/null in the place of standard input and output: both are
// the connection for programs, and nothing for the server.
func useUpStandardStreams(notify bool) error {
	if notify {
		if _, err := unix.Write(1, []byte{'\n'}); err != nil {
			return err
		}
	}
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(null)
	for _, fd := range []int{0, 1} {
		if err := unix.Dup3(null, fd, unix.O_CLOEXEC); err != nil {
			return err
		}
	}
	return nil
}

// A server is what is running.
type server struct {
	options       *options
	log           logger
	listener      *listener
	rules         *accessdb.DB // nil: everybody may connect
	ids           idspace.Space
	environment   *environment
	programPath   string // "" if there was no such program
	execlinebPath string // likewise
	children      *children
	wakeup        int // an eventfd: the leader has something else to do than to wait
	graveyard     *graveyard
	hurrier       *hurrier

	lead        sync.Mutex   // held by the leader
	pauseLogged time.Time    // guarded by lead
	spawning    sync.RWMutex // see the package's documentation
	closing     atomic.Bool  // accept nothing more
	workers     sync.WaitGroup
	failures    chan error // what ends the server early
}

func newServer(o *options, log logger, l *listener) (*server, error) {
	s := &server{
		options: o, log: log, listener: l,
		ids:      idspace.Read(),
		failures: make(chan error, 1),
	}
	var err error
	if s.wakeup, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, failed("create eventfd", err)
	}
	s.hurrier = newHurrier()
	if s.graveyard, err = newGraveyard(); err != nil {
		return nil, failed("create socket pair", err)
	}
	s.children = newChildren(o, log, s.wake)
	if s.rules, err = openRules(o, log); err != nil {
		return nil, err
	}
	if s.environment, err = newEnvironment(o, l.name, os.Environ()); err != nil {
		return nil, failed("prepare the environment", err)
	}
	if s.programPath, err = lookUp(o.program[0]); err != nil && log.at(normal) {
		log.warning("%s: %v; it is looked for again when somebody connects", o.program[0], err)
	}
	s.execlinebPath = debianExeclineb
	if unix.Access(debianExeclineb, unix.X_OK) != nil {
		s.execlinebPath, _ = lookUp(execlineb) // not every set of rules needs it
	}
	return s, nil
}

// openRules opens the rules that the options name.
func openRules(o *options, log logger) (*accessdb.DB, error) {
	if o.rules == noRules {
		return nil, nil
	}
	info, err := os.Stat(o.rulesPath)
	switch {
	case err != nil:
		return nil, failed("open rules", err)
	case o.rules == rulesDirectory && !info.IsDir():
		return nil, failed("open rules "+o.rulesPath, errors.New("is not a directory; compiled rules need -x"))
	case o.rules == rulesFile && info.IsDir():
		return nil, failed("open rules "+o.rulesPath, errors.New("is a directory, which needs -i"))
	}
	db, err := accessdb.Open(o.rulesPath, accessdb.Options{Identity: o.identity, Logger: log.slog()})
	if err != nil {
		return nil, failed("open rules", err)
	}
	return db, nil
}

// start starts everything that runs by itself.
func (s *server) start() error {
	// The runtime's poller makes its descriptors with the first pipe. Every thread
	// must have them before it gets a table of its own.
	reader, writer, err := os.Pipe()
	if err != nil {
		return failed("create pipe", err)
	}
	reader.Close()
	writer.Close()
	go s.reap()
	go s.hurrier.main()
	for range undertakers {
		go s.graveyard.undertake(s.hurrier)
	}
	n := workersPerProcessor * runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(n)
	provideThreads(n + undertakers + spareThreads)
	for range n {
		s.workers.Go((&worker{server: s}).run)
	}
	return nil
}

// provideThreads makes n threads, which the runtime keeps. If it had to make one
// when there are as many processes as there may be (setrlimit(2), RLIMIT_NPROC, or
// pids.max of a cgroup) it would end this one.
func provideThreads(n int) {
	var made, released sync.WaitGroup
	made.Add(n)
	for range n {
		released.Go(func() {
			runtime.LockOSThread() // so that no other can use the thread
			defer runtime.UnlockOSThread()
			made.Done()
			made.Wait()
		})
	}
	released.Wait()
}

// fail ends the server because of err.
func (s *server) fail(err error) {
	select {
	case s.failures <- err:
	default: // one failure is enough
	}
}

// obey does what signals say until one of them, or a failure, ends the server.
func (s *server) obey(signals <-chan os.Signal) error {
	for {
		select {
		case err := <-s.failures:
			s.stop()
			return err
		case received := <-signals:
			if s.handle(received) {
				continue
			}
			if s.log.at(verbose) {
				s.log.info("exiting")
			}
			return nil
		}
	}
}

// handle does what a signal says. It returns false if that ends the server.
func (s *server) handle(received os.Signal) (goOn bool) {
	tell := func(format string) {
		if s.log.at(verbose) {
			s.log.info(format)
		}
	}
	switch received {
	case unix.SIGHUP:
		tell("received SIGHUP, sending SIGTERM+SIGCONT to all connections")
		s.signalAll(unix.SIGTERM, unix.SIGCONT)
		return true
	case unix.SIGUSR1:
		tell("received SIGUSR1, loading the rules")
		_ = s.rules.Reload() // which says itself what is wrong
		return true
	case unix.SIGQUIT:
		tell("received SIGQUIT, sending SIGTERM+SIGCONT to all connections and quitting")
		s.stop()
		s.signalAll(unix.SIGTERM, unix.SIGCONT)
	case unix.SIGABRT:
		tell("received SIGABRT, sending SIGKILL to all connections and quitting")
		s.stop()
		s.signalAll(unix.SIGKILL)
	default:
		tell("received SIGTERM, quitting")
		s.stop()
	}
	return false
}

// signalAll signals all programs, also those that are being started.
func (s *server) signalAll(signals ...unix.Signal) {
	s.spawning.Lock()
	defer s.spawning.Unlock()
	s.children.signal(signals...)
}

// stop ends accepting. What was accepted gets its program.
func (s *server) stop() {
	s.closing.Store(true)
	s.wake()
	stopped := make(chan struct{})
	go func() {
		s.workers.Wait()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-time.After(lastPatience):
	}
}
