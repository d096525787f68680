//go:build linux

package accessdb

import "errors"

// Errors of opening and reloading.
var (
	// ErrNotRules reports a path that is neither a regular file nor a directory.
	ErrNotRules = errors.New("accessdb: neither a regular file nor a directory")
	// ErrFileTooLarge reports a file larger than [Options.MaxFileSize].
	ErrFileTooLarge = errors.New("accessdb: file too large")
	// ErrChanging reports a file that was written to while it was read.
	ErrChanging = errors.New("accessdb: file changes while it is read")
	// ErrModifiedInPlace reports a file whose content was changed in place instead
	// of being replaced by a rename. The watcher leaves it alone; see [DB.Reload].
	ErrModifiedInPlace = errors.New("accessdb: file modified in place, not replaced by a rename")
)

// Errors of reading a rule, when a file is opened, at a check or in a list.
var (
	// ErrUnknownValue reports a record whose first byte is neither A nor D.
	ErrUnknownValue = errors.New("accessdb: rule says neither allow nor deny")
	// ErrMalformedRule reports a record whose lengths do not add up, or whose
	// environment is no list of modifications.
	ErrMalformedRule = errors.New("accessdb: malformed rule")

	errNotRegular = errors.New("not a regular file")
)

// Errors of a check.
var (
	// ErrInvalidID reports a caller whose uid or gid is 4294967295, which stands
	// for no id at all. No rule, uid/default included, applies to it.
	ErrInvalidID = errors.New("accessdb: invalid uid or gid")
	// ErrClosed reports a use of a [DB] or [Builder] after Close, or of a DB that
	// was never opened.
	ErrClosed = errors.New("accessdb: closed")
)

// Errors of writing.
var (
	// ErrInvalidKey reports a key that is not KIND/NAME, neither part beginning
	// with a dot, and without zero bytes: nothing that could be the path of a rule.
	ErrInvalidKey = errors.New("accessdb: invalid key")
	// ErrInvalidEnv reports an environment modification that has no encoding: an
	// empty name, an equals sign in a name, a zero byte in a name or value.
	ErrInvalidEnv = errors.New("accessdb: invalid environment modification")
	// ErrRuleTooLarge reports a rule that does not fit a record: more than 4,096
	// bytes of environment modifications or of command line.
	ErrRuleTooLarge = errors.New("accessdb: rule too large")
	// ErrNoDirectoryForm reports a record that no rules directory expresses: one
	// with a key that was there before, one whose environment would not come back
	// the same.
	ErrNoDirectoryForm = errors.New("accessdb: rule has no form in a directory")
)
