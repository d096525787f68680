package gnetserver

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// poolVariable makes the test program look at its goroutines.
const poolVariable = "CREDRPC_GNETSERVER_TEST_POOL"

func TestMain(m *testing.M) {
	if os.Getenv(poolVariable) == "1" {
		os.Exit(lookAtPool())
	}
	os.Exit(m.Run())
}

// lookAtPool returns 0 if there are goroutines of the pool before StopPool and
// none after.
func lookAtPool() int {
	pool := func() bool {
		stacks := make([]byte, 1<<20)
		return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "/ants/")
	}
	if !pool() {
		return 2
	}
	StopPool()
	for deadline := time.Now().Add(10 * time.Second); pool(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return 3
		}
	}
	return 0
}

// TestStopPool looks in a process of its own, where no server has run.
func TestStopPool(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), poolVariable+"=1", "GORACE=atexit_sleep_ms=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v (2: there was no pool; 3: it goes on)\n%s", err, out)
	}
}
