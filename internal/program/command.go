package program

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"

	"credrpc/server"
)

// safePath is the PATH of programs: the directories that only the system's own
// packages write to.
const safePath = "/usr/sbin:/usr/bin:/sbin:/bin"

// execlineName is the program that runs the exec of a rule: see
// [accessdb.Result.Command].
const execlineName = "execlineb"

// errNoExecline says why a rule's exec is not run.
var errNoExecline = errors.New(`execlineb was not in PATH when the server started; install the package "execline"`)

// lookUp returns the absolute path of a program: name itself if it has a slash,
// else the first executable of that name in the PATH of this process. One that is
// found in a relative directory of PATH is refused.
func lookUp(name string) (path string, err error) {
	path, err = exec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	var inner *exec.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	if err != nil {
		return "", fmt.Errorf("program %q: %w", name, err)
	}
	return path, nil
}

// A command is what to start.
type command struct {
	path        string
	arguments   []string
	environment []string
}

// command returns what to start for call.
func (h *Handler) command(call *server.Call) (command, error) {
	cmd := command{h.program, h.arguments, h.environment(call)}
	if line := call.Access.Command(); line != nil {
		if h.execline == "" {
			return command{}, errNoExecline
		}
		cmd.path, cmd.arguments = h.execline, line
	}
	return cmd, nil
}

// environment returns the whole environment of a program. Nothing of it comes
// from the environment of this process or from the bytes of the request.
func (h *Handler) environment(call *server.Call) []string {
	env := []string{
		"PATH=" + safePath,
		"PROTO=IPC",
		"IPCREMOTEPID=" + strconv.Itoa(call.Peer.PID()),
		"IPCREMOTEEUID=" + strconv.FormatUint(uint64(call.Peer.UID()), 10),
		"IPCREMOTEEGID=" + strconv.FormatUint(uint64(call.Peer.GID()), 10),
		"IPCLOCALPATH=" + h.localPath,
	}
	if rule := call.Access.Key.String(); rule != "" {
		env = append(env, "IPCRULE="+rule)
	}
	return call.Access.Env.Apply(env)
}
