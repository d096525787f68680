package accessdb

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Finding is something about a set of rules that is probably not meant.
type Finding struct {
	Kind    FindingKind
	Subject string // the path of a file, or the key of a rule
	Message string // one sentence without a full stop
}

// String returns the finding on one line. Keys and paths come from the rules and
// are quoted.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %q: %s", f.Kind, f.Subject, f.Message)
}

// FindingKind says what a finding is about.
type FindingKind string

const (
	FindingUnreachable FindingKind = "unreachable" // a rule, or a part of one, that never takes effect
	FindingValue       FindingKind = "value"       // a rule that says neither allow nor deny, or is malformed
	FindingEnv         FindingKind = "env"         // a variable that decides what an exec runs
	FindingWritable    FindingKind = "writable"    // a file or directory that others may change
)

// Lint examines the rules at path, a directory or a compiled file, and the
// permissions of everything that could be used to change them, up to the root of
// the file system. The first findings are those about permissions; the others
// follow in the order of the rules.
//
// Returns the errors of [Open], for rules that could not be examined at all.
func Lint(path string) ([]Finding, error) {
	db, err := Open(path, Options{Compatible: true, CacheSize: -1, PollInterval: -1})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var l linter
	if err := l.permissions(path); err != nil {
		return nil, db.wrap(err)
	}
	if err := l.rules(db.Rules()); err != nil {
		return nil, db.wrap(err)
	}
	if g := db.current.Load(); g.directory != nil {
		l.leftovers(path)
	}
	return l.findings, nil
}

type linter struct{ findings []Finding }

func (l *linter) add(kind FindingKind, subject, format string, arguments ...any) {
	l.findings = append(l.findings, Finding{Kind: kind, Subject: subject, Message: fmt.Sprintf(format, arguments...)})
}

// rules examines what the rules say.
func (l *linter) rules(rules iter.Seq2[Rule, error]) error {
	seen := make(map[string]bool)
	for rule, err := range rules {
		if err != nil && rule.Key == "" {
			return err
		}
		l.key(rule.Key, seen)
		switch {
		case errors.Is(err, ErrUnknownValue):
			l.add(FindingValue, rule.Key, "begins with neither A nor D: refused here, no match in s6")
		case err != nil:
			l.add(FindingValue, rule.Key, "refuses its callers: %v", err)
		case rule.Decision == NotFound:
			l.add(FindingValue, rule.Key, "says neither allow nor deny, so it never matches")
		case rule.Exec != "":
			l.environment(rule)
		}
	}
	return nil
}

func (l *linter) key(key string, seen map[string]bool) {
	switch _, known := parseKey([]byte(key)); {
	case seen[key]:
		l.add(FindingUnreachable, key, "key occurs before, and the first rule counts")
	case key == "gid/default":
		l.add(FindingUnreachable, key, "never asked for; only uid/default exists")
	case !known:
		l.add(FindingUnreachable, key, "no uid or gid leads to this key")
	}
	seen[key] = true
}

// environment looks for variables with which whoever sets them has a hand in what
// the command line of the same rule runs.
func (l *linter) environment(rule Rule) {
	for m := range rule.Env.All() {
		switch {
		case unsafeVariable(m.Name):
			l.add(FindingEnv, rule.Key, "variable %q changes what its exec runs", m.Name)
		case !plainName(m.Name):
			l.add(FindingEnv, rule.Key, "variable %q is not made of letters, digits and underscores", m.Name)
		}
	}
}

// unsafeVariable reports whether loaders, shells or interpreters take code, or the
// places where they look for it, from a variable.
func unsafeVariable(name string) bool {
	switch name {
	case "PATH", "IFS", "ENV", "BASH_ENV", "SHELLOPTS", "BASHOPTS", "PS4", "CDPATH",
		"GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "NLSPATH", "HOSTALIASES", "RESOLV_HOST_CONF",
		"MALLOC_CHECK_", "TMPDIR", "DBUS_SYSTEM_BUS_ADDRESS",
		"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PERL5LIB", "PERL5OPT", "PERLLIB",
		"RUBYLIB", "RUBYOPT", "NODE_OPTIONS", "NODE_PATH", "JAVA_TOOL_OPTIONS", "LUA_PATH", "LUA_CPATH":
		return true
	}
	return strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, "BASH_FUNC_") ||
		strings.HasPrefix(name, "DYLD_")
}

func plainName(name string) bool {
	for i, c := range []byte(name) {
		letter := c == '_' || (c|0x20 >= 'a' && c|0x20 <= 'z')
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// permissions examines the path as given, what it resolves to, and everything in it.
func (l *linter) permissions(path string) error {
	given, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	resolved, err := filepath.EvalSymlinks(given)
	if err != nil {
		return err
	}
	seen := make(map[string]bool)
	for _, start := range []string{given, resolved} {
		for p := start; !seen[p]; p = filepath.Dir(p) {
			seen[p] = true
			if err := l.writable(p); err != nil {
				return err
			}
		}
	}
	return filepath.WalkDir(resolved, func(p string, _ fs.DirEntry, err error) error {
		if err != nil || seen[p] {
			return err
		}
		return l.writable(p)
	})
}

// writable reports a file that somebody other than root and this process' user may
// change. In a directory with the sticky bit they may not touch what is not theirs.
func (l *linter) writable(path string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	sticky := st.Mode&unix.S_IFMT == unix.S_IFDIR && st.Mode&unix.S_ISVTX != 0
	switch {
	case st.Mode&unix.S_IWOTH != 0 && !sticky:
		l.add(FindingWritable, path, "writable by everybody (mode %04o)", st.Mode&0o7777)
	case st.Mode&unix.S_IWGRP != 0 && !sticky:
		l.add(FindingWritable, path, "writable by group %d (mode %04o)", st.Gid, st.Mode&0o7777)
	}
	if st.Uid != 0 && st.Uid != uint32(os.Geteuid()) {
		l.add(FindingWritable, path, "belongs to uid %d", st.Uid)
	}
	return nil
}

// leftovers looks in the directories of rules for files that have no effect.
func (l *linter) leftovers(path string) {
	for rule, err := range (&directory{path: path}).rules {
		if err != nil {
			continue // reported with the rules
		}
		has := func(name string) bool {
			_, err := os.Lstat(filepath.Join(path, rule.Key, name))
			return err == nil
		}
		if rule.Decision == Allow && has("deny") {
			l.add(FindingUnreachable, rule.Key, "deny has no effect beside allow")
		}
		if rule.Decision != Allow && (has("env") || has("exec")) {
			l.add(FindingUnreachable, rule.Key, "env and exec have no effect without allow")
		}
		if info, err := os.Stat(filepath.Join(path, rule.Key, "exec")); err == nil && info.Size() > maxExecLength {
			l.add(FindingValue, rule.Key, "exec is cut after %d bytes", maxExecLength)
		}
	}
}
