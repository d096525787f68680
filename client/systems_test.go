//go:build linux

package client_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// goFor runs the go command for another system.
func goFor(system string, args ...string) (out string, err error) {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
	b, err := cmd.CombinedOutput()
	return string(b), err
}

// TestOtherSystems builds what is promised to build elsewhere, and has the rest say why
// it does not. The first time it compiles what it needs of the standard library.
func TestOtherSystems(t *testing.T) {
	if testing.Short() {
		t.Skip("takes what compiling takes")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Fatal("the tests are run without a go command in PATH")
	}
	for _, args := range []string{"build credrpc/client credrpc/frame", "vet credrpc/client credrpc/frame"} {
		if out, err := goFor("darwin", strings.Fields(args)...); err != nil {
			t.Errorf("darwin: go %s: %v\n%s", args, err, out)
		}
	}
	for _, name := range []string{"server", "accessdb", "sandbox", "servertest"} {
		out, err := goFor("darwin", "build", "credrpc/"+name)
		if err == nil || !strings.Contains(out, "build constraints exclude all Go files") || strings.Contains(out, "undefined") {
			t.Errorf("darwin: go build credrpc/%s: %v\n%s", name, err, out)
		}
	}
}
