package measure

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
)

// A Process is what a process has used since it began, and what it has now.
type Process struct {
	CPU CPU

	MinorFaults uint64 // page faults that needed no reading. See proc_pid_stat(5), minflt
	MajorFaults uint64 // page faults that did
	// Context switches of the threads that live: because a thread waited, and
	// because another was to run. See proc_pid_status(5).
	VoluntarySwitches   uint64
	InvoluntarySwitches uint64

	Memory      Memory
	Descriptors int
	Threads     int
}

// ProcessOf returns what the process pid has used and has. It needs the
// permission to see the descriptors of the process, which those of the same user
// and root have. See ptrace(2), PTRACE_MODE_READ.
func ProcessOf(pid int) (p Process, err error) {
	if p.CPU, err = CPUOf(pid); err != nil {
		return p, err
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, fmt.Errorf("measure: %w", err)
	}
	if p.MinorFaults, p.MajorFaults, err = faults(stat); err != nil {
		return p, err
	}
	if p.Memory, err = MemoryOf(pid); err != nil {
		return p, err
	}
	descriptors, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return p, fmt.Errorf("measure: %w", err)
	}
	p.Descriptors = len(descriptors)
	return p, p.addThreads(pid)
}

// addThreads adds up what is counted for each thread.
func (p *Process) addThreads(pid int) error {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return fmt.Errorf("measure: %w", err)
	}
	for _, thread := range threads {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", pid, thread.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has ended
		}
		if err != nil {
			return fmt.Errorf("measure: %w", err)
		}
		p.VoluntarySwitches += number(status, "voluntary_ctxt_switches")
		p.InvoluntarySwitches += number(status, "nonvoluntary_ctxt_switches")
		p.Threads++
	}
	return nil
}

// faults returns fields 10 and 12, minflt and majflt, of a process's stat file.
func faults(stat []byte) (minor, major uint64, err error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 10 {
		return 0, 0, fmt.Errorf("measure: stat file with %d fields", len(fields)+2)
	}
	if minor, err = strconv.ParseUint(string(fields[7]), 10, 64); err != nil {
		return 0, 0, fmt.Errorf("measure: page faults: %w", err)
	}
	if major, err = strconv.ParseUint(string(fields[9]), 10, 64); err != nil {
		return 0, 0, fmt.Errorf("measure: page faults: %w", err)
	}
	return minor, major, nil
}

// A Usage is what a process used in some time, and what it had at its ends.
type Usage struct {
	Seconds             float64 `json:"seconds"`
	UserSeconds         float64 `json:"user_seconds"`
	SystemSeconds       float64 `json:"system_seconds"`
	MinorFaults         uint64  `json:"minor_faults"`
	MajorFaults         uint64  `json:"major_faults"`
	VoluntarySwitches   uint64  `json:"voluntary_context_switches"` // of threads that lived to the end
	InvoluntarySwitches uint64  `json:"involuntary_context_switches"`
	MemoryBefore        Memory  `json:"memory_before"`
	MemoryAfter         Memory  `json:"memory_after"`
	DescriptorsBefore   int     `json:"descriptors_before"`
	DescriptorsAfter    int     `json:"descriptors_after"`
	ThreadsBefore       int     `json:"threads_before"`
	ThreadsAfter        int     `json:"threads_after"`
}

// Since returns what was used between before and p, which are seconds apart.
func (p Process) Since(before Process, seconds float64) Usage {
	cpu := p.CPU.Sub(before.CPU)
	return Usage{
		Seconds:             seconds,
		UserSeconds:         cpu.User().Seconds(),
		SystemSeconds:       cpu.System().Seconds(),
		MinorFaults:         p.MinorFaults - before.MinorFaults,
		MajorFaults:         p.MajorFaults - before.MajorFaults,
		VoluntarySwitches:   more(p.VoluntarySwitches, before.VoluntarySwitches),
		InvoluntarySwitches: more(p.InvoluntarySwitches, before.InvoluntarySwitches),
		MemoryBefore:        before.Memory, MemoryAfter: p.Memory,
		DescriptorsBefore: before.Descriptors, DescriptorsAfter: p.Descriptors,
		ThreadsBefore: before.Threads, ThreadsAfter: p.Threads,
	}
}

// more returns how much more after is, 0 if it is less: a thread that ended takes
// its counts along.
func more(after, before uint64) uint64 {
	if after < before {
		return 0
	}
	return after - before
}
