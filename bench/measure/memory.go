package measure

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// A Memory is what a process has in memory, in bytes.
type Memory struct {
	RSS  uint64 `json:"rss_bytes"`  // resident pages. See proc_pid_status(5), VmRSS
	PSS  uint64 `json:"pss_bytes"`  // resident pages, shared ones divided by their users; 0 if the kernel does not say
	Peak uint64 `json:"peak_bytes"` // most resident pages so far: VmHWM
}

// MemoryOf returns what the process pid has in memory.
func MemoryOf(pid int) (Memory, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, fmt.Errorf("measure: %w", err)
	}
	m := Memory{RSS: kilobytes(status, "VmRSS"), Peak: kilobytes(status, "VmHWM")}
	if m.RSS == 0 || m.Peak == 0 {
		return Memory{}, fmt.Errorf("measure: the status of %d has no VmRSS and VmHWM", pid)
	}
	if rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid)); err == nil {
		m.PSS = kilobytes(rollup, "Pss")
	}
	return m, nil
}

// kilobytes returns the bytes that a line "name: N kB" of a file of proc(5)
// says, or 0 if there is none.
func kilobytes(file []byte, name string) uint64 { return number(file, name) << 10 }

// number returns what a line "name: N", perhaps with a unit, of a file of proc(5)
// says, or 0 if there is none.
func number(file []byte, name string) uint64 {
	lines := bufio.NewScanner(bytes.NewReader(file))
	for lines.Scan() {
		value, ok := strings.CutPrefix(lines.Text(), name+":")
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	return 0
}
