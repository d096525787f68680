package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"credrpc/accessdb"
	generator "credrpc/bench/load"
)

// TestRulesDestroyed replaces, truncates and overwrites the file of rules a thousand
// times a second while somebody calls whom every whole file allows, and somebody whom
// every whole file denies.
func TestRulesDestroyed(t *testing.T) {
	lasts := time.Second
	if whole() {
		lasts = time.Minute
	}
	dir := openDir(t)
	path, file := filepath.Join(dir, "s"), filepath.Join(dir, "rules.cdb")
	versions := writeVersions(t, dir)
	replaceRules(t, file, versions[0])
	p := start(t, path, "--mode=0666", "--rules="+file)
	if !p.serving() {
		t.Fatalf("it did not start: %s", &p.log)
	}
	var stop atomic.Bool
	var changes, hangUps int
	var group sync.WaitGroup
	group.Go(func() {
		for tick := time.NewTicker(time.Millisecond); !stop.Load(); <-tick.C {
			destroyRules(t, file, versions)
			if changes++; changes%50 == 0 {
				p.cmd.Process.Signal(syscall.SIGHUP) // besides what it notices by itself
				hangUps++
			}
		}
	})
	r := honest(t, path, lasts, generator.Hostile{{Misdeed: generator.Denied, Callers: 2}})
	stop.Store(true)
	group.Wait()
	if p.dead() {
		t.Fatalf("the server ended: %s", &p.log)
	}
	denied := r.Hostile[0]
	if denied.Attempts == 0 || denied.Answered > 0 {
		t.Errorf("of %d calls of whom the rules deny %d were answered", denied.Attempts, denied.Answered)
	}
	log := p.log.String()
	loaded, kept := strings.Count(log, "SIGHUP: rules loaded"), strings.Count(log, "the rules in force stay")
	if hangUps > 30 && kept == 0 {
		t.Error("no file was found to be damaged")
	}
	t.Logf("%d changes of the file and %d SIGHUP in %v: %d loads, %d refused; %d calls allowed, none refused; %d denied, none answered",
		changes, hangUps, lasts, loaded, kept, r.Calls, denied.Attempts)
}

// TestReloadTime has a server load a file of a thousand rules over and over.
func TestReloadTime(t *testing.T) {
	times := 20
	if whole() {
		times = 500
	}
	dir := tempDir(t)
	path, file := filepath.Join(dir, "s"), filepath.Join(dir, "rules.cdb")
	version := filepath.Join(dir, "version")
	writeRules(t, version, "uid/default", 1000)
	replaceRules(t, file, version)
	p := start(t, path, "--rules="+file)
	if !p.serving() {
		t.Fatalf("it did not start: %s", &p.log)
	}
	took := make([]time.Duration, times)
	for i := range took {
		replaceRules(t, file, version)
		began := time.Now()
		p.cmd.Process.Signal(syscall.SIGHUP)
		eventually(t, "the rules are loaded", func() bool { return strings.Count(p.log.String(), "SIGHUP: rules loaded") > i })
		took[i] = time.Since(began)
	}
	if strings.Contains(p.log.String(), "stay") {
		t.Errorf("it said: %s", &p.log)
	}
	t.Logf("from SIGHUP to the line that a thousand rules are loaded, %d times: median %v", times, median(took))
}

// writeVersions makes files of rules that agree about two users, and differ otherwise.
func writeVersions(t *testing.T, dir string) (versions []string) {
	t.Helper()
	for i := range 4 {
		name := filepath.Join(dir, fmt.Sprint("version", i))
		writeRules(t, name, fmt.Sprint("uid/", honestUID), 10+100*i)
		versions = append(versions, name)
	}
	return versions
}

// writeRules makes a file of rules that allow a key, deny nobody and some others.
func writeRules(t *testing.T, name, allowed string, others int) {
	t.Helper()
	builder, err := accessdb.Create(name, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer builder.Close()
	rules := []accessdb.Rule{{Key: allowed, Decision: accessdb.Allow}, {Key: fmt.Sprint("uid/", generator.Nobody), Decision: accessdb.Deny}}
	for i := range others {
		rules = append(rules, accessdb.Rule{Key: fmt.Sprint("uid/", 1_000_000+others+i), Decision: accessdb.Deny})
	}
	for _, rule := range rules {
		if err := builder.Add(rule); err != nil {
			t.Fatal(err)
		}
	}
	if err := builder.Commit(); err != nil {
		t.Fatal(err)
	}
}

// destroyRules changes the file in one of the ways in which it must not be changed, or,
// as often, in the one in which it may.
func destroyRules(t *testing.T, file string, versions []string) {
	version := versions[rand.IntN(len(versions))]
	what := rand.IntN(6)
	if what > 2 {
		replaceRules(t, file, version)
		return
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	switch what {
	case 0:
		f.Truncate(rand.Int64N(4096))
	case 1: // another whole file, over this one
		content, err := os.ReadFile(version)
		if err != nil {
			t.Error(err)
		}
		f.Write(content[:rand.IntN(len(content))])
	case 2:
		f.WriteAt([]byte{0xff, 0xff, 0xff, 0xff}, rand.Int64N(2048)) // where the tables are; damaged rules may deny
	}
}

// replaceRules puts a copy of a version in the place of the file.
func replaceRules(t *testing.T, file, version string) {
	content, err := os.ReadFile(version)
	if err == nil {
		err = os.WriteFile(file+".new", content, 0o600)
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		t.Error(err)
	}
}
