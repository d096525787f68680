package load

import (
	"path/filepath"
	"testing"

	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// TestCallerAllocatesNothing makes whole calls, with a server that allocates
// nothing either.
func TestCallerAllocatesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	address, ok := sys.MakeAddress(path)
	if !ok {
		t.Fatal(path)
	}
	listener := listenSmall(t, path)
	c := newCaller(address, 1, 32, awake)
	request := make([]byte, 100)
	noError := make([]byte, headerSize)
	var received sys.Received
	got := testing.AllocsPerRun(100, func() {
		fd := c.send(0)
		conn, errno := sys.Accept(listener)
		if errno != 0 {
			t.Fatal(errno)
		}
		n, errno := sys.Receive(conn, request, &received, sys.Raw)
		if errno != 0 {
			t.Fatal(errno)
		}
		sys.Send(conn, noError, request[:n])
		if !c.collect(fd, 0) {
			t.Fatal(c.firstFail)
		}
		if err := c.latency.RecordValue(1000); err != nil {
			t.Fatal(err)
		}
		unix.Close(conn)
		unix.Close(fd)
	})
	if got != 0 {
		t.Errorf("%v allocations a call", got)
	}
}
