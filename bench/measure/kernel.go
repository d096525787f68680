package measure

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// KernelObjects returns how many bytes the objects take that the kernel's slab
// allocator has given out: sockets, inodes, descriptions of open files, and all else.
// It is a figure of the whole machine, so only a difference means something that is
// far larger than what others do meanwhile. Objects are counted and not the pages that
// hold them, which stay when objects go. It needs root. See slabinfo(5).
func KernelObjects() (uint64, error) {
	text, err := os.ReadFile("/proc/slabinfo")
	if err != nil {
		return 0, fmt.Errorf("measure: %w", err)
	}
	return slabObjects(text)
}

// slabObjects adds up the lines "name active_objs num_objs objsize …".
func slabObjects(text []byte) (total uint64, err error) {
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) < 4 || fields[0][0] == '#' || string(fields[0]) == "slabinfo" {
			continue
		}
		objects, err1 := strconv.ParseUint(string(fields[1]), 10, 64)
		size, err2 := strconv.ParseUint(string(fields[3]), 10, 64)
		if err1 != nil || err2 != nil {
			return 0, fmt.Errorf("measure: the line %q of slabinfo", line)
		}
		total += objects * size
	}
	if total == 0 {
		return 0, fmt.Errorf("measure: slabinfo has no objects")
	}
	return total, nil
}
