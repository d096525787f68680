package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// checkWritable reports a file that [writeFile] could not write, unless path is empty.
// It leaves what is there as it is.
func checkWritable(path string) error {
	if path == "" {
		return nil
	}
	target, regular, err := destination(path)
	if err != nil || !regular {
		return err
	}
	f, err := os.OpenFile(beside(target), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// writeFile makes a file of what write writes, unless path is empty.
func writeFile(path string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return replaceFile(path, b.Bytes())
}

// replaceFile has a file hold data, or what it held before if that fails. What is no
// file, such as a pipe, is written to.
func replaceFile(path string, data []byte) error {
	target, regular, err := destination(path)
	if err != nil {
		return err
	}
	if !regular {
		return writeTo(target, os.O_WRONLY, data)
	}
	if err := writeTo(beside(target), os.O_WRONLY|os.O_CREATE|os.O_EXCL, data); err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	if err := os.Rename(beside(target), target); err != nil {
		return errors.Join(err, os.Remove(beside(target)))
	}
	return nil
}

// destination follows symbolic links, and reports whether what is there is a file or
// nothing, rather than a pipe or a device. A directory is an error.
func destination(path string) (target string, regular bool, err error) {
	if target, err = filepath.EvalSymlinks(path); err != nil {
		target = path
	}
	info, err := os.Stat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return target, true, nil
	case err != nil:
		return target, false, err
	case info.IsDir():
		return target, false, &fs.PathError{Op: "write", Path: path, Err: syscall.EISDIR}
	}
	return target, info.Mode().IsRegular(), nil
}

// beside is where a file is written that is to become path.
func beside(path string) string {
	return filepath.Join(filepath.Dir(path), fmt.Sprintf(".credrpc-bench-%d-%s", os.Getpid(), filepath.Base(path)))
}

// writeTo writes data to a file, and removes it again if that fails and it is new.
func writeTo(path string, flags int, data []byte) error {
	f, err := os.OpenFile(path, flags, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err != nil && flags&os.O_EXCL != 0 {
		return errors.Join(err, os.Remove(path))
	}
	return err
}
