package accessdb

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The child of TestFileDestroyedUnderLoad is this test binary with this variable,
// whose value is the path of the rules.
const sigbusChild = "ACCESSDB_SIGBUS_CHILD"

// TestFileDestroyedUnderLoad truncates, overwrites and replaces the file as fast as
// it can while a child process decides with it: the child must live, and every
// answer must be one of a file that was whole.
func TestFileDestroyedUnderLoad(t *testing.T) {
	if path := os.Getenv(sigbusChild); path != "" {
		decideUntilEOF(t, path)
		return
	}
	duration := 3 * time.Second
	if testing.Short() {
		duration = time.Second / 2
	}
	path := filepath.Join(t.TempDir(), "rules.cdb")
	// Several pages, so that a truncation takes mapped ones away.
	good, bad := destructionRules(t, Deny), destructionRules(t, Allow)
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestFileDestroyedUnderLoad$", "-test.v")
	child.Env = append(os.Environ(), sigbusChild+"="+path)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	child.Stdout, child.Stderr = &out, &out
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the child is not ready", func() bool {
		_, err := os.Stat(path + ".ready")
		return err == nil
	})
	n := destroy(t, path, good, bad, duration)
	stdin.Close()
	if err := child.Wait(); err != nil {
		t.Fatalf("the child: %v\n%s", err, out.String())
	}
	t.Logf("%d changes; %s", n, strings.Split(out.String(), "\n")[1])
}

// destructionRules compiles rules for 2,000 uids that all say the same.
func destructionRules(t testing.TB, decision Decision) []byte {
	rules := []Rule{{Key: "uid/default", Decision: Allow}}
	for i := range uint32(2000) {
		rules = append(rules, Rule{Key: Key{Kind: KeyUID, ID: i}.String(), Decision: decision})
	}
	return compiled(t, rules)
}

// destroy does what should never be done to a file in use. The file of allow rules
// is never there as a whole, so it must not come into force.
func destroy(t *testing.T, path string, good, bad []byte, duration time.Duration) (n int) {
	do := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for end := time.Now().Add(duration); time.Now().Before(end); n++ {
		switch n % 6 {
		case 0:
			do(os.Truncate(path, 0))
		case 1:
			do(os.WriteFile(path, bad[:len(bad)*2/3], 0o600))
		case 2:
			do(os.WriteFile(path, bad[:len(bad)-1], 0o600))
		case 3:
			do(os.Remove(path))
		case 4:
			do(os.WriteFile(path+".new", good[:4096], 0o600))
			do(os.Rename(path+".new", path))
		case 5:
			do(os.WriteFile(path+".new", good, 0o600))
			do(os.Rename(path+".new", path))
		}
	}
	return n
}

func decideUntilEOF(t *testing.T, path string) {
	db := openQuiet(t, path, Options{PollInterval: time.Millisecond, CacheSize: 16})
	if err := os.WriteFile(path+".ready", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		bufio.NewReader(os.Stdin).ReadByte()
	}()
	for n := uint32(0); ; n++ {
		select {
		case <-done:
			s := db.Stats()
			fmt.Printf("%d checks, %d files taken, %d refused\n", n, s.Reloads, s.Failures)
			return
		default:
		}
		result, err := db.Check(n%2000, otherGID)
		if err != nil || result.Decision != Deny {
			t.Fatalf("check %d: %v by %v, %v", n, result.Decision, result.Key, err)
		}
		if n%1000 == 0 {
			for _, err := range db.Rules() {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
