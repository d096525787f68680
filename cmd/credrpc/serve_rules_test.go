package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"credrpc/accessdb"
)

// ownKey is the key of the rule for this process's user.
func ownKey() string { return fmt.Sprintf("uid/%d", os.Getuid()) }

// writeRules compiles rules.
func writeRules(t *testing.T, path string, rules ...accessdb.Rule) {
	t.Helper()
	b, err := accessdb.Create(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, rule := range rules {
		if err := b.Add(rule); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
}

// expectCall checks a call's exit status and what it prints: the answer, or the
// error.
func expectCall(t *testing.T, path string, status int, text string) {
	t.Helper()
	got, out, stderr := result("", "call", path)
	if got != status || !strings.Contains(out+stderr, text) {
		t.Errorf("want %d, %q, got %d, %q, %q", status, text, got, out, stderr)
	}
}

// TestServeRules checks that a rule decides, and that the handler sees which.
func TestServeRules(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "rules.cdb")
	env, err := accessdb.NewEnv(accessdb.Modification{Name: "ROLE", Value: "tester"})
	if err != nil {
		t.Fatal(err)
	}
	writeRules(t, file, accessdb.Rule{Key: ownKey(), Decision: accessdb.Allow, Env: env})
	if err := accessdb.Decompile(file, filepath.Join(dir, "rules")); err != nil {
		t.Fatal(err)
	}
	for _, rules := range []string{"rules.cdb", "rules"} {
		path, _, _ := serve(t, "--handler=whoami", "--rules", filepath.Join(dir, rules))
		expectCall(t, path, exitOK, fmt.Sprintf(`"rule":%q,"env":["ROLE=tester"]}`, ownKey()))
	}
}

// TestServeIdentity checks that --identity passes by rules that deny.
func TestServeIdentity(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "rules.cdb")
	writeRules(t, rules, accessdb.Rule{Key: ownKey(), Decision: accessdb.Deny})
	path, _, _ := serve(t, "--rules", rules)
	expectCall(t, path, exitFailed, "access denied")
	path, _, _ = serve(t, "--rules", rules, "--handler=whoami", "--identity")
	expectCall(t, path, exitOK, `"rule":"identity"`)
}

// TestServeCompatible checks a deny with a bit flipped, before a rule that allows
// everybody else.
func TestServeCompatible(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "rules.cdb")
	writeRules(t, rules,
		accessdb.Rule{Key: ownKey(), Decision: accessdb.Deny},
		accessdb.Rule{Key: "uid/default", Decision: accessdb.Allow})
	data, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	// The value of a record follows its key.
	data[strings.Index(string(data), ownKey())+len(ownKey())] = 'd'
	if err := os.WriteFile(rules, data, 0o600); err != nil {
		t.Fatal(err)
	}
	path, _, stderr := serve(t, "--rules", rules)
	expectCall(t, path, exitFailed, "access denied")
	awaitLine(t, stderr, "neither allow nor deny")
	path, _, _ = serve(t, "--rules", rules, "--compatible", "--handler=whoami")
	expectCall(t, path, exitOK, `"rule":"uid/default"`)
}

// TestServeReload replaces the rules while the server runs: SIGHUP loads what is
// good at once and keeps the old rules in force otherwise; a rename is noticed
// without it.
func TestServeReload(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "rules.cdb")
	allow := accessdb.Rule{Key: ownKey(), Decision: accessdb.Allow}
	deny := accessdb.Rule{Key: ownKey(), Decision: accessdb.Deny}
	writeRules(t, rules, allow)
	path, cmd, stderr := serve(t, "--rules", rules)
	expectCall(t, path, exitOK, "")

	writeRules(t, rules, deny)
	cmd.Process.Signal(syscall.SIGHUP)
	awaitLine(t, stderr, "SIGHUP: rules loaded")
	expectCall(t, path, exitFailed, "access denied")

	if err := os.WriteFile(rules, []byte("not a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Signal(syscall.SIGHUP)
	awaitLine(t, stderr, "SIGHUP: the rules in force stay")
	expectCall(t, path, exitFailed, "access denied")

	writeRules(t, rules, allow)
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if status, _, _ := result("", "call", path); status == exitOK {
			break
		}
		if time.Since(begin) > patience {
			t.Fatal("the new rules are not noticed")
		}
	}
}

// TestServeWithoutRules checks that SIGHUP does not end a server without rules.
func TestServeWithoutRules(t *testing.T) {
	path, cmd, stderr := serve(t)
	cmd.Process.Signal(syscall.SIGHUP)
	awaitLine(t, stderr, "there are no rules to load")
	expectCall(t, path, exitOK, "")
}

// TestServeRulesRefused checks that nothing is served when there are no good rules.
func TestServeRulesRefused(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte("not a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(tempDir(t), "s")
	for _, tt := range []struct {
		name, want string
		status     int
		args       []string
	}{
		{"a file that is missing", filepath.Join(dir, "none"), exitFailed, []string{"--rules", filepath.Join(dir, "none")}},
		{"a file that is no database", garbage, exitFailed, []string{"--rules", garbage}},
		{"an empty path", "--rules: is empty", exitUsage, []string{"--rules="}},
		{"identity without rules", "--identity", exitUsage, []string{"--identity"}},
	} {
		status, _, stderr := result("", append([]string{"serve", "--listen", socket}, tt.args...)...)
		if status != tt.status || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: %d, %q", tt.name, status, stderr)
		}
		if _, err := os.Lstat(socket); err == nil {
			t.Errorf("%s: there is a socket", tt.name)
		}
	}
}

// TestExecRules runs the program of a rule in place of the server's, and the
// server's with the environment of a rule.
func TestExecRules(t *testing.T) {
	if _, err := exec.LookPath("execlineb"); err != nil {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatal("execlineb of the Debian package execline is not installed")
		}
		t.Skip("execlineb of the Debian package execline is not installed")
	}
	env, err := accessdb.NewEnv(accessdb.Modification{Name: "ROLE", Value: "tester"})
	if err != nil {
		t.Fatal(err)
	}
	rules := filepath.Join(t.TempDir(), "rules.cdb")
	writeRules(t, rules, accessdb.Rule{Key: ownKey(), Decision: accessdb.Allow, Env: env})
	path, cmd, stderr := serve(t, "--handler=exec", "--rules", rules, "--", "sh", "-c", `echo "$ROLE $IPCRULE"`)
	expectCall(t, path, exitOK, "tester "+ownKey()+"\n")

	writeRules(t, rules, accessdb.Rule{Key: "uid/default", Decision: accessdb.Allow, Env: env, Exec: `importas R ROLE echo instead $R`})
	cmd.Process.Signal(syscall.SIGHUP)
	awaitLine(t, stderr, "SIGHUP: rules loaded")
	expectCall(t, path, exitOK, "instead tester\n")
}
