package chown

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"credrpc/server"

	"golang.org/x/sys/unix"
)

// What the user may not do to a path meanwhile, in any of its components. See
// openat2(2). From the base to a tree a mount may be crossed: only root makes trees.
const (
	beneath  = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS
	sameTree = beneath | unix.RESOLVE_NO_XDEV
)

// A Service is the handler. It is safe for concurrent use.
type Service struct {
	base int // O_PATH descriptor of the base directory
	from []uint32
	log  *slog.Logger
}

// New returns the service for the trees below base, which takes files of the users in
// from and writes a line about every request to log.
//
// It needs openat2(2) (Linux 5.6). Returns an error if somebody else than root could put
// trees into the base directory or if fs.protected_hardlinks is off.
func New(base string, from []uint32, log *slog.Logger) (*Service, error) {
	if len(from) == 0 {
		return nil, errors.New("no owner is listed whose files may be taken")
	}
	const protection = "/proc/sys/fs/protected_hardlinks"
	if value, err := os.ReadFile(protection); err != nil {
		return nil, err
	} else if text := strings.TrimSpace(string(value)); text != "1" {
		return nil, fmt.Errorf("%s is %s: set it to 1, so that users cannot link files of others into their trees", protection, text)
	}
	fd, err := open(unix.AT_FDCWD, base, unix.O_DIRECTORY, unix.RESOLVE_NO_MAGICLINKS)
	if err != nil {
		return nil, fmt.Errorf("base directory %q: %w", base, err)
	}
	stat, err := examine(fd)
	if err == nil && (stat.Uid != 0 || stat.Mode&0o022 != 0) {
		err = fmt.Errorf("must belong to root, and nobody else may write to it (owner %d, mode %#o)", stat.Uid, stat.Mode&0o7777)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("base directory %q: %w", base, err)
	}
	return &Service{fd, slices.Clone(from), log}, nil
}

// ServeCall decodes, serves and writes down one request.
func (s *Service) ServeCall(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
	var request Request
	var answer Answer
	err := request.UnmarshalBinary(call.Payload)
	if err == nil {
		answer, err = s.take(request.Path, Owner{call.Sender.UID(), call.Sender.GID()})
	}
	s.audit(call, &request, &answer, err)
	if err != nil {
		return nil, err
	}
	return answer.AppendBinary(dst)
}

// take gives the file at path in the caller's tree to the caller.
func (s *Service) take(path string, caller Owner) (a Answer, err error) {
	tree, err := open(s.base, strconv.FormatUint(uint64(caller.UID), 10), unix.O_DIRECTORY, beneath)
	if err != nil {
		return a, fmt.Errorf("user %d has no tree: %w", caller.UID, err)
	}
	defer unix.Close(tree)
	file, err := open(tree, path, 0, sameTree)
	if err != nil {
		return a, err
	}
	defer unix.Close(file)
	stat, err := s.judge(tree, path, file, caller)
	if err != nil {
		return a, err
	}
	a = Answer{Before: Owner{stat.Uid, stat.Gid}, After: caller}
	if a.Before == a.After {
		return a, nil
	}
	return a, os.NewSyscallError("fchownat", unix.Fchownat(file, "", int(caller.UID), int(caller.GID), unix.AT_EMPTY_PATH))
}

// open resolves path from directory, without opening what it finds: a descriptor with
// O_PATH waits for nobody and can neither be read nor written.
func open(directory int, path string, flags, resolve uint64) (int, error) {
	fd, err := unix.Openat2(directory, path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC | flags,
		Resolve: resolve,
	})
	switch err {
	case nil:
		return fd, nil
	case unix.ELOOP:
		return -1, errors.New("there is a symbolic link on the way, which is not followed")
	case unix.EXDEV:
		return -1, errors.New("is on another mount than the tree")
	}
	return -1, err
}

// examine says what a descriptor is.
func examine(fd int) (stat unix.Stat_t, err error) {
	err = os.NewSyscallError("fstat", unix.Fstat(fd, &stat))
	return stat, err
}

// judge returns what the file is if the caller may take it: there was a moment in which
// path led to it and all that permit asks for held.
//
// Looking once is not enough. If the file has a second name elsewhere the caller can
// remove his own after it has been opened, and then it has one name only. So the path
// is resolved again, and the file may not have changed meanwhile in any way: each, also
// of the number of names, sets the time of the last change.
func (s *Service) judge(tree int, path string, file int, caller Owner) (stat unix.Stat_t, err error) {
	const attempts = 5
	for range attempts {
		stat, err = examine(file)
		if err == nil {
			err = s.permit(&stat, caller)
		}
		if err != nil {
			return stat, err
		}
		if wait := untilSettled(stat.Ctim); wait > 0 {
			time.Sleep(wait)
			continue
		}
		if same, err := unchanged(tree, path, &stat); same || err != nil {
			return stat, err
		}
	}
	return stat, errors.New("changes all the time; try again later")
}

// permit is the policy: which files a user may take whose tree they are in.
func (s *Service) permit(stat *unix.Stat_t, caller Owner) error {
	kind := stat.Mode & unix.S_IFMT
	switch {
	case kind == unix.S_IFDIR:
	case kind != unix.S_IFREG:
		return errors.New("is neither a regular file nor a directory")
	case stat.Nlink != 1:
		return fmt.Errorf("has %d names (hard links)", stat.Nlink)
	case stat.Mode&(unix.S_ISUID|unix.S_ISGID) != 0:
		return errors.New("is a set-id file")
	}
	if stat.Uid != caller.UID && !slices.Contains(s.from, stat.Uid) {
		return fmt.Errorf("belongs to user %d, whose files may not be taken", stat.Uid)
	}
	return nil
}

// untilSettled returns how long it takes until every further change of a file must have
// another time than the last one. The kernel's clock for files ticks at least every
// 10 ms (CONFIG_HZ). A time of whole seconds is of a file system that keeps no less, such
// as ext4 with inodes of 128 bytes. It is at most 2 s, also if the clock was set back.
func untilSettled(changed unix.Timespec) time.Duration {
	granularity := 20 * time.Millisecond
	if changed.Nsec == 0 {
		granularity = 2 * time.Second
	}
	return min(granularity, time.Until(time.Unix(changed.Unix()).Add(granularity)))
}

// unchanged reports whether path leads to the file that was examined before, as it was.
func unchanged(tree int, path string, before *unix.Stat_t) (bool, error) {
	again, err := open(tree, path, 0, sameTree)
	if err != nil {
		return false, err
	}
	defer unix.Close(again)
	after, err := examine(again)
	return after.Dev == before.Dev && after.Ino == before.Ino && after.Ctim == before.Ctim, err
}

// audit writes one line about a request that has reached the handler. If whoever takes
// the lines stops, so does the service: no owner changes unseen. Requests that do not get
// here are for [credrpc/audit], which bounds how many lines strangers can cause.
func (s *Service) audit(call *server.Call, request *Request, answer *Answer, err error) {
	who := call.Sender
	log := s.log.With("uid", who.UID(), "gid", who.GID(), "pid", who.PID(), "rule", call.Access.Key.String(), "path", request.Path)
	if err != nil {
		log.Warn("request", "outcome", "refused", "error", err.Error())
		return
	}
	outcome := "taken"
	if answer.Before == answer.After {
		outcome = "unchanged"
	}
	log.Info("request", "outcome", outcome, "owner", answer.Before.UID, "group", answer.Before.GID)
}
