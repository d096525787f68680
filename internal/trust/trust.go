// Package trust finds out who besides root and this process' user may lead a path
// elsewhere: whoever may change one of the directories and symbolic links on the way.
package trust

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links the system follows in one path, see
// path_resolution(7).
const maxLinks = 40

// Walk examines every directory and symbolic link that leads to a path, which is
// absolute, and what is there, and returns the path without links. examine returns the
// mode of a file as lstat(2) does; an error of it ends the walk.
func Walk(path string, examine func(path string) (mode uint32, err error)) (end string, err error) {
	end = "/"
	names := strings.Split(path, "/")
	for links := 0; len(names) > 0; {
		next := filepath.Join(end, names[0]) // ".." is right, since end has no links
		names = names[1:]
		mode, err := examine(next)
		if err != nil {
			return "", err
		}
		if mode&unix.S_IFMT != unix.S_IFLNK {
			end = next
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "open", Path: path, Err: unix.ELOOP}
		}
		target, err := os.Readlink(next)
		if err != nil {
			return "", err
		}
		if filepath.IsAbs(target) {
			end = "/"
		}
		names = append(strings.Split(target, "/"), names...)
	}
	return end, nil
}

// An Error names a file that others may change.
type Error struct {
	Path   string
	Reason string // such as "belongs to uid 1000"
}

func (e *Error) Error() string { return fmt.Sprintf("%q %s", e.Path, e.Reason) }

// Directory returns an [*Error] if somebody else than root, this process' user, and the
// members of the groups of both may replace what is in a directory, or lead its path
// elsewhere. With the sticky bit others may write to it: they can add files, but not
// touch what is not theirs (unlink(2), rename(2)). Relative paths begin in the working
// directory. Another error says that the way could not be examined.
//
// Access lists (acl(5)) are not read: where one lets others write, the group's permission
// shows it, and passes if the group is one of these.
//
// What holds cannot be changed afterwards by anybody whom it excludes.
func Directory(path string) error {
	return walk(path)
}

// File returns what [Directory] does, of a file: that somebody else may write to it, or
// put another in its place.
func File(path string) error {
	return walk(path)
}

func walk(path string) error {
	if !filepath.IsAbs(path) {
		directory, err := os.Getwd()
		if err != nil {
			return err
		}
		path = directory + "/" + path // not cleaned: what ".." means is up to the links before it
	}
	_, err := Walk(path, examine)
	return err
}

// examine returns an error if others may change a file on the way.
func examine(path string) (mode uint32, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return 0, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	kind := st.Mode & unix.S_IFMT
	sticky := kind == unix.S_IFDIR && st.Mode&unix.S_ISVTX != 0
	plain := kind != unix.S_IFLNK && !sticky // where permissions to write say all
	switch {
	case st.Uid != 0 && st.Uid != uint32(os.Geteuid()):
		return 0, &Error{path, fmt.Sprintf("belongs to uid %d", st.Uid)}
	case plain && st.Mode&unix.S_IWOTH != 0:
		return 0, &Error{path, fmt.Sprintf("is writable by everybody (mode %04o)", st.Mode&0o7777)}
	case plain && st.Mode&unix.S_IWGRP != 0 && st.Gid != 0 && st.Gid != uint32(os.Getegid()):
		return 0, &Error{path, fmt.Sprintf("is writable by group %d (mode %04o)", st.Gid, st.Mode&0o7777)}
	}
	return st.Mode, nil
}
