package sandbox

import (
	"fmt"
	"slices"

	"credrpc/internal/sys"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// planCalls makes the filter, so that whatever is wrong with it is known before
// anything is changed.
func (p *plan) planCalls() error {
	if p.options.WithoutFilter {
		return nil
	}
	machine, err := arch.GetInfo("")
	if err != nil {
		return fmt.Errorf("seccomp: %w; set WithoutFilter to do without", err)
	}
	for _, name := range p.options.SystemCalls {
		if _, ok := machine.SyscallNames[name]; !ok {
			return optionError("SystemCalls", "%q is no system call of this machine (%s)", name, machine.Name)
		}
	}
	policy, passing := p.options.policy(machine)
	instructions, err := policy.Assemble()
	if err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	raw, err := bpf.Assemble(instructions)
	if err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	p.passing, p.filter = passing, make([]unix.SockFilter, len(raw))
	for i, instruction := range raw {
		p.filter[i] = unix.SockFilter{Code: instruction.Op, Jt: instruction.Jt, Jf: instruction.Jf, K: instruction.K}
	}
	return nil
}

// restrictCalls puts every thread under the filter.
func (p *plan) restrictCalls(r *Report) error {
	if p.options.WithoutFilter {
		r.Missing = append(r.Missing, "system calls: WithoutFilter")
		return nil
	}
	thread, errno := sys.Filter(p.filter)
	if errno == unix.ENOSYS || errno == unix.EINVAL {
		return fmt.Errorf("the kernel has no seccomp filter for all threads (Linux 3.17); set WithoutFilter to do without: %w", called("seccomp", errno))
	}
	if errno != 0 {
		return called("seccomp", errno)
	}
	if thread != 0 {
		return fmt.Errorf("seccomp: thread %d has a filter of its own", thread)
	}
	r.SystemCalls = len(p.passing)
	return nil
}

// passes reports whether a system call will pass, with some arguments at least.
func (p *plan) passes(call string) bool { return p.options.WithoutFilter || p.passing[call] }

// policy returns the filter, and the calls that pass it. The kernel remembers calls
// that pass with any arguments (Linux 5.11), so that their place in the list costs
// nothing.
func (o *Options) policy(machine *arch.Info) (policy *seccomp.Policy, passing map[string]bool) {
	plain, conditional := o.calls()
	passing = make(map[string]bool)
	known := func(name string) bool { _, ok := machine.SyscallNames[name]; return ok }
	var allow seccomp.SyscallGroup
	allow.Action = seccomp.ActionAllow
	for _, name := range plain {
		if known(name) && !passing[name] {
			passing[name] = true
			allow.Names = append(allow.Names, name)
		}
	}
	for _, call := range conditional {
		// What passes anyway needs no condition.
		if known(call.Name) && !slices.Contains(allow.Names, call.Name) {
			passing[call.Name] = true
			allow.NamesWithCondtions = append(allow.NamesWithCondtions, call)
		}
	}
	refuse := func(errno unix.Errno, names []string) seccomp.SyscallGroup {
		group := seccomp.SyscallGroup{Action: seccomp.ActionErrno | seccomp.Action(errno)}
		for _, name := range names {
			if known(name) && !passing[name] {
				group.Names = append(group.Names, name)
			}
		}
		return group
	}
	return &seccomp.Policy{
		DefaultAction: seccomp.ActionErrno, // EPERM
		Syscalls:      []seccomp.SyscallGroup{allow, refuse(unix.EACCES, opening), refuse(unix.ENOSYS, unreadable)},
	}, passing
}
