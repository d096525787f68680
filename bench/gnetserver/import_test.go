package gnetserver

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestOnlyTheBenchmarkHasTheEngine checks what services are built of.
func TestOnlyTheBenchmarkHasTheEngine(t *testing.T) {
	deps := func(packages ...string) []string {
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-deps"}, packages...)...)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(out))
	}
	const engine, poller, pool = "github.com/panjf2000/gnet/v2", "github.com/panjf2000/gnet/v2/pkg/netpoll", "github.com/panjf2000/ants/v2"
	service := deps("credrpc/server", "credrpc/client", "credrpc/accessdb/...", "credrpc/cmd/credrpc")
	if !slices.Contains(service, poller) || slices.Contains(service, engine) || slices.Contains(service, pool) {
		t.Errorf("of gnet a service should have the poller only: %q", service)
	}
	if bench := deps("credrpc/cmd/credrpc-bench"); !slices.Contains(bench, engine) {
		t.Error("the benchmark lacks the engine")
	}
}
