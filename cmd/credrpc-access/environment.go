package main

import (
	"credrpc/accessdb"
	"credrpc/internal/sys"
)

// maxLocalPath is how many bytes of a socket's path LOCALPATH gets. The page of s6
// says 99, its program in Debian has 107: all but the last byte of sun_path, which
// hardly anybody uses, see unix(7).
const maxLocalPath = 107

// environment returns environ with what -e or -E do to it.
func (c *commandLine) environment(who caller, environ []string) ([]string, *failure) {
	var changes []accessdb.Modification
	if c.bare {
		changes = append(changes, accessdb.Modification{Name: "PROTO", Unset: true})
		for _, variable := range []string{"REMOTEEUID", "REMOTEEGID", "REMOTEPATH", "LOCALPATH", "CONNNUM"} {
			changes = append(changes, accessdb.Modification{Name: who.proto + variable, Unset: true})
		}
	} else {
		path, failed := c.localPath()
		if failed != nil {
			return nil, failed
		}
		changes = append(changes, accessdb.Modification{Name: who.proto + "LOCALPATH", Value: path})
	}
	env, err := accessdb.NewEnv(changes...)
	if err != nil {
		return nil, &failure{exitSystem, "fatal: unable to update environment: " + reason(err)}
	}
	return env.Apply(environ), nil
}

// localPath returns what -l says, else the path of the socket.
func (c *commandLine) localPath() (string, *failure) {
	if c.localName != nil {
		return *c.localName, nil
	}
	path, errno := sys.LocalPath(0)
	if errno != 0 {
		return "", &failure{exitSystem, "fatal: unable to ipc_local: " + reason(errno)}
	}
	return path[:min(len(path), maxLocalPath)], nil
}
