// Command credrpc-chownd gives users files in their own trees. It is the service of
// credrpc-takeown(1), and the example of package credrpc:
//
//	credrpc-chownd --base /srv/chown --from root --rules /etc/credrpc/chown/rules
//
// A caller names a file below the directory of his number, such as
// /srv/chown/1000/report. If it belongs to a user of --from, is a regular file or a
// directory, has one name and no set-id bit, it becomes his. Links are not followed.
//
// It serves the socket that a socket unit hands over (sd_listen_fds(3)), or makes that of
// --listen. Before the first call it gives up all but the capabilities CAP_CHOWN and
// CAP_DAC_READ_SEARCH and reading the rules. Standard error gets a line of JSON for every
// request that reaches the service, for those that are refused before, up to a hundred a
// second, and for what else there is to know.
//
// # Options
//
// These are needed, but for the last:
//
//   - --base DIRECTORY: of the users' trees, which are named by their numbers. It belongs
//     to root. Best is a mount of its own.
//   - --from USER: whose files may be taken, by name or number. May be given several times.
//   - --rules PATH: who may call, a directory or a compiled file of credrpc(1). Everybody
//     must be able to read it, unless the service is root.
//   - --listen PATH: the socket to make, if a socket unit hands none over.
//
// # Signals
//
// SIGTERM and SIGINT end it when what is in flight is answered. SIGHUP loads a file of
// rules; if that fails those in force stay. A directory of rules is read at every call.
//
// # Exit status
//
// 0 ended by a signal, 1 failed, 2 wrong usage.
//
// # See also
//
// credrpc-takeown(1), credrpc(1)
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"credrpc/accessdb"
	"credrpc/audit"
	"credrpc/examples/chown"
	"credrpc/sandbox"
	"credrpc/server"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// options are the command line.
type options struct {
	base, listen, rules string
	from                []uint32
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "credrpc-chownd: %v\nRun \"credrpc-chownd --help\" for usage.\n", err)
		os.Exit(2)
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	if err := run(o, log); err != nil {
		log.Error("ended", "error", err.Error())
		os.Exit(1)
	}
}

// parse makes options of the arguments.
func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("credrpc-chownd", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.base, "base", "", "`directory` of the users' trees, which are named by their numbers, such as /srv/chown")
	flags.StringVar(&o.rules, "rules", "", "`path` of the access rules: a directory or a compiled file")
	flags.StringVar(&o.listen, "listen", "", "`path` of the socket to make, if a socket unit hands none over")
	flags.Func("from", "`user` whose files may be taken, by name or number; may be given several times", func(name string) error {
		id, err := userID(name)
		o.from = append(o.from, id)
		return err
	})
	err = flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Println("Usage: credrpc-chownd --base DIRECTORY --from USER --rules PATH [--listen PATH]\n\nGives users files of others in their own trees.")
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
	}
	if err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.base == "":
		return o, errors.New("--base is missing: say where the users' trees are")
	case o.from == nil:
		return o, errors.New("--from is missing: say whose files may be taken")
	case o.rules == "":
		return o, errors.New("--rules is missing: say who may call")
	}
	return o, nil
}

// userID returns the number of a user.
func userID(name string) (uint32, error) {
	if id, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(id), nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, err
	}
	id, err := strconv.ParseUint(u.Uid, 10, 32)
	return uint32(id), err
}

// run serves until a signal arrives, then answers what is in flight.
func run(o options, log *slog.Logger) error {
	rules, err := accessdb.Open(o.rules, accessdb.Options{Logger: log})
	if err != nil {
		return err
	}
	defer rules.Close()
	refusals, err := logRefusals(os.Stderr, log)
	if err != nil {
		return err
	}
	defer end(refusals, log)
	srv, err := newServer(o, rules, log)
	if err != nil {
		return err
	}
	srv.Ended = refusals.Ended
	hangUps := make(chan os.Signal, 1)
	signal.Notify(hangUps, syscall.SIGHUP)
	defer signal.Stop(hangUps)
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- serve(srv, o.listen) }()
	for stopping := false; !stopping; {
		select {
		case err := <-served:
			return err
		case <-hangUps:
			reload(rules, log)
		case <-stop.Done():
			stopping = true
		}
	}
	ctx, cancelShutdown := context.WithTimeout(context.Background(), srv.CallTimeout+server.DefaultRequestTimeout)
	defer cancelShutdown()
	err = srv.Shutdown(ctx)
	if end := <-served; !errors.Is(end, server.ErrServerClosed) {
		return end
	}
	return err
}

// reload does what SIGHUP asks for.
func reload(rules *accessdb.DB, log *slog.Logger) {
	if err := rules.Reload(); err != nil {
		log.Error("SIGHUP: the rules in force stay", "error", err.Error())
		return
	}
	log.Info("SIGHUP: the rules are loaded")
}

// logRefusals returns a log of requests that do not reach the service, such as those of whom
// no rule allows. Strangers may be many and send as fast as they can, so that it bounds
// the lines, counts those that are missing, and never holds up an event loop. In the sandbox
// there is nothing to see about processes.
func logRefusals(w io.Writer, log *slog.Logger) (*audit.Log, error) {
	return audit.New(audit.Stream(w), audit.Options{Rate: 100, WithoutHints: true, Logger: log})
}

// end writes what is left in refusals.
func end(refusals *audit.Log, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := refusals.Close(ctx); err != nil {
		log.Error("refused requests", "error", err.Error())
	}
}

// newServer makes the server. Its limits are what users who take files by hand or from
// a script can use; see [server.Server].
func newServer(o options, rules *accessdb.DB, log *slog.Logger) (*server.Server, error) {
	service, err := chown.New(o.base, o.from, log)
	if err != nil {
		return nil, err
	}
	return &server.Server{
		Handler:        service,
		Access:         rules,
		Mode:           0o666, // rules decide
		MaxRequest:     chown.MaxRequest,
		MaxResponse:    1 << 10,
		MaxCalls:       256,
		MaxCallsPerUID: 16,
		RatePerUID:     50,
		BurstPerUID:    500,
		CallTimeout:    15 * time.Second,
		Listening:      func() error { return confine(o, log) },
		Logger:         log,
	}, nil
}

// serve serves the socket that was handed over, or makes one.
func serve(srv *server.Server, path string) error {
	inherited, err := activation.Listeners()
	switch {
	case err != nil:
		return err
	case len(inherited) == 0 && path == "":
		return errors.New("there is no socket to serve: start this through credrpc-chown.socket, or make one with --listen")
	case len(inherited) == 0:
		return srv.ListenAndServe(path)
	case len(inherited) > 1 || path != "":
		return fmt.Errorf("%d sockets were handed over: want one, and no --listen", len(inherited))
	}
	if _, ok := inherited[0].(*net.UnixListener); !ok {
		return errors.New("what was handed over is no UNIX stream socket (ListenStream= with a path)")
	}
	return srv.Serve(inherited[0])
}

// confine tells the service manager that callers can connect, which a confined process
// could not, and gives up everything but changing owners and reading the rules. Callers
// wait in the backlog meanwhile, and if it fails nobody is served.
func confine(o options, log *slog.Logger) error {
	if _, err := daemon.SdNotify(true, daemon.SdNotifyReady); err != nil {
		return fmt.Errorf("telling the service manager: %w", err)
	}
	kept, err := keep(o)
	if err != nil {
		return err
	}
	report, err := sandbox.Apply(kept)
	if err != nil {
		return err
	}
	log.Info("serving", "base", o.base, "sandbox", report)
	return nil
}

// keep says what serving needs. The base directory is not among the files: paths are
// only named there (O_PATH), which needs no right of Landlock.
func keep(o options) (sandbox.Options, error) {
	kept := sandbox.Options{
		Read:         []string{o.rules},
		Capabilities: []string{"CAP_CHOWN", "CAP_DAC_READ_SEARCH"},
		SystemCalls:  []string{"openat2"},
	}
	if info, err := os.Stat(o.rules); err != nil {
		return kept, err
	} else if !info.IsDir() {
		kept.Read[0] = filepath.Dir(o.rules) // a new file takes the place of the old one
	}
	if o.listen != "" && !strings.HasPrefix(o.listen, "@") {
		kept.Remove = []string{filepath.Dir(o.listen)}
	}
	return kept, nil
}
