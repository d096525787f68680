package load

import (
	"fmt"
	"strconv"
	"strings"
)

// UIDs are users, each with a part of the callers. They are written N,LOW-HIGH,…
type UIDs []uint32

const (
	// MaxUIDs is the largest number of users: each is a process.
	MaxUIDs = 256

	// noUID is no user: it means "unchanged" in setresuid(2).
	noUID = 1<<32 - 1
)

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
