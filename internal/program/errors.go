package program

import "errors"

// errNoProgram reports a [Config] without Program.
var errNoProgram = errors.New("no program to run")

// What callers are told when their program does not run. Why is for the log.
var (
	// errDenied reports a call that no rule has allowed. The server refuses such
	// calls in the same words before any handler sees them.
	errDenied = errors.New("access denied")

	// errCannotRun reports a program that cannot be started.
	errCannotRun = errors.New("the program cannot be run")

	// errLost reports a program of which nobody knows how it ended.
	errLost = errors.New("the program is lost")
)
