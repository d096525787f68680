// Package gnetenv takes from the environment what gnet's logger reads when it
// is initialised: GNET_LOGGING_FILE names a file that it would open, and
// GNET_LOGGING_LEVEL can make it panic. A privileged program must do neither on
// the word of its environment.
//
// Importing the package is all there is to it. It imports nothing but os, and
// Go initialises the packages that are ready in the order of their import paths
// (Go specification, "Program initialization"), so it is done before any
// package below github.com. A test in package server checks the outcome.
package gnetenv

import "os"

var _ = scrub("GNET_LOGGING_LEVEL", "GNET_LOGGING_FILE")

func scrub(names ...string) int {
	for _, name := range names {
		os.Unsetenv(name)
	}
	return len(names)
}
