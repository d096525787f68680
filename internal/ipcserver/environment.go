package ipcserver

import (
	"slices"
	"strconv"

	"credrpc/accessdb"
)

// localPath is the variable with the path of the server's socket.
const localPath = "IPCLOCALPATH"

// An environment makes the environments of programs.
type environment struct {
	base  []string     // what all of them have
	tell  bool         // whether programs learn who the caller is
	after accessdb.Env // changes that come after those of a rule
}

// newEnvironment prepares environments as the options want them, for a socket with
// that path, on top of the server's own environment.
func newEnvironment(o *options, socket string, own []string) (*environment, error) {
	if o.localName != nil {
		socket = *o.localName
	}
	set := func(name, value string) accessdb.Modification {
		return accessdb.Modification{Name: name, Value: value}
	}
	unset := func(name string) accessdb.Modification {
		return accessdb.Modification{Name: name, Unset: true}
	}
	before := []accessdb.Modification{
		unset("IPCREMOTEEUID"), unset("IPCREMOTEEGID"), unset("IPCREMOTEPATH"), unset("IPCCONNNUM"),
	}
	var after []accessdb.Modification
	switch {
	case o.environment == environmentWithheld:
		before = append(before, unset("PROTO"), unset(localPath))
		after = before
	case o.environment == environmentFull || o.localName != nil || o.rules != noRules:
		after = append(after, set(localPath, socket))
		before = append(before, set("PROTO", "IPC"), after[0])
	default:
		before = append(before, set("PROTO", "IPC"))
	}
	e := &environment{tell: o.environment != environmentWithheld}
	changes, err := accessdb.NewEnv(before...)
	if err != nil {
		return nil, err
	}
	e.base = changes.Apply(own)
	e.after, err = accessdb.NewEnv(after...)
	return e, err
}

// of returns the environment of the program for a connection.
func (e *environment) of(conn *connection) []string {
	env := slices.Grow(slices.Clone(e.base), 4)
	if e.tell {
		number := "IPCCONNNUM="
		if conn.known {
			env = append(env,
				"IPCREMOTEEUID="+strconv.FormatUint(uint64(conn.uid), 10),
				"IPCREMOTEEGID="+strconv.FormatUint(uint64(conn.gid), 10))
			number += strconv.Itoa(conn.number)
		}
		env = append(env, number, "IPCREMOTEPATH="+conn.path)
	}
	if conn.rule.Env.IsZero() {
		return env
	}
	return e.after.Apply(conn.rule.Env.Apply(env))
}
