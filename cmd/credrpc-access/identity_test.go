package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestIdentity checks -I, which the real program does not have: a caller with both ids
// of this process is accepted before any rule is looked at, and nobody else is.
func TestIdentity(t *testing.T) {
	program := static.build(t)
	dir := openDir(t)
	writeRuleSets(t, dir, map[string]map[string]string{
		"nobody": {"uid/self/deny": "", "uid/default/deny": ""},
		"all":    {"uid/default/allow": "", "uid/default/env/A": "rule"},
	})
	if err := os.WriteFile(filepath.Join(dir, "broken.cdb"), []byte("no rules"), 0o644); err != nil {
		t.Fatal(err)
	}
	uid, gid := os.Geteuid(), os.Getegid()
	type row struct {
		options  string
		uid, gid int
		status   int
		out      string
	}
	rows := []row{
		{"-i nobody", uid, gid, exitDenied, ""},
		{"-I -i nobody", uid, gid, 0, "before\n"},
		{"-Ii nobody", uid, gid, 0, "before\n"},
		{"-I -x nobody.cdb", uid, gid, 0, "before\n"},
		{"-I -i nobody", uid, gid + 1, exitDenied, ""},
		{"-I -i nobody", uid + 1, gid, exitDenied, ""},
		{"-I -x nobody.cdb", uid + 1, gid + 1, exitDenied, ""},
		{"-I -i all", uid, gid, 0, "before\n"},
		{"-I -i all", uid + 1, gid, 0, "rule\n"},
		{"-I -x all.cdb", uid, gid + 1, 0, "rule\n"},
		{"-I -x nowhere", uid, gid, 0, "before\n"},
		{"-I -x nowhere", uid, gid + 1, exitSystem, ""},
		{"-I -x broken.cdb", uid, gid, 0, "before\n"},
		{"-I -x broken.cdb", uid + 1, gid, exitSystem, ""},
		{"-I -i broken.cdb", uid, gid, 0, "before\n"},
		{"-I", uid + 1, gid + 1, 0, "before\n"},
	}
	var questions []question
	for _, r := range rows {
		env := environmentOf("IPC", fmt.Sprint(r.uid), fmt.Sprint(r.gid))
		args := slices.Concat([]string{"-v0", "-lL"}, strings.Fields(r.options), []string{"sh", "-c", "echo $A"})
		questions = append(questions, question{args: args, env: env, stdin: "</dev/null"})
	}
	for i, a := range ask(t, program, questions, dir, nil, nil) {
		if r := rows[i]; a.status != r.status || a.stdout != r.out {
			t.Errorf("%s, uid %d, gid %d: %v, want %d, %q", r.options, r.uid, r.gid, a, r.status, r.out)
		}
	}
}
