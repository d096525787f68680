//go:build linux

package accessdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Decompile takes a compiled file apart into a directory, which must not exist, as
// s6-accessrules-fs-from-cdb does. Compiling the directory again gives the same
// rules. When it fails it removes what it made.
//
// It never writes outside the directory, whatever a file has for keys and names,
// and refuses every record that it could not express exactly. Returns an error
// that names the path and the key and may wrap [cdb.ErrMalformed], [ErrInvalidKey],
// [ErrUnknownValue], [ErrMalformedRule] or [ErrNoDirectoryForm].
func Decompile(path, directoryPath string) (err error) {
	db, err := Open(path, Options{CacheSize: -1, PollInterval: -1})
	if err != nil {
		return err
	}
	defer db.Close()
	if db.current.Load().directory != nil {
		return db.wrap(unix.EISDIR)
	}
	if err := os.Mkdir(directoryPath, 0o755); err != nil {
		return fmt.Errorf("accessdb: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(directoryPath))
		}
	}()
	root, err := os.OpenRoot(directoryPath)
	if err != nil {
		return fmt.Errorf("accessdb: %w", err)
	}
	defer root.Close()
	for rule, err := range db.Rules() {
		if err == nil {
			err = writeRule(root, rule)
		}
		if err != nil {
			return fmt.Errorf("accessdb: %s: %q: %w", path, rule.Key, err)
		}
	}
	return nil
}

// writeRule makes the directory of one rule. The root keeps every path inside.
func writeRule(root *os.Root, rule Rule) error {
	if !validKey(rule.Key) {
		return ErrInvalidKey
	}
	if err := root.MkdirAll(filepath.Dir(rule.Key), 0o755); err != nil {
		return err
	}
	if err := root.Mkdir(rule.Key, 0o755); err != nil {
		if errors.Is(err, os.ErrExist) {
			err = fmt.Errorf("%w: repeated key", ErrNoDirectoryForm)
		}
		return err
	}
	if err := root.WriteFile(rule.Key+"/"+rule.Decision.String(), nil, 0o644); err != nil {
		return err
	}
	if err := writeEnv(root, rule); err != nil {
		return err
	}
	if rule.Exec == "" {
		return nil
	}
	return root.WriteFile(rule.Key+"/exec", []byte(rule.Exec), 0o644)
}

func writeEnv(root *os.Root, rule Rule) error {
	if rule.Env.IsZero() {
		return nil
	}
	if err := root.Mkdir(rule.Key+"/env", 0o755); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for m := range rule.Env.All() {
		// The value of a file is its first line, whose zero bytes become newlines.
		content := strings.ReplaceAll(m.Value, "\n", "\x00") + "\n"
		if m.Unset {
			content = ""
		}
		switch {
		case m.Name[0] == '.' || strings.Contains(m.Name, "/") || seen[m.Name]:
			return fmt.Errorf("%w: variable %q", ErrNoDirectoryForm, m.Name)
		case !m.Unset && string(variableValue([]byte(content))) != m.Value:
			return fmt.Errorf("%w: value of %q ends with a blank", ErrNoDirectoryForm, m.Name)
		}
		seen[m.Name] = true
		if err := root.WriteFile(rule.Key+"/env/"+m.Name, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// maxPathLength is the length of the longest key that can be the path of a rule:
// two names of at most NAME_MAX bytes, see limits.h(0p), and a slash.
const maxPathLength = 255 + 1 + 255

// validKey reports whether a key is the path of a rule below a rules directory.
func validKey(key string) bool {
	kind, name, ok := strings.Cut(key, "/")
	return ok && kind != "" && name != "" && kind[0] != '.' && name[0] != '.' &&
		!strings.ContainsAny(name, "/\x00") && strings.IndexByte(kind, 0) < 0
}
