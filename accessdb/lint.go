//go:build linux

package accessdb

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
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
	FindingEnv         FindingKind = "env"         // a variable that decides what is run for a caller, or for whom
	FindingWritable    FindingKind = "writable"    // a file or directory that others may change
)

// Lint examines the rules at path, a directory or a compiled file, and the
// permissions of everything that could be used to change them: what it consists of,
// and every directory and symbolic link on the way there from the root of the file
// system. The first findings are those about permissions; the others follow in the
// order of the rules.
//
// Returns the errors of [Open], for rules that could not be examined at all.
func Lint(path string) ([]Finding, error) {
	db, err := Open(path, Options{Compatible: true, CacheSize: -1, PollInterval: -1})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	l := linter{writable: make(map[string]bool)}
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

type linter struct {
	findings []Finding
	writable map[string]bool // paths that there is a finding about
}

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
		default:
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

// environment looks for variables with which a rule has a hand in what is run for
// its callers. It does not matter whether the rule has a command line: servers run
// a program for every caller.
func (l *linter) environment(rule Rule) {
	for m := range rule.Env.All() {
		switch {
		case m.Unset && m.Name != "PATH":
			// What is taken away leads nobody astray.
		case callerVariable(m.Name):
			l.add(FindingEnv, rule.Key, "variable %q tells the program who is calling", m.Name)
		case unsafeVariable(m.Name):
			l.add(FindingEnv, rule.Key, "variable %q decides what code runs for its callers", m.Name)
		case !plainName(m.Name):
			l.add(FindingEnv, rule.Key, "variable %q is not made of letters, digits and underscores", m.Name)
		}
	}
}

// callerVariable reports whether a server under the UCSPI convention has the ids of
// the caller in a variable; the first part of its name depends on the server.
func callerVariable(name string) bool {
	return strings.HasSuffix(name, "REMOTEEUID") || strings.HasSuffix(name, "REMOTEEGID")
}

// unsafeVariable reports whether loaders, shells or interpreters take code, or the
// places where they look for it, from a variable. Those of the C library are the
// ones that it drops in programs with more rights than their callers, see ld.so(8).
func unsafeVariable(name string) bool {
	switch name {
	case "PATH", "IFS", "ENV", "BASH_ENV", "SHELLOPTS", "BASHOPTS", "PS4", "CDPATH",
		"GCONV_PATH", "GETCONF_DIR", "GLIBC_TUNABLES", "HOSTALIASES", "LOCALDOMAIN", "LOCPATH",
		"MALLOC_CHECK_", "MALLOC_TRACE", "NIS_PATH", "NLSPATH", "RESOLV_HOST_CONF", "RES_OPTIONS",
		"TMPDIR", "TZDIR", "DBUS_SYSTEM_BUS_ADDRESS", "OPENSSL_CONF", "OPENSSL_ENGINES", "OPENSSL_MODULES",
		"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PERL5LIB", "PERL5OPT", "PERL5DB", "PERLLIB",
		"RUBYLIB", "RUBYOPT", "NODE_OPTIONS", "NODE_PATH", "LUA_PATH", "LUA_CPATH",
		"CLASSPATH", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS":
		return true
	}
	return strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, "BASH_FUNC_")
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
		entries, _ := os.ReadDir(filepath.Join(path, rule.Key)) // permissions has read it
		for _, entry := range entries {
			switch name := entry.Name(); name {
			case "allow", "deny", "env", "exec":
			default:
				l.add(FindingUnreachable, rule.Key, "%q means nothing in a rule; allow, deny, env and exec do", name)
			}
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
