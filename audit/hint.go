package audit

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clockTick is the unit of a process's start in /proc/PID/stat: sysconf(_SC_CLK_TCK) is
// 100 on every machine that Go runs on (proc_pid_stat(5)).
const clockTick = 10 * time.Millisecond

// maxPath is how much of a path is told.
const maxPath = 1024

// A hinter looks processes up for one batch of records, each once.
type hinter map[int]*facts

// facts are what /proc says about a process. Those of one that cannot be read are nil.
type facts struct {
	Hint
	uids  [4]uint32     // real, effective, saved, of files
	began time.Duration // after the boot
}

// hint returns what can be told about the process that made the call of e; nil if nothing
// can, or if the process is recognised as another one: it has begun after the call, or has
// nothing to do with the user.
func (h hinter) hint(e *entry) *Hint {
	c, ago := e.sender, time.Since(e.ended)+e.took
	if !c.Valid() {
		c = e.peer
	}
	if !c.Valid() {
		return nil
	}
	f, known := h[c.PID()]
	if !known {
		f = look(c.PID())
		h[c.PID()] = f
	}
	var now unix.Timespec
	if f == nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil || f.began > time.Duration(now.Nano())-ago {
		return nil
	}
	for _, uid := range f.uids {
		if uid == c.UID() && f.Hint != (Hint{}) {
			return &f.Hint
		}
	}
	return nil
}

// look reads /proc/PID. The directory is opened once: what is read beneath it is of one
// process, and fails when that has ended.
func look(pid int) *facts {
	dir, err := os.OpenRoot("/proc/" + strconv.Itoa(pid))
	if err != nil {
		return nil
	}
	defer dir.Close()
	stat, err := dir.ReadFile("stat")
	if err != nil {
		return nil
	}
	status, err := dir.ReadFile("status")
	if err != nil {
		return nil
	}
	f := new(facts)
	if !f.parseStat(stat) || !f.parseStatus(status) {
		return nil
	}
	if cgroup, err := dir.ReadFile("cgroup"); err == nil {
		f.Unit = unitOf(string(cgroup))
	}
	if exe, err := dir.Readlink("exe"); err == nil { // needs the right to trace, ptrace(2)
		f.Executable = exe[:min(len(exe), maxPath)]
	}
	return f
}

// parseStat finds the start, field 22 of proc_pid_stat(5). The second field is chosen by
// the process and ends with the last parenthesis.
func (f *facts) parseStat(text []byte) bool {
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	const start = 22 - 3
	if len(fields) <= start {
		return false
	}
	ticks, err := strconv.ParseInt(string(fields[start]), 10, 64)
	f.began = time.Duration(ticks) * clockTick
	return err == nil
}

// parseStatus finds the users in proc_pid_status(5). The name of the process, which it
// chooses, is escaped there.
func (f *facts) parseStatus(text []byte) bool {
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, "Uid:")
		if !ok {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) != len(f.uids) {
			return false
		}
		for i, field := range fields {
			uid, err := strconv.ParseUint(field, 10, 32)
			if err != nil {
				return false
			}
			f.uids[i] = uint32(uid)
		}
		return true
	}
	return false
}

// unitOf returns the outermost service or scope in the control groups of a process
// (cgroups(7)): what is beneath that its user may have made.
func unitOf(text string) string {
	for line := range strings.Lines(text) {
		hierarchy, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		if hierarchy != "0" && controllers != "name=systemd" {
			continue
		}
		for name := range strings.SplitSeq(path, "/") {
			if strings.HasSuffix(name, ".service") || strings.HasSuffix(name, ".scope") {
				return name[:min(len(name), maxPath)]
			}
		}
	}
	return ""
}
