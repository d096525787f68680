package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Rights to what is beneath a directory. Those of a file are the ones in onFiles.
const (
	readRights    = ll.AccessFSReadFile | ll.AccessFSReadDir
	executeRights = readRights | ll.AccessFSExecute
	removeRights  = ll.AccessFSRemoveFile
	// Devices are not made, and no file changes its directory.
	writeRights = readRights | ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSRemoveFile |
		ll.AccessFSRemoveDir | ll.AccessFSMakeReg | ll.AccessFSMakeDir | ll.AccessFSMakeSym |
		ll.AccessFSMakeFifo | ll.AccessFSMakeSock
	datagramRights = ll.AccessFSResolveUnix
	onFiles        = datagramRights | ll.AccessFSReadFile | ll.AccessFSExecute | ll.AccessFSWriteFile | ll.AccessFSTruncate
)

// sharedDomain is the ABI since which one call puts all threads into one domain.
const sharedDomain = 8

// datagramABI is the one since which sending to a socket with a path is restricted.
const datagramABI = 9

// newestABI is the newest that the configuration in restrictFiles knows.
const newestABI = 11

// newRights says since which ABI what is restricted, and with which system call it is
// done, so that the report tells of what is open to the process and of nothing else.
var newRights = []struct {
	abi        int
	what, call string
}{
	{3, "truncating files", "openat"},
	{4, "TCP", "socket"},
	{5, "ioctl on devices", "ioctl"},
	{6, "connecting to abstract sockets", "connect"},
	{sharedDomain, "signals to processes of the same user", "kill"},
	{datagramABI, "connecting to sockets with a path", "connect"},
	{10, "UDP", "socket"},
}

// planFiles finds out what Landlock the kernel has, and whether the paths exist.
func (p *plan) planFiles() error {
	abi, err := ll.LandlockGetABIVersion()
	switch {
	case err == nil:
		p.abi = min(abi, newestABI)
	case !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EOPNOTSUPP):
		return os.NewSyscallError("landlock_create_ruleset", err)
	}
	if p.abi < p.options.MinLandlock {
		return optionError("MinLandlock", "the kernel has Landlock ABI %d, want at least %d (0: none, or not enabled at boot)", p.abi, p.options.MinLandlock)
	}
	_, err = p.pathRules()
	return err
}

// restrictFiles lets every thread reach the listed paths and no others, as far as the
// kernel knows how.
func (p *plan) restrictFiles(r *Report) error {
	if p.abi == 0 {
		r.Missing = append(r.Missing, "Landlock: the kernel has none, or it is not enabled at boot")
		return nil
	}
	rules, err := p.pathRules()
	if err != nil {
		return err
	}
	config := landlock.V11
	if p.abi < sharedDomain {
		config.Scoped &^= ll.ScopeSignal
	}
	if err := config.BestEffort().Restrict(rules...); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	r.Landlock = p.abi
	for _, right := range newRights {
		if p.abi < right.abi && p.passes(right.call) {
			r.Missing = append(r.Missing, fmt.Sprintf("Landlock ABI %d does not restrict %s", p.abi, right.what))
		}
	}
	return nil
}

// pathRules returns what Landlock has to allow.
func (p *plan) pathRules() (rules []landlock.Rule, err error) {
	for _, list := range []struct {
		field  string
		paths  []string
		rights landlock.AccessFSSet
	}{
		{"Read", p.options.Read, readRights},
		{"Execute", p.options.Execute, executeRights},
		{"Write", p.options.Write, writeRights},
		{"Remove", p.options.Remove, removeRights},
		{"Datagrams", p.options.Datagrams, datagramRights},
	} {
		for _, path := range list.paths {
			rule, err := pathRule(path, list.rights)
			if err != nil {
				return nil, optionError(list.field, "%w", err)
			}
			if list.rights != datagramRights || p.abi >= datagramABI {
				rules = append(rules, rule)
			}
		}
	}
	return rules, nil
}

// pathRule allows rights beneath path, or of them what means something for a file.
func pathRule(path string, rights landlock.AccessFSSet) (landlock.Rule, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		if rights &= onFiles; rights == 0 {
			return nil, &fs.PathError{Op: "remove beneath", Path: path, Err: unix.ENOTDIR}
		}
	}
	return landlock.PathAccess(rights, path), nil
}
