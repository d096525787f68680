package measure

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of times in /proc: USER_HZ, 100 a second on every
// architecture that Go has.
const tick = 10 * time.Millisecond

// A CPU is processor time that all threads of a process have used together. The
// total is exact to the nanosecond; the kernel tells user from system time in
// ticks of 10 ms only, so the split of a short time is rough.
type CPU struct {
	Total time.Duration
	// Ticks in user and in system mode. Their sum differs from Total by less
	// than two ticks.
	user, system time.Duration
}

// Add returns what both have used.
func (c CPU) Add(other CPU) CPU {
	return CPU{c.Total + other.Total, c.user + other.user, c.system + other.system}
}

// Sub returns what was used between before and c.
func (c CPU) Sub(before CPU) CPU {
	return CPU{c.Total - before.Total, c.user - before.user, c.system - before.system}
}

// System is the part of the total that was used in the kernel, all of it if
// there was no tick.
func (c CPU) System() time.Duration {
	if c.user <= 0 {
		return c.Total
	}
	return time.Duration(float64(c.Total) * float64(c.system) / float64(c.user+c.system))
}

// User is the part of the total that was not used in the kernel.
func (c CPU) User() time.Duration { return c.Total - c.System() }

// CPUOf returns what the process pid has used since it began, from its processor
// clock (clock_getcpuclockid(3)) and its stat file (proc_pid_stat(5)).
func CPUOf(pid int) (CPU, error) {
	var ts unix.Timespec
	// A process clock is the complement of the pid, shifted, and
	// CPUCLOCK_SCHED: what clock_getcpuclockid(3) returns.
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil {
		return CPU{}, fmt.Errorf("measure: processor clock of %d: %w", pid, err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return CPU{}, fmt.Errorf("measure: %w", err)
	}
	user, system, err := ticks(stat, ownTicks)
	if err != nil {
		return CPU{}, err
	}
	return CPU{time.Duration(ts.Nano()), time.Duration(user) * tick, time.Duration(system) * tick}, nil
}

// ChildrenCPUOf returns what the children of the process pid have used that have
// ended and that it has waited for, and their own such children. It is exact to
// two ticks. See proc_pid_stat(5).
func ChildrenCPUOf(pid int) (CPU, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return CPU{}, fmt.Errorf("measure: %w", err)
	}
	user, system, err := ticks(stat, childrenTicks)
	if err != nil {
		return CPU{}, err
	}
	c := CPU{user: time.Duration(user) * tick, system: time.Duration(system) * tick}
	c.Total = c.user + c.system
	return c, nil
}

// The fields of a process's stat file with times in user mode; those in system
// mode follow. See proc_pid_stat(5).
const (
	ownTicks      = 14 // utime
	childrenTicks = 16 // cutime
)

// ticks returns two fields of a process's stat file: number field and the next.
func ticks(stat []byte, field int) (user, system uint64, err error) {
	// Field 2 is a name in parentheses that may hold anything, so counting
	// begins behind the last parenthesis, with field 3.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < field-1 {
		return 0, 0, fmt.Errorf("measure: stat file with %d fields", len(fields)+2)
	}
	if user, err = strconv.ParseUint(string(fields[field-3]), 10, 64); err != nil {
		return 0, 0, fmt.Errorf("measure: user time: %w", err)
	}
	if system, err = strconv.ParseUint(string(fields[field-2]), 10, 64); err != nil {
		return 0, 0, fmt.Errorf("measure: system time: %w", err)
	}
	return user, system, nil
}

// A Cores says what all cores together did since the machine started, in ticks
// of 10 ms.
type Cores struct {
	Busy time.Duration // ran any process, served interrupts, or was taken away by the hypervisor
	Idle time.Duration
}

// Sub returns what the cores did between before and c.
func (c Cores) Sub(before Cores) Cores {
	return Cores{Busy: c.Busy - before.Busy, Idle: c.Idle - before.Idle}
}

// AllCores returns what the cores of the machine did.
func AllCores() (Cores, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Cores{}, fmt.Errorf("measure: %w", err)
	}
	return cores(stat)
}

// cores reads the first line of proc_stat(5): "cpu", user, nice, system, idle,
// iowait, irq, softirq, steal, and times of guests that user contains.
func cores(stat []byte) (Cores, error) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 9 || string(fields[0]) != "cpu" {
		return Cores{}, fmt.Errorf("measure: the first line of /proc/stat is %q", line)
	}
	var c Cores
	for i, field := range fields[1:9] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return Cores{}, fmt.Errorf("measure: /proc/stat: %w", err)
		}
		if i == 3 || i == 4 {
			c.Idle += time.Duration(n) * tick
		} else {
			c.Busy += time.Duration(n) * tick
		}
	}
	return c, nil
}
