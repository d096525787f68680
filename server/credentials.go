package server

import (
	"encoding/json"
	"fmt"

	"credrpc/internal/sys"
)

// NoID is the user or group id that no process has: (uid_t)-1. See setuid(2)
// and chown(2), which give it the meaning "none".
const NoID = ^uint32(0)

// Credentials are a process, a user and a group as the kernel reported them.
// The zero value is invalid and never stands for root: its ids are [NoID].
type Credentials struct {
	pid int32 // > 0 if valid
	uid uint32
	gid uint32
}

// NewCredentials returns credentials for tests and tools. They are invalid if
// pid is not positive or an id is [NoID].
func NewCredentials(pid int, uid, gid uint32) Credentials {
	if pid <= 0 || pid != int(int32(pid)) || uid == NoID || gid == NoID {
		return Credentials{}
	}
	return Credentials{pid: int32(pid), uid: uid, gid: gid}
}

func fromUcred(u sys.Ucred) Credentials {
	return NewCredentials(int(u.PID), u.UID, u.GID)
}

// Valid reports whether the kernel vouches for c.
func (c Credentials) Valid() bool { return c.pid > 0 }

// known reports whether c names a process, a user and a group.
func (s *serving) known(c Credentials) bool {
	return c.Valid() && s.ids.Known(c.uid, c.gid)
}

// PID returns the process id in the server's pid namespace, 0 if c is invalid.
// Process ids are reused: it is for logs, never for a decision.
func (c Credentials) PID() int { return int(c.pid) }

// UID returns the user id in the server's user namespace, [NoID] if c is
// invalid.
func (c Credentials) UID() uint32 {
	if !c.Valid() {
		return NoID
	}
	return c.uid
}

// GID returns the group id in the server's user namespace, [NoID] if c is
// invalid.
func (c Credentials) GID() uint32 {
	if !c.Valid() {
		return NoID
	}
	return c.gid
}

// String returns "pid=1 uid=2 gid=3", or "invalid".
func (c Credentials) String() string {
	if !c.Valid() {
		return "invalid"
	}
	return fmt.Sprintf("pid=%d uid=%d gid=%d", c.pid, c.uid, c.gid)
}

// MarshalJSON returns {"pid":1,"uid":2,"gid":3}, or null if c is invalid.
func (c Credentials) MarshalJSON() ([]byte, error) {
	if !c.Valid() {
		return []byte("null"), nil
	}
	return json.Marshal(struct {
		PID int32  `json:"pid"`
		UID uint32 `json:"uid"`
		GID uint32 `json:"gid"`
	}{c.pid, c.uid, c.gid})
}
