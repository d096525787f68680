package main

import (
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// defaultPath is where programs are searched when there is no PATH.
const defaultPath = "/usr/bin:/bin"

// become makes this process the program argv, or says why it is not.
func become(argv, environ []string) *failure {
	err := execute(argv, environ)
	status := exitCannotExecute
	if err == unix.ENOENT {
		status = exitNoProgram
	}
	return &failure{status, "fatal: unable to exec " + argv[0] + ": " + reason(err)}
}

// execute makes this process the program argv. A name without slash is searched in
// the PATH that this process was given, whatever a rule makes of that variable.
// Empty parts of it are skipped: they would mean the working directory.
func execute(argv, environ []string) error {
	if strings.Contains(argv[0], "/") {
		return syscall.Exec(argv[0], argv, environ)
	}
	path, ok := os.LookupEnv("PATH")
	if !ok {
		path = defaultPath
	}
	var failed error = unix.ENOENT
	for directory := range strings.SplitSeq(path, ":") {
		if directory == "" {
			continue
		}
		err := syscall.Exec(directory+"/"+argv[0], argv, environ)
		switch err {
		case unix.ENOENT:
		case unix.EACCES, unix.EPERM, unix.ENOTDIR, unix.EISDIR:
			failed = err // another directory may have a better one
		default:
			return err
		}
	}
	return failed
}
