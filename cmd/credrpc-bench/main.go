package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"credrpc/bench/gnetserver"
	"credrpc/bench/report"
	"credrpc/bench/suite"
	"credrpc/internal/completion"
	"credrpc/internal/manpage"
	"credrpc/internal/version/versioncmd"

	"github.com/alecthomas/kong"
)

// exitUsage is the exit status of a wrong command line.
const exitUsage = 2

// commands is the command line. Each command has a Run method.
type commands struct {
	Man manpage.Flag `hidden:"" help:"Write the manual page and exit."`

	Quick      quickCommand       `cmd:"" default:"withargs" help:"Compare all servers under the same loads: about a minute. This is the default, whose flags need no command; \"credrpc-bench quick --help\" lists them, and the servers."`
	Suite      suiteCommand       `cmd:"" help:"Measure everything, unattended: about ten minutes."`
	Run        runCommand         `cmd:"" help:"Make one load, of any kind, on one server and say everything about it."`
	Compare    compareCommand     `cmd:"" help:"Compare two results, that of before a change and that of after it."`
	FindMax    findMaxCommand     `cmd:"" name:"find-max" help:"Find the highest rate of arrivals at which a service-level objective holds: some minutes."`
	Sweep      sweepCommand       `cmd:"" help:"Find the best settings of package server for this machine: about three minutes."`
	Soak       soakCommand        `cmd:"" help:"Have a server serve for minutes or hours and find out whether its memory or descriptors grow."`
	Sleepers   sleepersCommand    `cmd:"" help:"Measure what calls whose handler sleeps do to the other calls."`
	UCSPI      ucspiCommand       `cmd:"" name:"ucspi" help:"Compare servers that run a program for every connection: those of s6 and credrpc ipcserver."`
	Ladder     ladderCommand      `cmd:"" help:"Measure what each step of trust costs: no credentials, one kind, both, access rules, the programs of s6: about two minutes."`
	Watched    watchedCommand     `cmd:"" help:"Measure what metrics and an audit log cost: about two minutes."`
	Peers      peersCommand       `cmd:"" help:"Compare with other RPC systems: ttrpc, gRPC, net/rpc. About a minute."`
	Clients    clientsCommand     `cmd:"" help:"Compare package client with a client in C and one over package net: about three minutes."`
	Idle       idleCommand        `cmd:"" help:"Measure what connections that send nothing do to memory and to the other calls."`
	Report     reportCommand      `cmd:"" help:"Show result files: as one HTML page, as plots, as the table of the README."`
	Strace     straceCommand      `cmd:"" help:"Count system calls a call, where strace is installed."`
	Load       loadCommand        `cmd:"" help:"Make load on a running server, which must echo."`
	Server     serverCommand      `cmd:"" help:"Run one of the servers alone."`
	Version    versioncmd.Command `cmd:"" help:"Print which build of the program this is."`
	Completion completion.Command `cmd:"" help:"Write completions for a shell."`
	Hold       holdCommand        `cmd:"" hidden:"" help:"Hold connections that send nothing."`
	Callers    callersCommand     `cmd:"" hidden:"" help:"Be the callers of a client."`
	Part       partCommand        `cmd:"" hidden:"" help:"Be a part of a load."`
}

func main() {
	gnetserver.StopPool() // what is measured here has no other goroutines
	var c commands
	parser := kong.Must(&c,
		kong.Name("credrpc-bench"),
		kong.Description("Compares servers of the one-call-per-connection protocol under the same load."),
		kong.Vars{"steps": strings.Join(suite.LadderSteps(), ","), "scenarios": strings.Join(suite.Scenarios(), ","),
			"rounds": strconv.Itoa(report.MinRounds)},
		kong.Bind(manualSections))
	command, err := parser.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "credrpc-bench: %v\nRun \"%s --help\" for usage.\n", err, commandOf(err))
		os.Exit(exitUsage)
	}
	command.FatalIfErrorf(command.Run())
}

// commandOf returns the command whose arguments err is about. A word that is no command
// is an argument of the default one, which has none, but is not about it.
func commandOf(err error) string {
	var parse *kong.ParseError
	if !errors.As(err, &parse) || parse.Context.Selected() == nil {
		return "credrpc-bench"
	}
	selected := parse.Context.Selected()
	if selected.Name == "quick" && strings.HasPrefix(err.Error(), "unexpected argument") {
		return "credrpc-bench"
	}
	return selected.FullPath()
}

// errAnswers reports calls that were not answered right.
var errAnswers = errors.New("not every call was answered right")

// A bench is a benchmark and what its command shows.
type bench struct {
	suite.Bench
	ctx      context.Context // ends with SIGINT and SIGTERM
	progress *progress
}

// withBench calls f with a benchmark whose children run this program. If json is
// not empty it checks before that a result can be written there.
func withBench(json string, f func(b *bench) error) error {
	if err := checkWritable(json); err != nil {
		return err
	}
	p := newProgress()
	// The file that this process runs, even if another was built since.
	self := fmt.Sprintf("/proc/%d/exe", os.Getpid())
	b := &bench{Bench: suite.Bench{Self: self, Progress: p.show}, progress: p}
	var stop func()
	b.ctx, stop = interruptible(p, b.Abandon)
	defer stop()
	defer b.Close()
	return f(b)
}
