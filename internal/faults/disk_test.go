package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFullDisk compiles rules onto a file system without room for them. The old file
// stays whole, nothing else is left, and the error says what is wrong.
func TestFullDisk(t *testing.T) {
	needProgram(t, "unshare")
	need(t, os.Getuid() == 0, "root, to mount")
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir := tempDir(t)
	records := func(name string, n int) {
		var text strings.Builder
		for uid := range n {
			key := fmt.Sprintf("uid/%d", 1000+uid)
			fmt.Fprintf(&text, "+%d,1:%s->D\n", len(key), key)
		}
		text.WriteString("\n")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	records("few", 10)
	for _, n := range []int{3_000, 30_000} { // the disk is full when the file is flushed, or within it
		records("many", n)
		// The mount is seen by this shell only, and ends with it.
		script := exec.Command("unshare", "--mount", "/bin/sh", "-euc", `
			mkdir -p full && mount -t tmpfs -o size=64k none full
			"$0" rules compile --records few full/rules.cdb
			cp full/rules.cdb before
			status=0
			"$0" rules compile --records many full/rules.cdb 2>said || status=$?
			cmp before full/rules.cdb && echo "status $status, left: $(ls -A full)"
			"$0" rules check --rules full/rules.cdb --uid 1009 --gid 1 >checked || true
			head -n 1 checked`, path)
		script.Dir = dir
		out, err := script.CombinedOutput()
		if err != nil || string(out) != "status 111, left: rules.cdb\ndeny by uid/1009\n" {
			t.Errorf("%d records: %v: %s", n, err, out)
		}
		said, err := os.ReadFile(filepath.Join(dir, "said"))
		if err != nil || !strings.Contains(string(said), "rules.cdb") || !strings.Contains(string(said), "no space left on device") {
			t.Errorf("%d records: it said %q, %v", n, said, err)
		}
		t.Logf("%d records: %s", n, said)
	}
}
