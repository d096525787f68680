// Package leak fails a test run that leaves a descriptor or a goroutine behind. It is for
// the TestMain of packages whose tests open descriptors:
//
//	func TestMain(m *testing.M) { os.Exit(leak.Run(m)) }
//
// What is there before the tests may be there after them. What is new must be gone when
// the last test has ended, or soon after: the other half of a connection, and a goroutine
// that has been told to end, may take a moment. So there is a wait, which a run that
// leaves nothing does not see, and which no speed of the machine can make too short
// within reason. An [os.File] that nobody refers to any more closes itself, and is only
// found if no garbage was collected before.
package leak

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long the last things may take to go away.
const patience = 20 * time.Second

// Run runs the tests and returns the status to exit with. It is 1 if the tests passed
// and left something; standard error then says what.
func Run(m *testing.M) (status int) { return run(m, patience) }

func run(m *testing.M, patience time.Duration) (status int) {
	if err := startPoller(); err != nil {
		fmt.Fprintln(os.Stderr, "leak:", err)
		return 1
	}
	before, goroutines := descriptors(), goleak.IgnoreCurrent()
	// Fuzzing ends with processes and files of package testing.
	if status = m.Run(); status != 0 || fuzzing() {
		return status
	}
	if err := settled(before, goroutines, patience); err != nil {
		fmt.Fprintln(os.Stderr, "leak: the tests have left something behind:", err)
		return 1
	}
	return 0
}

// startPoller makes the runtime open what it keeps: the descriptors of its poller.
func startPoller() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	r.Close()
	return w.Close()
}

func fuzzing() bool {
	f := flag.Lookup("test.fuzz")
	return f != nil && f.Value.String() != ""
}

// settled waits until nothing is left, and returns what is left if that lasts too long.
func settled(before map[string]string, goroutines goleak.Option, patience time.Duration) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := errors.Join(unknown(before), goleak.Find(goroutines))
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// unknown names the descriptors that were not open before.
func unknown(before map[string]string) error {
	now := descriptors()
	maps.DeleteFunc(now, func(fd, target string) bool { return before[fd] == target })
	if len(now) == 0 {
		return nil
	}
	var names []string
	for fd, target := range now {
		names = append(names, fd+" -> "+target)
	}
	slices.Sort(names)
	return fmt.Errorf("%d descriptors: %q", len(names), names)
}

// descriptors returns what this process has open, by descriptor: see "/proc/PID/fd" in
// proc_pid_fd(5). The one that lists the directory is closed when its link is read.
func descriptors() map[string]string {
	open := make(map[string]string)
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return open // there is no /proc, and nothing that could be said
	}
	for _, entry := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil {
			open[entry.Name()] = target
		}
	}
	return open
}
