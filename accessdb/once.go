//go:build linux

package accessdb

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"

	"credrpc/accessdb/cdb"
)

// CheckFile decides on one caller with the compiled rules in the file at path, as
// they are now, and keeps nothing. It is for a process that asks once and ends: it
// reads a few hundred bytes of the file for each key it tries, and neither copies
// nor verifies the rest. Who asks more than once opens a [DB].
//
// Of options it obeys Identity, Self, Compatible and MaxFileSize. Since it sees no
// record but those on its way, a malformed one elsewhere does not matter to it,
// whether Compatible or not. What is not [Allow], and whatever comes with an error,
// is a refusal.
//
// Returns [ErrInvalidID], and with the path an error that wraps [ErrNotRules],
// [ErrFileTooLarge], [ErrChanging], [cdb.ErrMalformed], [ErrUnknownValue] or
// [ErrMalformedRule] (both with the key), or one of the system.
func CheckFile(path string, options Options, uid, gid uint32) (Result, error) {
	options.setDefaults()
	self := *options.Self
	if result, err := beforeRules(options.Identity, self, uid, gid); err != nil || result.Decision == Allow {
		return result, err
	}
	f, state, err := openDescriptor(path)
	if err != nil {
		return Result{}, wrap(path, err)
	}
	defer f.close()
	if state.size > options.MaxFileSize {
		return Result{}, wrap(path, ErrFileTooLarge)
	}
	rules := &unverifiedFile{file: f, size: state.size, compatible: options.Compatible}
	result, err := decide(rules, uid, gid, self, nil)
	if err != nil {
		return result, wrap(path, err)
	}
	if err := f.unchanged(state); err != nil {
		return Result{}, wrap(path, err) // a deny may have been missed on the way
	}
	return result, nil
}

// CheckDirectory decides on one caller with the rules directory at path, as it is
// now. It is [CheckFile] for a directory, and obeys the same options.
//
// With Options.Compatible a directory that does not exist, or may not be searched,
// holds no rule: as in s6 the caller is refused without an error.
//
// Returns [ErrInvalidID], and errors of the system that name the file.
func CheckDirectory(path string, options Options, uid, gid uint32) (Result, error) {
	options.setDefaults()
	self := *options.Self
	if result, err := beforeRules(options.Identity, self, uid, gid); err != nil || result.Decision == Allow {
		return result, err
	}
	opened, err := (&directory{path: path, lenient: options.Compatible}).open()
	if options.Compatible && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EACCES)) {
		return Result{}, nil
	}
	if err != nil {
		return Result{}, wrap(path, err)
	}
	defer opened.close()
	return decide(opened, uid, gid, self, nil)
}

// beforeRules decides on the callers for whom no rule is looked at, and returns
// NotFound for all others.
func beforeRules(acceptIdentity bool, self IDs, uid, gid uint32) (Result, error) {
	if uid == invalidID || gid == invalidID {
		return Result{}, ErrInvalidID
	}
	if acceptIdentity && uid == self.UID && gid == self.GID {
		return Result{Decision: Allow, Key: Key{Kind: KeyIdentity}}, nil
	}
	return Result{}, nil
}

// unverifiedFile is a file of compiled rules of which nothing is known but its
// size.
type unverifiedFile struct {
	file       io.ReaderAt
	size       int64
	compatible bool
}

// probe knows nothing in advance; see source.
func (u *unverifiedFile) probe(Key) verdict { return verdictRecord }

// read reads the record of a key; see source.
func (u *unverifiedFile) read(key Key) (Result, error) {
	refused := Result{Decision: Deny, Key: key}
	var b [maxKeyLength]byte
	section, err := cdb.FindAt(u.file, u.size, key.append(b[:0]))
	switch {
	case err != nil:
		return refused, err
	case section == nil:
		return Result{}, nil
	case section.Size() > maxValueLength:
		return refused, fmt.Errorf("%w: %v", ErrMalformedRule, key)
	}
	value := make([]byte, section.Size())
	if _, err := io.ReadFull(section, value); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = ErrChanging
		}
		return refused, err
	}
	return resultOf(key, value, u.compatible)
}
