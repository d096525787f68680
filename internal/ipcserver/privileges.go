package ipcserver

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// dropPrivileges makes this process, every thread of it, the user and group that
// the options want, for good. See credentials(7).
func (o *options) dropPrivileges() error {
	if o.idsFromEnv {
		if err := o.takeIDsFromEnv(); err != nil {
			return err
		}
	}
	if o.uid == nil && o.gid == nil && o.groups == nil {
		return nil
	}
	gid := os.Getegid()
	if o.gid != nil {
		gid = int(*o.gid)
	}
	// The groups of whoever started this are left behind in any case.
	groups := []int{gid}
	for _, group := range o.groups {
		groups = append(groups, int(group))
	}
	if err := syscall.Setgroups(groups); err != nil {
		return failed("set supplementary groups", err)
	}
	if o.gid != nil {
		if err := syscall.Setgid(gid); err != nil {
			return failed("setgid", err)
		}
	}
	if o.uid != nil {
		if err := syscall.Setuid(int(*o.uid)); err != nil {
			return failed("setuid", err)
		}
	}
	if err := o.verifyPrivileges(groups); err != nil {
		return failed("drop privileges", err)
	}
	return nil
}

// takeIDsFromEnv fills in what the options leave open, and removes the variables.
func (o *options) takeIDsFromEnv() error {
	for _, variable := range []struct {
		name string
		take func(value string) error
	}{
		{"UID", func(value string) error {
			id, err := parseID(value)
			if o.uid == nil {
				o.uid = id
			}
			return err
		}},
		{"GID", func(value string) error {
			id, err := parseID(value)
			if o.gid == nil {
				o.gid = id
			}
			return err
		}},
		{"GIDLIST", func(value string) error {
			ids, err := parseIDs(value)
			if o.groups == nil {
				o.groups = ids
			}
			return err
		}},
	} {
		value, ok := os.LookupEnv(variable.name)
		if !ok {
			return wrongUsage("-U: %s is not set", variable.name)
		}
		if err := variable.take(value); err != nil {
			return wrongUsage("-U: %s=%q: %v", variable.name, value, err)
		}
		os.Unsetenv(variable.name)
	}
	return nil
}

// verifyPrivileges makes sure that there is no way back.
func (o *options) verifyPrivileges(groups []int) error {
	got, err := syscall.Getgroups()
	if err != nil {
		return err
	}
	for _, list := range []*[]int{&got, &groups} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	if !slices.Equal(got, groups) {
		return fmt.Errorf("the supplementary groups are %v", got)
	}
	if o.gid != nil {
		want := int(*o.gid)
		if real, effective, saved := unix.Getresgid(); real != want || effective != want || saved != want {
			return fmt.Errorf("the group ids are %d, %d and %d", real, effective, saved)
		}
	}
	if o.uid != nil {
		want := int(*o.uid)
		if real, effective, saved := unix.Getresuid(); real != want || effective != want || saved != want {
			return fmt.Errorf("the user ids are %d, %d and %d", real, effective, saved)
		}
		if syscall.Setuid(0) == nil {
			return errors.New("the capability to become root again is left")
		}
	}
	return nil
}
