package load

import (
	"encoding/binary"
	"path/filepath"
	"testing"
	"time"

	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// newTestCaller returns a caller of a closed loop that calls path.
func newTestCaller(t *testing.T, path string, sizes Sizes) *caller {
	t.Helper()
	g, err := newGenerator(&share{Config: Config{Path: path, Load: Load{1, 1}, Sizes: sizes, Duration: time.Hour}, Parts: 1})
	if err != nil {
		t.Fatal(err)
	}
	g.clock = clockAt(sys.Monotonic())
	return g.measured[0]
}

// TestCallerAllocatesNothing makes whole calls, with a server that allocates
// nothing either.
func TestCallerAllocatesNothing(t *testing.T) {
	for _, sizes := range []Sizes{fixed(32), {{Request: Range{13, 32}, Answer: &Range{1, 13}, Weight: 1}, {Request: Range{0, 64}, Weight: 2}}} {
		path := filepath.Join(t.TempDir(), "s")
		listener := listenSmall(t, path)
		c := newTestCaller(t, path, sizes)
		request := make([]byte, 100)
		answer := make([]byte, 0, 100)
		noError := make([]byte, headerSize)
		var echo Echo
		var received sys.Received
		var k call
		got := testing.AllocsPerRun(100, func() {
			k.begun = c.now()
			k.tally = c.tallies[1]
			c.start(&k)
			conn, errno := sys.Accept(listener)
			if errno != 0 {
				t.Fatal(errno)
			}
			n, errno := sys.Receive(conn, request, &received, sys.Raw)
			if errno != 0 {
				t.Fatal(errno)
			}
			answer = echo.Append(answer[:headerSize], request[headerSize:n], 0, 0)
			binary.BigEndian.PutUint32(answer, uint32(len(answer)-headerSize))
			sys.Send(conn, noError, answer)
			if _, right := c.finish(&k); !right {
				t.Fatal(k.tally.Kinds[0].Text)
			}
			unix.Close(conn)
		})
		if got != 0 {
			t.Errorf("%v: %v allocations a call", sizes, got)
		}
	}
}
