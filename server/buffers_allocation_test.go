//go:build !race

// The race detector makes pools forget.

package server

import (
	"bytes"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"credrpc/frame"
)

// TestLargeAllocations has calls whose buffers are large. Once there are some, calls
// borrow them and make none.
func TestLargeAllocations(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			path := start(t, &Server{Handler: echo, HandlerOnLoop: kind.onLoop})
			payload := make([]byte, 1<<20)
			for i := range payload {
				payload[i] = byte(rand.Uint32())
			}
			ask := request(payload)
			got := make([]byte, frame.HeaderSize+len(ask))
			one := func() {
				c := dial(t, path)
				defer c.Close()
				if _, err := c.Write(ask); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got[frame.HeaderSize:], ask) {
					t.Fatalf("another answer than the request, or %v", err)
				}
			}
			const calls = 100
			for range calls {
				one()
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range calls {
				one()
			}
			runtime.ReadMemStats(&after)
			if a := (after.TotalAlloc - before.TotalAlloc) / calls; a > 256<<10 {
				t.Errorf("a call of 1 MiB allocates %d bytes", a)
			}
		})
	}
}
