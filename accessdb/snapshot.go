//go:build linux

package accessdb

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// stamp is what tells two states of a file apart, see stat(2).
type stamp struct {
	dev, ino     uint64
	size         int64
	mtime, ctime unix.Timespec
}

func stampOf(st *unix.Stat_t) stamp {
	return stamp{dev: st.Dev, ino: st.Ino, size: st.Size, mtime: st.Mtim, ctime: st.Ctim}
}

// sameFile reports whether both are states of one file. It may be believed while
// the file is held open, which keeps its inode number from being given away.
func (s stamp) sameFile(other stamp) bool { return s.dev == other.dev && s.ino == other.ino }

// sameContent reports whether a file's content cannot have changed between two
// states of it: chmod(2) and link(2) move ctime only.
func (s stamp) sameContent(other stamp) bool { return s.size == other.size && s.mtime == other.mtime }

// openRegular opens a regular file for reading. It does not wait for a pipe.
func openRegular(path string) (*os.File, stamp, error) {
	fd, state, err := openDescriptor(path)
	if err != nil {
		return nil, stamp{}, err
	}
	return os.NewFile(uintptr(fd), path), state, nil
}

// openDescriptor is openRegular without package os, whose files come with a poller
// and a finalizer: work for threads that a short process has no need of otherwise.
func openDescriptor(path string) (descriptor, stamp, error) {
	fd, err := openAt(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return -1, stamp{}, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	d := descriptor(fd)
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err != nil {
		err = &fs.PathError{Op: "fstat", Path: path, Err: err}
	} else if st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = ErrNotRules
	}
	if err != nil {
		d.close()
		return -1, stamp{}, err
	}
	return d, stampOf(&st), nil
}

// descriptor is an open file.
type descriptor int

// ReadAt reads with pread(2); see io.ReaderAt.
func (d descriptor) ReadAt(b []byte, offset int64) (n int, err error) {
	for n < len(b) {
		read, err := unix.Pread(int(d), b[n:], offset+int64(n))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return n, os.NewSyscallError("pread", err)
		case read == 0:
			return n, io.EOF
		default:
			n += read
		}
	}
	return n, nil
}

// unchanged returns [ErrChanging] if the file has been written to since it was in a
// state.
func (d descriptor) unchanged(state stamp) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(d), &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if !stampOf(&st).sameContent(state) {
		return ErrChanging
	}
	return nil
}

func (d descriptor) close() { _ = unix.Close(int(d)) } // only read: nothing to lose

func statFile(f *os.File) (st unix.Stat_t, err error) {
	if err = unix.Fstat(int(f.Fd()), &st); err != nil {
		err = &fs.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	return st, err
}

// mapCopy copies a file of the given state into sealed memory and maps that read
// only. The mapping is the caller's, to unmap with unix.Munmap.
func mapCopy(f *os.File, state stamp, limit int64) ([]byte, error) {
	switch {
	case state.size > limit:
		return nil, ErrFileTooLarge
	case state.size == 0:
		return nil, nil // mmap(2) has no empty mapping
	}
	memory, err := newMemory()
	if err != nil {
		return nil, err
	}
	defer memory.Close()
	if _, err := io.CopyN(memory, f, state.size); err != nil {
		if errors.Is(err, io.EOF) {
			err = ErrChanging
		}
		return nil, err
	}
	st, err := statFile(f)
	if err != nil {
		return nil, err
	}
	if stampOf(&st) != state {
		return nil, ErrChanging
	}
	return seal(memory, int(state.size))
}

// newMemory creates an empty memory file. Kernels before 6.3 do not know that a
// memory file may be barred from execution, and some later ones insist on it.
func newMemory() (*os.File, error) {
	const name, flags = "credrpc-rules", unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL {
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return nil, fmt.Errorf("accessdb: memfd_create: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// seal makes a memory file immutable and maps it. The mapping is private because
// kernels before 6.7 refuse a shared one of a file sealed against writing, even
// read only; with F_SEAL_WRITE there is no difference.
func seal(memory *os.File, size int) ([]byte, error) {
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
	fd := memory.Fd()
	if _, err := unix.FcntlInt(fd, unix.F_ADD_SEALS, seals); err != nil {
		return nil, fmt.Errorf("accessdb: F_ADD_SEALS: %w", err)
	}
	data, err := unix.Mmap(int(fd), 0, size, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("accessdb: mmap: %w", err)
	}
	return data, nil
}

// mappings counts what is mapped for the generations of one DB. It is
// an object of its own, so that a cleanup that refers to it does not keep the DB,
// and with it the generation to be cleaned up, reachable.
type mappings struct{ bytes, count atomic.Int64 }

// attach ties a mapping to a generation: it is unmapped some time after the
// generation has become unreachable.
func (m *mappings) attach(g *generation, data []byte) {
	if len(data) == 0 {
		return
	}
	m.bytes.Add(int64(len(data)))
	m.count.Add(1)
	runtime.AddCleanup(g, m.release, data)
}

func (m *mappings) release(data []byte) {
	m.bytes.Add(-int64(len(data)))
	m.count.Add(-1)
	unmap(data)
}

// unmap gives a mapping back. munmap(2) fails only for a range that was never
// mapped, and then there is nothing to give back.
func unmap(data []byte) {
	if len(data) > 0 {
		_ = unix.Munmap(data)
	}
}
