package main

import (
	"errors"

	"credrpc/bench/suite"
)

// A targetFlags says which server is measured: one that is started, or one that runs.
type targetFlags struct {
	Loops  int    `default:"0" help:"Event loops of package server, threads of the floor; 0 is its default."`
	Rules  string `placeholder:"PATH" help:"Access rules of package server, a file or a directory, and of s6; without them everybody may call but --hostile denied."`
	Socket string `placeholder:"PATH" help:"Socket of a server that runs already and echoes, instead of --server."`
	PID    int    `name:"pid" placeholder:"PID" help:"With --socket: the server's process, whose use of the machine is then measured."`
	Cores  int    `placeholder:"N" help:"With --socket: how many cores the server can use; 0 is all."`
}

// Validate reports flags that do not go together.
func (f *targetFlags) Validate() error {
	switch {
	case f.Socket != "" && (f.Rules != "" || f.Loops != 0):
		return errors.New("--rules and --loops are for a server that is started, not for one at --socket")
	case f.Socket == "" && (f.PID != 0 || f.Cores != 0):
		return errors.New("--pid and --cores are for a server at --socket; that of a server that is started is known")
	case f.Loops < 0 || f.PID < 0 || f.Cores < 0:
		return errors.New("--loops, --pid and --cores are not negative")
	}
	return nil
}

// scenario returns what is said about a server of that name, without the load. A server
// that runs has none.
func (f *targetFlags) scenario(server string) suite.Scenario {
	if f.Socket != "" {
		server = ""
	}
	return suite.Scenario{Server: server, Loops: f.Loops, Rules: f.Rules, Socket: f.Socket, PID: f.PID, Cores: f.Cores}
}
