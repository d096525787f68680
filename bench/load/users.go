package load

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// UIDs are users, each with a part of the callers. They are written N,LOW-HIGH,…
type UIDs []uint32

const (
	// MaxUIDs is the largest number of users: each is a process.
	MaxUIDs = 256

	// noUID is no user: it means "unchanged" in setresuid(2).
	noUID = 1<<32 - 1
)

const (
	// FirstIdentity is the least number of the users as whom callers act in turn.
	// With MaxIdentities of them all are below 65534, which every user namespace
	// that container managers make has.
	FirstIdentity = 20_000
	MaxIdentities = 40_000
)

// identities are the users as whom one of several callers acts in turn. The zero
// value is none, and root calls. It belongs to the thread of that caller.
type identities struct {
	count, next, step int
	own               uint32 // user of the process, who calls if there are none
}

// identitiesOf returns those of a caller with an index among all callers. What one
// user costs is the same, however many there are: to begin and to end a call are two
// system calls that change credentials.
func identitiesOf(c *Config, index, callers int) identities {
	if c.Identities == 0 {
		return identities{own: uint32(os.Geteuid())}
	}
	return identities{count: c.Identities, next: index % c.Identities, step: callers}
}

// become has the thread act as the next user, and returns who that is.
func (i *identities) become() (uid uint32, errno unix.Errno) {
	if i.count == 0 {
		return i.own, 0
	}
	uid = FirstIdentity + uint32(i.next)
	i.next = (i.next + i.step) % i.count
	return uid, sys.ActAs(uid)
}

// leave has the thread act as root again.
func (i *identities) leave() {
	if i.count > 0 {
		sys.ActAs(0) // which is the saved user, so it is allowed
	}
}

// ParseUIDs reads the notation of users.
func ParseUIDs(s string) (UIDs, error) {
	var all UIDs
	for _, text := range strings.Split(s, ",") {
		low, high, isRange := strings.Cut(text, "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.ParseUint(low, 10, 32)
		to, err2 := strconv.ParseUint(high, 10, 32)
		if err1 != nil || err2 != nil || from > to || to == noUID {
			return nil, fmt.Errorf("load: %q is neither the number of a user nor LOW-HIGH", text)
		}
		if to-from >= MaxUIDs || len(all)+int(to-from)+1 > MaxUIDs {
			return nil, fmt.Errorf("load: %q are more than %d users, and each is a process", s, MaxUIDs)
		}
		for uid := from; uid <= to; uid++ {
			all = append(all, uint32(uid))
		}
	}
	return all, nil
}

// String returns the users one by one.
func (u UIDs) String() string {
	all := make([]string, len(u))
	for i, uid := range u {
		all[i] = strconv.FormatUint(uint64(uid), 10)
	}
	return strings.Join(all, ",")
}

// UnmarshalText reads the notation of users.
func (u *UIDs) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*u = nil
		return nil
	}
	parsed, err := ParseUIDs(string(text))
	if err != nil {
		return err
	}
	*u = parsed
	return nil
}

// MarshalText returns the notation of users, "" for none.
func (u UIDs) MarshalText() ([]byte, error) { return []byte(u.String()), nil }
