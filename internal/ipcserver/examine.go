package ipcserver

import (
	"strconv"

	"credrpc/accessdb"
	"credrpc/internal/sys"
)

// A connection is a caller and what was decided about it.
type connection struct {
	fd       int
	path     string // the caller's own address, which it chose
	known    bool   // uid and gid are the caller's
	uid, gid uint32
	pid      int32 // of the caller; for messages
	number   int   // of connections of this user, with this one
	rule     accessdb.Result
}

// examine finds out who connected and whether to run a program. It returns false
// for a connection that is to be refused, and not admitted.
func (s *server) examine(conn *connection) bool {
	if s.options.lookup && !s.identify(conn) {
		return false
	}
	number, ok := s.children.admit(conn.uid)
	if !ok {
		s.log.info("deny %s count %d/%d", conn.ids(), number, s.options.maxPerUser)
		return false
	}
	conn.number = number
	if s.rules == nil || s.checkRules(conn) {
		return true
	}
	s.children.release(conn.uid)
	return false
}

// identify asks the kernel who connected. A caller that it does not know, since
// it belongs to a pid or user namespace that this process does not see, is
// nobody: no rule and no limit can mean it.
func (s *server) identify(conn *connection) bool {
	peer, errno := sys.PeerUcred(conn.fd)
	if errno != 0 || peer.PID <= 0 || !s.ids.Known(peer.UID, peer.GID) {
		if s.log.at(verbose) {
			s.log.info("deny pid %d uid %d gid %d: the kernel does not know the caller", peer.PID, peer.UID, peer.GID)
		}
		return false
	}
	conn.known, conn.uid, conn.gid, conn.pid = true, peer.UID, peer.GID, peer.PID
	return true
}

// checkRules asks the rules.
func (s *server) checkRules(conn *connection) bool {
	var err error
	conn.rule, err = s.rules.Check(conn.uid, conn.gid)
	switch {
	case err != nil:
		s.log.err("unable to check rules for uid %d gid %d: %v", conn.uid, conn.gid, err)
		return false
	case conn.rule.Decision == accessdb.Allow:
		return true
	case s.log.at(verbose):
		reason := "No such file or directory" // in the words of s6: no rule decides
		if conn.rule.Decision == accessdb.Deny {
			reason = "Permission denied"
		}
		s.log.info("deny pid %d uid %d gid %d: %s", conn.pid, conn.uid, conn.gid, reason)
	}
	return false
}

// ids returns "uid:gid", or "?:?" if nobody asked.
func (c *connection) ids() string {
	return idText(c.uid, c.known) + ":" + idText(c.gid, c.known)
}

// numberText returns which of its user's connections this is, or "?" if nobody
// asked for the user.
func (c *connection) numberText() string { return idText(uint32(c.number), c.known) }

func idText(id uint32, known bool) string {
	if !known {
		return "?"
	}
	return strconv.FormatUint(uint64(id), 10)
}
