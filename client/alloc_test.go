//go:build linux && !race && !credrpc_net

package client_test

import (
	"context"
	"testing"

	"credrpc/client"
)

// The two allocations of a call that waits are the os.File; one that can be
// cancelled adds what context.AfterFunc needs. A call in company mostly finds
// its answer without either.
func TestAllocations(t *testing.T) {
	path := socketPath(t)
	defer startEcho(path)()
	c := client.Client{Path: path}
	cancellable, cancel := context.WithCancel(context.Background())
	defer cancel()
	payload := make([]byte, 32)
	dst := make([]byte, 0, 64)
	request, response := appendingNumber(7), new(number)
	rows := []struct {
		name   string
		budget float64
		call   func() error
	}{
		{"an appending call", 2, func() error {
			_, err := c.AppendCall(context.Background(), dst, payload)
			return err
		}},
		{"a call, with its answer", 3, func() error {
			_, err := c.Call(context.Background(), payload)
			return err
		}},
		{"an appending call that can be cancelled", 5, func() error {
			_, err := c.AppendCall(cancellable, dst, payload)
			return err
		}},
		{"a typed call", 2, func() error {
			return c.CallBinary(context.Background(), request, response)
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got := testing.AllocsPerRun(1000, func() {
				if err := row.call(); err != nil {
					t.Fatal(err)
				}
			})
			if got > row.budget {
				t.Errorf("%v allocations, budget %v", got, row.budget)
			}
			t.Logf("%v allocations", got)
		})
	}
}
