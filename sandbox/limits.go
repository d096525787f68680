package sandbox

import (
	"os"

	"golang.org/x/sys/unix"
)

// planLimits checks the resource limits that were asked for.
func (p *plan) planLimits() error {
	p.limits = map[int]uint64{unix.RLIMIT_CORE: 0}
	for _, limit := range []struct {
		field    string
		resource int
		value    uint64
	}{
		{"OpenFiles", unix.RLIMIT_NOFILE, p.options.OpenFiles},
		{"Processes", unix.RLIMIT_NPROC, p.options.Processes},
	} {
		if limit.value == 0 {
			continue
		}
		var now unix.Rlimit
		if err := unix.Getrlimit(limit.resource, &now); err != nil {
			return os.NewSyscallError("getrlimit", err)
		}
		if limit.value > now.Max {
			return optionError(limit.field, "%d is over the limit of this process, %d", limit.value, now.Max)
		}
		p.limits[limit.resource] = limit.value
	}
	return nil
}

// limit lowers the limits for good: the hard ones with the soft ones.
func (p *plan) limit(*Report) error {
	for resource, value := range p.limits {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return os.NewSyscallError("setrlimit", err)
		}
	}
	return nil
}

// forbidDumps keeps processes of the same user from reading this one's memory, with
// ptrace(2) or through /proc, and the kernel from writing it to a file. It holds for
// all threads, and until the next exec. See PR_SET_DUMPABLE(2const).
func forbidDumps(*Report) error {
	return os.NewSyscallError("prctl PR_SET_DUMPABLE", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}
