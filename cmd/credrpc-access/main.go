package main

import (
	"os"
	"strconv"

	"credrpc/accessdb"
	"credrpc/internal/sys/inherited"
)

// Exit statuses. Whatever becomes of the program itself is its own.
const (
	exitDenied        = 1
	exitUsage         = 100
	exitSystem        = 111
	exitCannotExecute = 126
	exitNoProgram     = 127
)

func main() {
	inherited.RestoreSignals()
	f := run(os.Args[1:], os.Environ())
	if f.text != "" {
		say(f.text)
	}
	os.Exit(f.status)
}

// A failure is why the program is not run.
type failure struct {
	status int
	text   string // for standard error, or "" if all has been said
}

// run answers for one connection. It returns only if this process has not become
// the program.
func run(args, environ []string) *failure {
	c, ok := parse(args)
	if !ok {
		return &failure{exitUsage, usage}
	}
	who, failed := connected()
	if failed != nil {
		return failed
	}
	result, failed := c.check(who)
	if failed != nil {
		return failed
	}
	inherited.CloseAgain() // nothing is opened from here on
	if result.Decision != accessdb.Allow {
		if c.verbosity >= 2 {
			say("info: deny" + who.String() + ": " + refusal(result.Decision))
		}
		return &failure{status: exitDenied}
	}
	if c.verbosity >= 1 {
		say("info: allow" + who.String())
	}
	environ, failed = c.environment(who, result.Env.Apply(environ))
	if failed != nil {
		return failed
	}
	if command := result.Command(); command != nil {
		return become(command, environ)
	}
	return become(c.program, environ)
}

// A caller is who has connected, as the server before this program says.
type caller struct {
	proto    string
	uid, gid uint32
}

// connected reads the caller from the environment.
func connected() (who caller, failed *failure) {
	proto, ok := os.LookupEnv("PROTO")
	if !ok {
		return who, &failure{exitUsage, "fatal: PROTO not set"}
	}
	who.proto = proto
	if who.uid, failed = variableID(proto + "REMOTEEUID"); failed != nil {
		return who, failed
	}
	who.gid, failed = variableID(proto + "REMOTEEGID")
	return who, failed
}

// variableID reads an id from a variable. The largest number of 32 bits is none, see
// [accessdb.ErrInvalidID].
func variableID(name string) (uint32, *failure) {
	value, ok := os.LookupEnv(name)
	if !ok {
		return 0, &failure{exitUsage, "fatal: " + name + " not set"}
	}
	id, ok := number(value)
	if !ok || id == 1<<32-1 {
		return 0, &failure{exitUsage, "fatal: invalid $" + name}
	}
	return id, nil
}

// number reads a decimal number of 32 bits without a sign.
func number(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}

// String says who it is in the words of a message, this process being its server.
func (who caller) String() string {
	return " pid " + strconv.Itoa(os.Getpid()) +
		" uid " + strconv.FormatUint(uint64(who.uid), 10) +
		" gid " + strconv.FormatUint(uint64(who.gid), 10)
}
