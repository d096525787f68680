//go:build linux

package accessdb

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxVariableLength is how many bytes of a file in an env directory count.
const maxVariableLength = 4095

// directory is a directory of rules that is read anew at every check. While it is
// missing every check is an error, where s6 finds no rule; both refuse.
type directory struct {
	path string

	// lenient takes what may not be read as absent, as s6 does: then a deny that
	// the process may not see lets a later rule decide.
	lenient bool
}

// openDirectory is such a directory at work: all that is read through it is below
// one and the same directory, whatever is renamed meanwhile.
type openDirectory struct {
	path string
	fd   int
	// complete reads a rule for compiling: the files must exist, not be readable
	// (F_OK of access(2)).
	complete bool
	lenient  bool // see directory
}

// open opens the directory as a starting point, see O_PATH in open(2).
func (d *directory) open() (*openDirectory, error) {
	fd, err := openAt(unix.AT_FDCWD, d.path, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: d.path, Err: err}
	}
	return &openDirectory{path: d.path, fd: fd, lenient: d.lenient}, nil
}

func (o *openDirectory) close() { _ = unix.Close(o.fd) } // O_PATH: nothing to lose

// check decides on a caller, with the directory as it is now.
func (d *directory) check(uid, gid uint32, self IDs, tried *[]Attempt) (Result, error) {
	o, err := d.open()
	if err != nil {
		return Result{}, err
	}
	defer o.close()
	return decide(o, uid, gid, self, tried)
}

// probe knows nothing in advance; see source.
func (o *openDirectory) probe(Key) verdict { return verdictRecord }

// read reads the rule of a key; see source.
func (o *openDirectory) read(key Key) (Result, error) {
	rule, err := o.rule(key.String())
	switch {
	case err != nil:
		return Result{Decision: Deny, Key: key}, err
	case rule.Decision == NotFound:
		return Result{}, nil
	}
	return Result{Decision: rule.Decision, Key: key, Env: rule.Env, Exec: rule.Exec}, nil
}

// rule reads one rule. Its directory may be missing; then it decides nothing.
func (o *openDirectory) rule(key string) (Rule, error) {
	rule := Rule{Key: key}
	allow, err := o.exists(key + "/allow")
	if err != nil {
		return rule, err
	}
	if !allow {
		deny, err := o.exists(key + "/deny")
		if deny {
			rule.Decision = Deny
		}
		return rule, err
	}
	if rule.Env, err = o.env(key + "/env"); err != nil {
		return rule, err
	}
	exec, err := o.content(o.fd, key+"/exec", key+"/exec", maxExecLength)
	absent := errors.Is(err, unix.ENOENT) || (errors.Is(err, unix.EACCES) && o.lenient)
	if err != nil && !absent {
		return rule, err
	}
	rule.Exec = string(exec)
	rule.Decision = Allow
	return rule, nil
}

// exists asks as access(2) does, with the real ids of the process.
func (o *openDirectory) exists(name string) (bool, error) {
	mode := uint32(unix.R_OK)
	if o.complete {
		mode = unix.F_OK
	}
	err := ignoringEINTR(func() error { return unix.Faccessat(o.fd, name, mode, 0) })
	switch {
	case err == nil:
		return true, nil
	case err == unix.ENOENT, err == unix.EACCES && o.lenient:
		return false, nil
	}
	return false, o.fail("access", name, err)
}

// env reads an env directory: a file a variable, sorted by name. Only a directory
// that does not exist is no error.
func (o *openDirectory) env(name string) (Env, error) {
	fd, err := openAt(o.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK)
	if err == unix.ENOENT {
		return Env{}, nil
	}
	if err != nil {
		return Env{}, o.fail("open", name, err)
	}
	d := os.NewFile(uintptr(fd), o.join(name))
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return Env{}, err
	}
	slices.Sort(names)
	var b strings.Builder
	for _, variable := range names {
		if variable[0] == '.' || strings.Contains(variable, "=") {
			continue
		}
		content, err := o.content(fd, variable, name+"/"+variable, maxVariableLength)
		if err != nil {
			return Env{}, err
		}
		b.WriteString(variable)
		if len(content) > 0 {
			b.WriteByte('=')
			b.Write(variableValue(content))
		}
		b.WriteByte(0)
	}
	return Env{b.String()}, nil
}

// variableValue makes the value of a variable of the content of its file, in
// place: the first line, without blanks at its end, zero bytes being newlines.
func variableValue(content []byte) []byte {
	end := slices.Index(content, '\n')
	if end < 0 {
		end = len(content)
	}
	for end > 0 && (content[end-1] == ' ' || content[end-1] == '\t' || content[end-1] == '\r') {
		end--
	}
	value := content[:end]
	for i, c := range value {
		if c == 0 {
			value[i] = '\n'
		}
	}
	return value
}

// content returns at most limit bytes of a regular file. Other files are refused: a
// pipe could keep its reader waiting for ever.
func (o *openDirectory) content(dir int, name, shown string, limit int) ([]byte, error) {
	fd, err := openAt(dir, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, o.fail("open", shown, err)
	}
	f := os.NewFile(uintptr(fd), o.join(shown))
	defer f.Close()
	st, err := statFile(f)
	if err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, o.fail("read", shown, errNotRegular)
	}
	return io.ReadAll(io.LimitReader(f, int64(limit)))
}

func (o *openDirectory) join(name string) string { return filepath.Join(o.path, name) }

func (o *openDirectory) fail(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: o.join(name), Err: err}
}

func openAt(dir int, name string, flags int) (fd int, err error) {
	err = ignoringEINTR(func() error {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

// ignoringEINTR calls f until it ends with something else, as package os does: file
// systems that can be interrupted exist, see SA_RESTART in signal(7).
func ignoringEINTR(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

// rules yields every rule of the directory, whatever its first-level directory is
// called.
func (d *directory) rules(yield func(Rule, error) bool) {
	o, err := d.open()
	if err != nil {
		yield(Rule{}, err)
		return
	}
	defer o.close()
	o.lenient = false // whoever reads all rules is told of those that cannot be read
	o.each(yield)
}

// each yields every rule, sorted by key. Names that begin with a dot are skipped at
// both levels.
func (o *openDirectory) each(yield func(Rule, error) bool) {
	kinds, err := o.list(".")
	if err != nil {
		yield(Rule{}, err)
		return
	}
	for _, kind := range kinds {
		names, err := o.list(kind)
		if err != nil {
			yield(Rule{}, err)
			return
		}
		for _, name := range names {
			rule, err := o.rule(kind + "/" + name)
			if err != nil {
				rule.Decision = Deny
			}
			if !yield(rule, err) {
				return
			}
		}
	}
}

// list returns the sorted names in a directory that do not begin with a dot.
func (o *openDirectory) list(name string) ([]string, error) {
	fd, err := openAt(o.fd, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, o.fail("open", name, err)
	}
	d := os.NewFile(uintptr(fd), o.join(name))
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name[0] == '.' })
	slices.Sort(names)
	return names, nil
}
