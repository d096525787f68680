package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"credrpc/audit"
	"credrpc/sandbox"

	"golang.org/x/sys/unix"
)

// sandboxFlags are the flags about what serving gives up.
type sandboxFlags struct {
	Sandbox           bool     `help:"Give up before the first call what serving does not need: capabilities, files (Landlock), system calls (seccomp), core dumps. Programs of --handler exec have the same sandbox: see SANDBOX in the manual."`
	SandboxRead       []string `sep:"none" placeholder:"PATH" help:"With --sandbox: a further file or directory that rules and programs may read; it must be there, and its path be absolute. May be given several times, as the next three."`
	SandboxWrite      []string `sep:"none" placeholder:"PATH" help:"With --sandbox: a file or directory that programs may read and write; and where the file of --audit-to may be opened again."`
	SandboxExecute    []string `sep:"none" placeholder:"PATH" help:"With --sandbox: a program or directory of programs and libraries outside /usr that programs may run."`
	SandboxCapability []string `sep:"none" placeholder:"NAME" help:"With --sandbox: a capability to keep, such as CAP_DAC_READ_SEARCH."`
}

// systemPrograms are where the system's packages have programs and libraries.
var systemPrograms = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"}

// checkSandbox returns an error for flags that mean nothing.
func (c *serveCommand) checkSandbox() error {
	lists := [][]string{c.SandboxRead, c.SandboxWrite, c.SandboxExecute, c.SandboxCapability}
	given := slices.Concat(lists...)
	_, audited := c.auditFile()
	switch {
	case len(given) > 0 && !c.Sandbox:
		return usageError("--sandbox-read, --sandbox-write, --sandbox-execute, --sandbox-capability: say what --sandbox keeps; give it too")
	case slices.Contains(given, ""):
		return usageError("--sandbox-read, --sandbox-write, --sandbox-execute, --sandbox-capability: is empty")
	case len(c.SandboxExecute) > 0 && c.Handler != execHandler:
		return usageError("--sandbox-execute: means something with --handler exec only")
	case len(c.SandboxWrite) > 0 && c.Handler != execHandler && !audited:
		return usageError("--sandbox-write: means something with --audit-to PATH and with --handler exec only")
	}
	return nil
}

// checkSandboxPaths returns an error unless the paths that the sandbox keeps are those of
// files that are there, wherever serve is started.
func (c *serveCommand) checkSandboxPaths() error {
	for _, kept := range []struct {
		flag  string
		paths []string
	}{{"--sandbox-read", c.SandboxRead}, {"--sandbox-write", c.SandboxWrite}, {"--sandbox-execute", c.SandboxExecute}} {
		for _, path := range kept.paths {
			if !filepath.IsAbs(path) {
				return usageError("%s %q: want an absolute path", kept.flag, path)
			}
			if _, err := os.Stat(path); err != nil {
				return fmt.Errorf("%s %q: %w", kept.flag, path, errors.Unwrap(err)) // the path is said already
			}
		}
	}
	return nil
}

// confine applies the sandbox, if there is to be one. Rules are open and the sockets
// listen.
func (c *serveCommand) confine(log *slog.Logger) error {
	if !c.Sandbox {
		return nil
	}
	options, err := c.sandboxOptions()
	if err != nil {
		return err
	}
	report, err := sandbox.Apply(options)
	if err != nil {
		return err
	}
	if err := c.checkConfined(); err != nil {
		return err
	}
	log.Info("sandbox in force", "sandbox", report)
	return nil
}

// sandboxOptions returns what is needed to load rules again, to run programs and to
// remove the socket. Its paths are absolute, for the log.
func (c *serveCommand) sandboxOptions() (o sandbox.Options, err error) {
	o = sandbox.Options{
		Read:         c.SandboxRead,
		Write:        c.SandboxWrite,
		Capabilities: c.SandboxCapability,
	}
	o.Remove = c.socketDirectories()
	if c.auditsToJournal() {
		o.Datagrams = []string{audit.JournalSocket}
	}
	if c.Rules != nil {
		directories, err := rulesDirectories(*c.Rules)
		if err != nil {
			return o, err
		}
		o.Read = slices.Concat(o.Read, directories)
	}
	if c.Handler == execHandler {
		if err := c.keepPrograms(&o); err != nil {
			return o, err
		}
	}
	if err := c.keepControl(&o); err != nil {
		return o, err
	}
	for _, list := range []*[]string{&o.Read, &o.Write, &o.Execute, &o.Remove} {
		if *list, err = absolute(*list); err != nil {
			return o, err
		}
	}
	return o, nil
}

// socketDirectories returns the directories of socket files, which are removed at the end.
func (c *serveCommand) socketDirectories() (directories []string) {
	if c.makesFile() {
		directories = append(directories, filepath.Dir(c.Listen))
	}
	if c.Control != "" {
		directories = append(directories, filepath.Dir(c.Control))
	}
	if path, ok := c.metricsSocket(); ok {
		directories = append(directories, filepath.Dir(path))
	}
	return directories
}

// rulesDirectories returns the directories in which rules are. A file is replaced by
// rename, also where a symbolic link leads to.
func rulesDirectories(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return []string{path}, nil
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	return []string{filepath.Dir(path), filepath.Dir(target)}, nil
}

// absolute returns absolute paths, each once.
func absolute(paths []string) (list []string, err error) {
	for _, path := range paths {
		if path, err = filepath.Abs(path); err != nil {
			return nil, err
		}
		if !slices.Contains(list, path) {
			list = append(list, path)
		}
	}
	return list, nil
}

// keepPrograms adds what it takes to run the program, and those of rules.
func (c *serveCommand) keepPrograms(o *sandbox.Options) error {
	program, err := exec.LookPath(c.Program[0])
	if err != nil {
		return err
	}
	o.Execute = slices.Concat(existing(systemPrograms...), []string{program}, c.SandboxExecute)
	o.Read = slices.Concat(o.Read, existing("/etc/ld.so.cache", "/dev/zero", "/dev/urandom"))
	o.Write = slices.Concat(o.Write, existing("/dev/null"))
	return nil
}

// existing returns those of paths that exist.
func existing(paths ...string) (found []string) {
	for _, path := range paths {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			found = append(found, path)
		}
	}
	return found
}

// checkConfined finds out now what would fail later: without capabilities user 0 needs
// the permissions of files like everybody else.
func (c *serveCommand) checkConfined() error {
	const advice = "the sandbox has taken the capability that made it possible; change the permissions or the owner, or keep it with --sandbox-capability"
	for _, rules := range []*string{c.Rules, c.ControlRules} {
		if rules == nil {
			continue
		}
		f, err := os.Open(*rules)
		if err != nil {
			return fmt.Errorf("--sandbox: the rules could not be loaded again (%s, CAP_DAC_READ_SEARCH): %w", advice, err)
		}
		f.Close()
	}
	for _, directory := range c.socketDirectories() {
		if err := unix.Faccessat(unix.AT_FDCWD, directory, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
			return fmt.Errorf("--sandbox: the socket could not be removed from %q at the end (%s, CAP_DAC_OVERRIDE): %w", directory, advice, err)
		}
	}
	return nil
}
