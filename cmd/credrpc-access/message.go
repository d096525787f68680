package main

import (
	"errors"

	"golang.org/x/sys/unix"

	"credrpc/accessdb"
	"credrpc/accessdb/cdb"
)

const name = "credrpc-access"

// say writes a line to standard error, at once so that the lines of many processes
// do not mix. Nobody could be told that it fails.
func say(text string) {
	line := []byte(name + ": " + text + "\n")
	for len(line) > 0 {
		n, err := unix.Write(2, line)
		if err != nil && err != unix.EINTR {
			return
		}
		line = line[max(n, 0):]
	}
}

// reason is the last part of a message about an error: the words of strerror(3), with
// the capital that they have in C, if it is one of the system.
func reason(err error) string {
	var format *cdb.FormatError
	var errno unix.Errno
	switch {
	case errors.As(err, &format):
		return format.Error()
	case errors.Is(err, accessdb.ErrMalformedRule):
		errno = unix.EINVAL
	case errors.Is(err, accessdb.ErrFileTooLarge):
		errno = unix.EOVERFLOW
	case errors.As(err, &errno):
	case errors.Is(err, accessdb.ErrNotRules):
		return "Not a regular file"
	default:
		return err.Error()
	}
	text := []byte(errno.Error())
	if 'a' <= text[0] && text[0] <= 'z' {
		text[0] -= 'a' - 'A'
	}
	return string(text)
}
