// Command credrpc serves and calls handlers behind UNIX sockets, with the
// kernel saying who is calling, and makes, asks and examines access rules.
//
//	credrpc serve --listen /run/whoami.sock --mode 0666 --handler whoami --rules /etc/whoami/rules
//	credrpc call /run/whoami.sock
//	credrpc rules compile /etc/whoami/rules /etc/whoami/rules.cdb
//	credrpc rules check --rules /etc/whoami/rules.cdb --uid alice
//
// Exit status of call: 0 answered, 1 the server answered an error, 2 wrong
// usage, 3 the server could not be reached, was too slow, or broke the protocol.
// Exit status of top: 0 ended as asked, 2 wrong usage, 3 the server could not be
// reached or has ended.
// Exit status of serve: 0 after SIGTERM or SIGINT, 1 failed, 2 wrong usage.
// Exit status of rules: 0 done, for check allowed, for lint nothing found; 1 for
// check denied, for lint something found; 2 wrong usage; 111, as the programs of s6,
// rules that are wrong or cannot be read or written.
//
// The fields of what rules check, list and lint print with --json are stable;
// "credrpc rules check --help" and so on list them.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"credrpc/internal/completion"
	"credrpc/internal/manpage"
	"credrpc/internal/settings"
	"credrpc/internal/version/versioncmd"

	"github.com/alecthomas/kong"
)

// Exit statuses.
const (
	exitOK          = 0
	exitFailed      = 1 // serve failed, the server answered an error, rules denied or found fault
	exitUsage       = 2
	exitUnreachable = 3   // no answer
	exitSystem      = 111 // rules: an error of the system or in the rules
)

// A streams is where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// commandLine is what kong parses.
type commandLine struct {
	Man manpage.Flag `hidden:"" help:"Write the manual page and exit."`

	Serve      serveCommand       `cmd:"" help:"Serve a handler on a socket until SIGTERM or SIGINT."`
	Call       callCommand        `cmd:"" help:"Make one call and write the answer to standard output."`
	Rules      rulesCommand       `cmd:"" help:"Make, ask and examine access rules."`
	Top        topCommand         `cmd:"" help:"Show what a server does, second by second, from its control socket or its metrics."`
	Unit       unitCommand        `cmd:"" help:"Print systemd units and an AppArmor profile for a service with given flags."`
	Config     configCommand      `cmd:"" help:"Examine the settings of serve, from flags, environment and file."`
	Version    versioncmd.Command `cmd:"" help:"Print which build of the program this is."`
	Completion completion.Command `cmd:"" help:"Write completions for a shell."`
	IPCServer  ipcserverCommand   `cmd:"" name:"ipcserver" passthrough:"" help:"Run a program for every connection to a socket, as s6-ipcserver does, with access rules inside."`
}

// An exitError decides the exit status.
type exitError struct {
	status int
	err    error // nil if the user has been told
}

func (e *exitError) Error() string { return fmt.Sprint(e.err) }
func (e *exitError) Unwrap() error { return e.err }

func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

func main() {
	if setID() {
		os.Clearenv()
	}
	os.Exit(run(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// setID reports whether this program has a set-user-ID or set-group-ID bit and somebody else
// has started it. Then nothing in the environment counts: not the settings of a server, nor
// sockets that are passed to it, whom it notifies, and where programs are looked for.
func setID() bool { return os.Getuid() != os.Geteuid() || os.Getgid() != os.Getegid() }

// commandOf returns the command whose arguments err is about.
func commandOf(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context.Selected() != nil {
		return parse.Context.Selected().FullPath()
	}
	return "credrpc"
}

// run parses args, runs the command and returns the exit status.
func run(args []string, s streams) (status int) {
	return new(commandLine).run(args, s, os.Environ())
}

func (cli *commandLine) run(args []string, s streams, environ settings.Environment) (status int) {
	exited := -1
	parser, err := cli.parser(s, func(status int) { exited = status }, environ)
	if err != nil {
		panic(err) // the struct tags are wrong
	}
	command, err := parser.Parse(args)
	err = hintAtRules(err)
	if exited >= 0 {
		return exited // --help
	}
	if err != nil {
		fmt.Fprintf(s.err, "credrpc: %v\n%s\n", cli.explain(err), cli.hint(err))
		return exitUsage
	}
	if err = onlyOneSocket(command); err == nil {
		err = cli.explain(command.Run())
	}
	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case !errors.As(err, &exit):
		exit = &exitError{exitFailed, err}
	}
	if exit.err != nil {
		fmt.Fprintf(s.err, "credrpc: %v\n", err)
	}
	return exit.status
}

// onlyOneSocket refuses a second --listen: of two the last would be served, and nobody would
// hear that the first is not.
func onlyOneSocket(command *kong.Context) error {
	sockets := 0
	for _, element := range command.Path {
		if element.Flag != nil && element.Flag.Name == "listen" && !element.Resolved {
			sockets++
		}
	}
	if sockets > 1 {
		return usageError("--listen is given more than once; for several sockets run a server each, or --listen systemd:")
	}
	return nil
}

// hint says where the right usage stands: that of a command line, or of a file of settings.
func (cli *commandLine) hint(err error) string {
	if cli.Serve.onlyCheck {
		return `Run "credrpc config example" for a file with every setting.`
	}
	return fmt.Sprintf("Run \"%s --help\" for usage.", commandOf(err))
}

// parser returns the parser of the command line.
func (cli *commandLine) parser(s streams, exit func(status int), environ settings.Environment) (*kong.Kong, error) {
	return kong.New(cli,
		kong.Name("credrpc"),
		kong.Description("Local calls to privileged services, in which the kernel says who is calling."),
		kong.Writers(s.out, s.err),
		kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Bind(s, manualSections, environ),
		kong.PostBuild(showSettings),
		kong.PostBuild(hideServing),
	)
}
