package main

import (
	"errors"

	"golang.org/x/sys/unix"

	"credrpc/accessdb"
	"credrpc/accessdb/cdb"
)

// check asks the rules.
func (c *commandLine) check(who caller) (result accessdb.Result, failed *failure) {
	options := accessdb.Options{Identity: c.identity, Compatible: true}
	var err error
	trying := ""
	switch c.source {
	case directory:
		result, err = accessdb.CheckDirectory(c.rules, options, who.uid, who.gid)
		trying = "check fs ruleset in "
	case file:
		result, err = accessdb.CheckFile(c.rules, options, who.uid, who.gid)
		trying = "cdb_init "
		if errors.Is(err, cdb.ErrMalformed) || errors.Is(err, accessdb.ErrMalformedRule) {
			trying = "check cdb ruleset in "
		}
	default:
		if c.verbosity >= 2 {
			say("warning: invoked without a ruleset!")
		}
		return accessdb.Result{Decision: accessdb.Allow}, nil
	}
	if err != nil {
		return result, &failure{exitSystem, "fatal: unable to " + trying + c.rules + ": " + reason(err)}
	}
	return result, nil
}

// refusal says why a caller is refused.
func refusal(decision accessdb.Decision) string {
	if decision == accessdb.NotFound {
		return reason(unix.ENOENT)
	}
	return reason(unix.EACCES)
}
