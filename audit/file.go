package audit

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// DefaultMaxSize is a greatest size of a file, in bytes: two to three million records.
const DefaultMaxSize = 1 << 30

// ErrFull reports a file that has reached its greatest size. Records are dropped until it
// is rotated.
var ErrFull = errors.New("audit: the file has reached its greatest size; rotate it and send SIGHUP, or allow more")

// OpenFile opens the file at path, or makes it with mode 0600, to append records to it
// until it has maxSize bytes; 0 is without limit. It may be there if it is a regular
// file of this process's user or of root and only its owner may write to it: what others can write is
// no evidence. A symbolic link is an error, and so is a file with another name. Whoever can write to the directory can take
// the file away.
//
// [Log.Reopen] opens path again. A file that is emptied in place (copytruncate of
// logrotate(8)) is noticed.
func OpenFile(path string, maxSize int64) (Sink, error) {
	if maxSize < 0 {
		return nil, fmt.Errorf("audit: a greatest size of %d bytes: want 0 or more", maxSize)
	}
	f, err := openLog(path)
	if err != nil {
		return nil, err
	}
	return &file{stream: stream{to: f}, path: path, file: f, most: maxSize}, nil
}

type file struct {
	stream
	path string
	file *os.File
	most int64
	size int64 // what was written, where the file cannot be asked
}

// openLog opens a file to append to.
func openLog(path string) (*os.File, error) {
	// O_NONBLOCK, or opening a pipe would wait for a reader.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("audit: %s is a symbolic link; name the file itself", path)
	}
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if err := trustworthy(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("audit: %s: %w", path, err)
	}
	return f, nil
}

// trustworthy returns an error if others than this process's user and root can write to f.
func trustworthy(f *os.File) error {
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	switch {
	case stat.Mode&unix.S_IFMT != unix.S_IFREG:
		return errors.New("is not a regular file")
	case stat.Uid != 0 && stat.Uid != uint32(os.Geteuid()):
		return fmt.Errorf("belongs to user %d, who could change it; want root or this process's user", stat.Uid)
	case stat.Nlink > 1: // somebody has linked a file of ours here, to have it spoilt
		return fmt.Errorf("has %d names (hard links); want a file of its own", stat.Nlink)
	case stat.Mode&0o022 != 0:
		return fmt.Errorf("has mode %04o, so that others can write to it; want 0600 or 0640", stat.Mode&0o7777)
	}
	return nil
}

func (f *file) write(batch []line) (int, error) {
	if info, err := f.file.Stat(); err == nil { // a sandbox may refuse it
		f.size = info.Size()
	}
	if f.most > 0 {
		size := f.size
		for i, l := range batch {
			if size += int64(len(l.text)); size > f.most {
				n, err := f.append(batch[:i])
				return n, errors.Join(err, ErrFull)
			}
		}
	}
	return f.append(batch)
}

// append writes records that there is room for.
func (f *file) append(batch []line) (int, error) {
	if len(batch) == 0 {
		return 0, nil
	}
	n, err := f.stream.write(batch)
	for _, l := range batch[:n] {
		f.size += int64(len(l.text))
	}
	return n, err
}

// reopen opens the path again, and goes on with the file it has if that fails.
func (f *file) reopen() error {
	next, err := openLog(f.path)
	if err != nil {
		return err
	}
	f.file.Close() // every write has been seen to
	f.stream, f.file, f.size = stream{to: next, buffer: f.buffer}, next, 0
	return nil
}

func (f *file) close() error { return f.file.Close() }
