package main

import (
	"os/user"
	"strconv"

	"credrpc/server"
)

// userID returns the uid that text names, or nil if text is empty.
func userID(flag, text string) (*uint32, error) {
	return lookUp(flag, text, func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
}

// groupID returns the gid that text names, or nil if text is empty.
func groupID(flag, text string) (*uint32, error) {
	return lookUp(flag, text, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
}

// primaryGroup returns the gid of the primary group of a user, by name or number,
// and whether the user is known.
func primaryGroup(text string) (gid uint32, known bool) {
	u, err := user.Lookup(text)
	if err != nil {
		u, err = user.LookupId(text)
	}
	if err != nil {
		return 0, false
	}
	id, err := strconv.ParseUint(u.Gid, 10, 32)
	return uint32(id), err == nil
}

// lookUp returns the id that text names: a number, or a name that find knows.
// It returns nil if text is empty.
func lookUp(flag, text string, find func(name string) (id string, err error)) (*uint32, error) {
	if text == "" {
		return nil, nil
	}
	number := text
	if id, err := find(text); err == nil {
		number = id
	}
	id, err := strconv.ParseUint(number, 10, 32)
	if err != nil || uint32(id) == server.NoID {
		return nil, usageError("%s %q: neither a known name nor an id", flag, text)
	}
	id32 := uint32(id)
	return &id32, nil
}
