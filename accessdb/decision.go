//go:build linux

package accessdb

import (
	"os"
	"strconv"
)

// Decision is the outcome of the rules. The zero value refuses.
type Decision uint8

const (
	// NotFound means that no rule decides. The caller is refused.
	NotFound Decision = iota
	// Deny means that a rule refuses the caller, or that deciding failed at one.
	Deny
	// Allow means that a rule accepts the caller.
	Allow
)

// String returns "not found", "deny" or "allow".
func (d Decision) String() string {
	switch d {
	case Allow:
		return "allow"
	case Deny:
		return "deny"
	case NotFound:
		return "not found"
	}
	return "Decision(" + strconv.Itoa(int(d)) + ")"
}

// MarshalText returns what String returns; the error is always nil.
func (d Decision) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// KeyKind is the kind of a rule's key.
type KeyKind uint8

const (
	KeyNone       KeyKind = iota // no rule
	KeyIdentity                  // no rule either: Options.Identity decided
	KeyUIDSelf                   // uid/self
	KeyUID                       // uid/N
	KeyGIDSelf                   // gid/self
	KeyGID                       // gid/N
	KeyUIDDefault                // uid/default
)

// Key names the rule that decided. It is a small value: making and copying one
// allocates nothing, unlike its text. The zero value names no rule.
type Key struct {
	Kind KeyKind
	ID   uint32 // N of KeyUID and KeyGID, else 0
}

// String returns the key as it is written in a rules directory or file, such as
// "uid/1000"; "identity" for [KeyIdentity] and "" for [KeyNone].
func (k Key) String() string {
	var b [maxKeyLength]byte
	return string(k.append(b[:0]))
}

// AppendText appends what String returns; the error is always nil. It implements
// encoding.TextAppender.
func (k Key) AppendText(b []byte) ([]byte, error) { return k.append(b), nil }

// MarshalText returns what String returns; the error is always nil.
func (k Key) MarshalText() ([]byte, error) { return k.append(nil), nil }

// maxKeyLength is the length of the longest key, "uid/4294967294".
const maxKeyLength = 14

func (k Key) append(b []byte) []byte {
	switch k.Kind {
	case KeyIdentity:
		return append(b, "identity"...)
	case KeyUIDSelf:
		return append(b, "uid/self"...)
	case KeyUID:
		return strconv.AppendUint(append(b, "uid/"...), uint64(k.ID), 10)
	case KeyGIDSelf:
		return append(b, "gid/self"...)
	case KeyGID:
		return strconv.AppendUint(append(b, "gid/"...), uint64(k.ID), 10)
	case KeyUIDDefault:
		return append(b, "uid/default"...)
	}
	return b
}

// parseKey is the inverse of append for the keys of rules. It reports false for
// every key that no caller can lead to: another prefix, a number with a leading
// zero, one that is no valid id.
func parseKey(b []byte) (Key, bool) {
	if len(b) < 5 || b[3] != '/' || (string(b[:3]) != "uid" && string(b[:3]) != "gid") {
		return Key{}, false
	}
	user, name := b[0] == 'u', b[4:]
	switch {
	case string(name) == "self" && user:
		return Key{Kind: KeyUIDSelf}, true
	case string(name) == "self":
		return Key{Kind: KeyGIDSelf}, true
	case string(name) == "default" && user:
		return Key{Kind: KeyUIDDefault}, true
	}
	id, ok := parseID(name)
	if !ok {
		return Key{}, false
	}
	if user {
		return Key{Kind: KeyUID, ID: id}, true
	}
	return Key{Kind: KeyGID, ID: id}, true
}

func parseID(b []byte) (uint32, bool) {
	if len(b) > 10 || (len(b) > 1 && b[0] == '0') {
		return 0, false
	}
	n := uint64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return uint32(n), n < invalidID
}

// invalidID is what the system uses where it has no uid or gid: (uid_t)-1, see
// chown(2) and credentials(7).
const invalidID = 1<<32 - 1

// Result is what the rules say of one caller. The zero value refuses. It refers to
// nothing of the DB it came from and may be kept.
type Result struct {
	Decision Decision
	Key      Key    // which rule decided, or failed to
	Env      Env    // with Allow: the rule's changes to the environment
	Exec     string // with Allow: an execline command line to run instead of the program, or ""
}

// Command returns the argument list that runs Exec as s6 does, or nil when the rule
// has none. The command line ends at a zero byte, as it does in s6, whose arguments
// are C strings.
func (r *Result) Command() []string {
	if r.Exec == "" {
		return nil
	}
	line := r.Exec
	for i := range len(line) {
		if line[i] == 0 {
			line = line[:i]
			break
		}
	}
	return []string{"execlineb", "-Pc", line}
}

// Rule is one rule as it stands in a directory or file.
type Rule struct {
	Key      string   // such as "uid/1000"; others than uid/ and gid/ exist and are never asked for
	Decision Decision // NotFound for a rule that says neither allow nor deny
	Env      Env
	Exec     string
}

// IDs are the effective uid and gid of a process.
type IDs struct{ UID, GID uint32 }

// ownIDs returns the ids of this process.
func ownIDs() IDs { return IDs{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())} }

// order fills in the keys to try for a caller and returns how many they are.
func order(keys *[5]Key, uid, gid uint32, self IDs) (n int) {
	add := func(kind KeyKind, id uint32) {
		keys[n] = Key{Kind: kind, ID: id}
		n++
	}
	if uid == self.UID {
		add(KeyUIDSelf, 0)
	}
	add(KeyUID, uid)
	if gid == self.GID {
		add(KeyGIDSelf, 0)
	}
	add(KeyGID, gid)
	add(KeyUIDDefault, 0)
	return n
}

// source answers for single keys: a generation, or an open rules directory.
type source interface {
	// probe returns what is known of a key at once.
	probe(Key) verdict
	// read returns the rule of a key for which probe returned verdictRecord, and
	// NotFound if there is none after all. With an error the decision is Deny and
	// the key that of the rule.
	read(Key) (Result, error)
}

// verdict is what is known of a key before its rule is read.
type verdict uint32

const (
	verdictNone   verdict = iota // no such rule
	verdictDeny                  // deny
	verdictAllow                 // allow, and nothing else
	verdictRecord                // read the rule: it has more to say, or is not in order
)

// decide tries the keys in order; the first decision or error ends it. It notes
// what it tries in tried, unless that is nil.
func decide(rules source, uid, gid uint32, self IDs, tried *[]Attempt) (result Result, err error) {
	var keys [5]Key
	for _, key := range keys[:order(&keys, uid, gid, self)] {
		result.Key = key
		switch rules.probe(key) {
		case verdictNone:
			result.Decision = NotFound
		case verdictAllow:
			result.Decision = Allow
		case verdictDeny:
			result.Decision = Deny
		default:
			result, err = rules.read(key)
		}
		if tried != nil {
			*tried = append(*tried, Attempt{Key: key, Decision: result.Decision, Err: err})
		}
		if result.Decision != NotFound {
			return result, err
		}
	}
	return Result{}, nil
}

// Attempt is one step of a decision: a key that was tried and what came of it.
type Attempt struct {
	Key      Key
	Decision Decision // NotFound: the search went on
	Err      error    // why deciding failed here, or nil
}
