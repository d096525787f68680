// Package idspace knows which user and group ids say nothing.
//
// In a user namespace the kernel reports the overflow id for users and groups
// that the namespace does not map (user_namespaces(7), "Unmapped user and group
// IDs"). There, that id is no identity. Where everything is mapped it is an
// ordinary one, that of "nobody".
package idspace

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// NoID is what the system uses for "no id" (chown(2)). No user or group has it.
const NoID = 1<<32 - 1

// A Space is what holds for one process. The zero value knows no root: make one
// with [Read].
type Space struct {
	unknownUID uint32 // NoID if every user id is mapped
	unknownGID uint32 // NoID if every group id is mapped
}

// Read reads what holds for this process. What cannot be read counts as not
// mapped.
func Read() Space {
	return Space{
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

// Known reports whether uid names a user and gid a group.
func (s Space) Known(uid, gid uint32) bool {
	return uid != NoID && gid != NoID && uid != s.unknownUID && gid != s.unknownGID
}
