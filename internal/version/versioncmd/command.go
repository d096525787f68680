// Package versioncmd is the command "version" of programs.
package versioncmd

import (
	"encoding/json"
	"fmt"

	"credrpc/internal/version"

	"github.com/alecthomas/kong"
)

// Command is the command "version" of a program.
type Command struct {
	JSON bool `name:"json" help:"Print a JSON object."`
}

// Help describes the object.
func (*Command) Help() string {
	return `With --json an object:

    version   such as v1.2.3, or devel
    commit    of the source, or empty
    modified  whether the source differed from the commit
    date      of the commit, or empty
    go        version of the compiler
    platform  such as linux/amd64`
}

// Run prints which build of the program this is.
func (c *Command) Run(app *kong.Kong) error {
	if c.JSON {
		return json.NewEncoder(app.Stdout).Encode(version.Read())
	}
	_, err := fmt.Fprintf(app.Stdout, "%s %s", app.Model.Name, version.Read())
	return err
}
