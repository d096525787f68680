package sandbox

import (
	"os"
	"slices"
	"strings"

	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// capabilityNames has the name of every capability at its number, as in
// linux/capability.h. Numbers beyond are of kernels newer than this list, and given
// up like all others.
var capabilityNames = [...]string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
	"CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK",
	"CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE",
	"CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
	"CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
	"CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
}

// capabilityNumber returns the number of a capability, or -1.
func capabilityNumber(name string) int {
	return slices.Index(capabilityNames[:], strings.ToUpper(name))
}

// planCapabilities finds out which capabilities there are, and which stay.
func (p *plan) planCapabilities() error {
	effective, permitted, err := sys.Capabilities()
	if err != nil {
		return os.NewSyscallError("capget", err)
	}
	p.can = effective
	for _, name := range p.options.Capabilities {
		number := capabilityNumber(name)
		if number < 0 {
			return optionError("Capabilities", "%q is not a name of capabilities(7), such as CAP_CHOWN", name)
		}
		if permitted&(1<<number) == 0 {
			return optionError("Capabilities", "this process does not have %s, so it cannot keep it", name)
		}
		p.keep |= 1 << number
	}
	return nil
}

// forbidGain makes execve(2) grant nothing that the process does not have: no set-id
// bits, no file capabilities. Landlock and seccomp ask for it too. See
// PR_SET_NO_NEW_PRIVS(2const).
func forbidGain(*Report) error {
	return called("prctl PR_SET_NO_NEW_PRIVS", sys.PrctlAllThreads(unix.PR_SET_NO_NEW_PRIVS, 1, 0))
}

// dropCapabilities drops all that are not kept, from all five sets of every thread.
func (p *plan) dropCapabilities(r *Report) error {
	if err := p.dropBounding(r); err != nil {
		return err
	}
	// Kernels before 4.3 have no ambient capabilities, and answer EINVAL.
	errno := sys.PrctlAllThreads(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0)
	if errno != unix.EINVAL && errno != 0 {
		return called("prctl PR_CAP_AMBIENT", errno)
	}
	if errno := sys.SetCapabilities(p.keep); errno != 0 {
		return called("capset", errno)
	}
	for number, name := range capabilityNames {
		if p.keep&(1<<number) != 0 {
			r.Capabilities = append(r.Capabilities, name)
		}
	}
	return nil
}

// dropBounding drops capabilities that the process could gain by executing a file.
// Without CAP_SETPCAP that is not allowed, and not needed: no_new_privs is set.
func (p *plan) dropBounding(r *Report) error {
	const most = 64 // bits of a set
	for number := range uintptr(most) {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, number, 0, 0, 0)
		switch {
		case err == unix.EINVAL:
			return nil // the kernel knows no more
		case err != nil:
			return os.NewSyscallError("prctl PR_CAPBSET_READ", err)
		case has == 0 || p.keep&(1<<number) != 0:
			continue
		case p.can&(1<<unix.CAP_SETPCAP) == 0:
			r.Missing = append(r.Missing, "the bounding set of capabilities needs CAP_SETPCAP to be emptied; no_new_privs keeps programs from gaining what is in it")
			return nil
		}
		if errno := sys.PrctlAllThreads(unix.PR_CAPBSET_DROP, number, 0); errno != 0 {
			return called("prctl PR_CAPBSET_DROP", errno)
		}
	}
	return nil
}

// called returns the error of a call, nil for 0.
func called(name string, errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return os.NewSyscallError(name, errno)
}
