//go:build linux

package accessdb

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"credrpc/internal/trust"

	"golang.org/x/sys/unix"
)

// rulesDepth is how far below a rules directory the last file of a rule lies:
// KIND/NAME/env/VARIABLE.
const rulesDepth = 4

// permissions examines the way to a path and what is there.
func (l *linter) permissions(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	end, err := l.way(path)
	if err != nil {
		return err
	}
	return l.tree(end, rulesDepth)
}

// way examines every directory and symbolic link that leads to a path, which is
// absolute, and returns the path without links. Whoever may change one of them may
// lead the server to other rules.
func (l *linter) way(path string) (end string, err error) {
	return trust.Walk(path, func(path string) (uint32, error) { return l.examine(path, false) })
}

// tree examines what is at a path without links, and, if that is a directory, what
// is in it to a depth, wherever links from there lead.
func (l *linter) tree(path string, depth int) error {
	mode, err := l.examine(path, true)
	if err != nil || mode&unix.S_IFMT != unix.S_IFDIR || depth == 0 {
		return err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		next := filepath.Join(path, entry.Name())
		if entry.Type()&fs.ModeSymlink != 0 {
			next, err = l.way(next)
			if errors.Is(err, fs.ErrNotExist) {
				continue // as good as absent
			}
			if err != nil {
				return err
			}
		}
		if err := l.tree(next, depth-1); err != nil {
			return err
		}
	}
	return nil
}

// examine reports a file that somebody other than root and this process' user may
// change, once, and returns its mode. In a directory with the sticky bit they may
// not touch what is not theirs; but they may add to it, which matters where rules
// are. The permissions of a link say nothing.
func (l *linter) examine(path string, rules bool) (mode uint32, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return 0, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	if l.writable[path] {
		return st.Mode, nil
	}
	link := st.Mode&unix.S_IFMT == unix.S_IFLNK
	sticky := !rules && st.Mode&unix.S_IFMT == unix.S_IFDIR && st.Mode&unix.S_ISVTX != 0
	before := len(l.findings)
	switch {
	case link || sticky:
	case st.Mode&unix.S_IWOTH != 0:
		l.add(FindingWritable, path, "writable by everybody (mode %04o)", st.Mode&0o7777)
	case st.Mode&unix.S_IWGRP != 0:
		l.add(FindingWritable, path, "writable by group %d (mode %04o)", st.Gid, st.Mode&0o7777)
	}
	if st.Uid != 0 && st.Uid != uint32(os.Geteuid()) {
		l.add(FindingWritable, path, "belongs to uid %d", st.Uid)
	}
	if len(l.findings) > before {
		l.writable[path] = true
	}
	return st.Mode, nil
}
