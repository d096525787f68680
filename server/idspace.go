package server

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// An idSpace knows which ids stand for "unknown" in this process's user
// namespace. There, the kernel reports the overflow id for users and groups
// that the namespace does not map (user_namespaces(7), "Unmapped user and group
// IDs"). Where everything is mapped the overflow id is an ordinary one.
type idSpace struct {
	unknownUID uint32 // NoID if every user id is mapped
	unknownGID uint32 // NoID if every group id is mapped
}

// readIDSpace reads what holds for this process. What cannot be read counts as
// not mapped.
func readIDSpace() idSpace {
	return idSpace{
		unknownUID: unknownID("/proc/self/uid_map", "/proc/sys/kernel/overflowuid"),
		unknownGID: unknownID("/proc/self/gid_map", "/proc/sys/kernel/overflowgid"),
	}
}

func unknownID(mapFile, overflowFile string) uint32 {
	// Inside, outside, how many: the whole range as it is in the first
	// user namespace.
	if ids, err := os.ReadFile(mapFile); err == nil && bytes.Equal(bytes.Join(bytes.Fields(ids), []byte(" ")), []byte("0 0 4294967295")) {
		return NoID
	}
	const usual = 65534 // DEFAULT_OVERFLOWUID
	text, err := os.ReadFile(overflowFile)
	if err != nil {
		return usual
	}
	id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil {
		return usual
	}
	return uint32(id)
}

// known reports whether c names a process, a user and a group.
func (s *serving) known(c Credentials) bool {
	return c.Valid() && c.uid != s.ids.unknownUID && c.gid != s.ids.unknownGID
}
