package ipcserver

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// execlineb runs the command lines of rules. Where Debian has it is where Debian's
// s6 looks; the execlineb that is in PATH there is another program, which changes
// PATH first.
const (
	execlineb       = "execlineb"
	debianExeclineb = "/usr/lib/execline/bin/execlineb"
)

// spawn runs the program on an admitted connection.
//
// Until the program has been loaded its process shares the memory of this one and
// runs code of the Go runtime, which does not expect SIGKILL there when C is linked
// in (runtime.inForkedChild is not safe for concurrent forks). So no signal goes to
// a process before it is noted.
func (w *worker) spawn(conn *connection) {
	argv, path := w.options.program, w.programPath
	if command := conn.rule.Command(); command != nil {
		argv, path = command, w.execlinebPath
	}
	w.spawning.RLock()
	pid, err := start(path, argv, &syscall.ProcAttr{
		Env:   w.environment.of(conn),
		Files: []uintptr{uintptr(conn.fd), uintptr(conn.fd), 2},
	})
	if err == nil {
		w.children.note(pid, conn)
	}
	w.spawning.RUnlock()
	if err != nil {
		w.children.release(conn.uid)
		w.log.err("unable to run %s: %v", argv[0], err)
	}
	w.letGo(conn)
}

// start starts a program of which path was the path, "" if it had none.
func start(path string, argv []string, attributes *syscall.ProcAttr) (pid int, err error) {
	if path != "" {
		pid, err = syscall.ForkExec(path, argv, attributes)
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.ENOTDIR) {
			return pid, err
		}
	}
	// It may have moved, or come.
	if path, err = lookUp(argv[0]); err != nil {
		return 0, err
	}
	return syscall.ForkExec(path, argv, attributes)
}

// lookUp returns the path of a program. The directories are those of the server's
// own PATH, whatever a rule says of PATH: that is how the programs of s6 find each
// other. Returns ENOENT.
func lookUp(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	directories, ok := os.LookupEnv("PATH")
	if !ok {
		directories = "/usr/bin:/bin" // as s6 is built
	}
	for _, directory := range filepath.SplitList(directories) {
		if directory == "" {
			continue // it would mean the current directory; s6 skips it too
		}
		path := directory + "/" + name
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil {
			return path, nil
		}
	}
	return "", unix.ENOENT
}
