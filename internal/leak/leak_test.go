package leak

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// leavesVariable says what the tests of a child process leave behind.
const leavesVariable = "CREDRPC_TEST_LEAVES"

func TestMain(m *testing.M) {
	if os.Getenv(leavesVariable) != "" {
		os.Exit(run(m, time.Second))
	}
	os.Exit(Run(m))
}

// TestLeave leaves something, if that is asked for.
func TestLeave(t *testing.T) {
	switch os.Getenv(leavesVariable) {
	case "a descriptor":
		if _, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
	case "a goroutine":
		go time.Sleep(time.Hour)
	case "both for a moment":
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(100*time.Millisecond, func() { f.Close() })
		go time.Sleep(100 * time.Millisecond)
	}
}

// TestRun runs children that leave something.
func TestRun(t *testing.T) {
	for leaves, want := range map[string]string{
		"a descriptor":      "1 descriptors: [\"",
		"a goroutine":       "time.Sleep",
		"both for a moment": "",
		"nothing":           "",
	} {
		t.Run(leaves, func(t *testing.T) {
			t.Parallel()
			child := exec.Command("/proc/self/exe", "-test.run=^TestLeave$")
			child.Env = append(os.Environ(), leavesVariable+"="+leaves)
			var said strings.Builder
			child.Stdout, child.Stderr = io.Discard, &said
			err := child.Run()
			if failed := err != nil; failed != (want != "") || !strings.Contains(said.String(), want) {
				t.Errorf("%v; it said %q, want %q", err, &said, want)
			}
		})
	}
}
