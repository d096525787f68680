package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// difference is a question to which the real program has another answer.
type difference struct {
	reason string
	question
	theirs, ours answer
}

// fails is the answer of a program that could not do its work, with a reason.
func fails(status int, text string) answer {
	return answer{status: status, stderr: name + ": fatal: " + text + "\n"}
}

// accepts is the answer of a program that has become "echo yes".
var accepts = answer{stdout: "yes\n"}

// differences lists all there are, apart from the word -I in the usage message, which
// compare takes care of, and from pipes in place of files, for which the real program
// waits until somebody writes to them.
func differences(t *testing.T, dir string, internet string) (list []difference) {
	add := func(reason string, env []string, stdin string, args string, theirs, ours answer) {
		q := question{name: args, env: env, stdin: stdin, args: append(strings.Fields(args), "/bin/echo", "yes")}
		list = append(list, difference{reason, q, theirs, ours})
	}
	write := func(path string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, path), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ordinary := environmentOf("IPC", "1000", "1000")

	reason := "4294967295 is no id, but how the system says that it knows none"
	for _, rules := range []string{"", " -i all", " -x all.cdb"} {
		add(reason, environmentOf("IPC", "4294967295", "1"), "<&3", "-v0 -E"+rules, accepts, fails(exitUsage, "invalid $IPCREMOTEEUID"))
		add(reason, environmentOf("IPC", "1", "004294967295"), "<&3", "-v0 -E"+rules, accepts, fails(exitUsage, "invalid $IPCREMOTEEGID"))
	}

	for i, value := range []string{
		"A\x00\x03A=1\x00\x00", "A\x00\x01\x00\x00\x00", "A\x00\x02=\x00\x00\x00", "A\x00\x03=x\x00\x00\x00", "A\x00\x06A\x00\x00B=\x00\x00\x00", "A\x00\x05A=1\x00B\x00\x00",
	} {
		path := fmt.Sprintf("list-%d.cdb", i)
		write(path, records(t, "uid/1000", value))
		add("an environment that is no list of modifications means something else than was meant", ordinary, "<&3",
			"-v0 -l L -x "+path, accepts, fails(exitSystem, "unable to check cdb ruleset in "+path+": Invalid argument"))
	}

	table := fmt.Sprintf("table outside the file at offset %d", headerEntry("uid/1000"))
	for damage, what := range map[string]string{
		"empty": "shorter than the header at offset 0", "half-a-header": "shorter than the header at offset 1000", "header-only": table,
		"cut-in-table": table, "table-far-away": table, "many-slots": table,
		"record-far": "record outside the file at offset 4294967280", "value-too-long": "record beyond the end of the file at offset 2048",
	} {
		path := damage + ".cdb"
		write(path, damaged(t)[damage])
		theirs := fails(exitSystem, "unable to check cdb ruleset in "+path+": Success")
		switch damage {
		case "empty":
			theirs = fails(exitSystem, "unable to cdb_init "+path+": Invalid argument")
		case "value-too-long":
			theirs = fails(exitSystem, "unable to check cdb ruleset in "+path+": Invalid argument")
		}
		add("what is wrong with a damaged file is said", ordinary, "<&3", "-v0 -E -x "+path, theirs, fails(exitSystem, "unable to check cdb ruleset in "+path+": cdb: malformed file: "+what))
	}
	longKey := damaged(t)["value-too-long"]
	copy(longKey[2048:], "\xff\xff\xff\xff")
	write("key-too-long.cdb", longKey)
	add("a record that the search leads to and that is not in the file may be the one that refuses", ordinary, "<&3", "-v0 -E -x key-too-long.cdb", accepts,
		fails(exitSystem, "unable to check cdb ruleset in key-too-long.cdb: cdb: malformed file: record beyond the end of the file at offset 2048"))

	reason = "a message says what is wrong"
	add(reason, ordinary, "<&3", "-v0 -E -x all", fails(exitSystem, "unable to cdb_init all: No such device"), fails(exitSystem, "unable to cdb_init all: Not a regular file"))
	add(reason, ordinary, "<&3", "-v0 -E -x /dev/null", fails(exitSystem, "unable to cdb_init /dev/null: Invalid argument"), fails(exitSystem, "unable to cdb_init /dev/null: Not a regular file"))
	for _, part := range []string{"uid/1000/exec", "uid/1000/env/A"} {
		set := strings.ReplaceAll(part, "/", "-")
		for _, path := range []string{"/uid/1000/env", "/" + part} {
			if err := os.MkdirAll(filepath.Join(dir, set+path), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		write(set+"/uid/1000/allow", nil)
		add(reason, ordinary, "<&3", "-v0 -E -i "+set, fails(exitSystem, "unable to check fs ruleset in "+set+": Is a directory"),
			fails(exitSystem, "unable to check fs ruleset in "+set+": read "+set+"/"+part+": not a regular file"))
	}

	add("a PROTO with an equals sign makes no names of variables", []string{path(), "PROTO=IPC=", "IPC=REMOTEEUID=1"}, "<&3", "-E",
		fails(exitUsage, "IPC=REMOTEEGID not set"), fails(exitUsage, "IPC=REMOTEEUID not set"))

	withoutPath := environmentOf("IPC", "1000", "1000")
	withoutPath[0] = "PATH="
	list = append(list, difference{"nothing can be found, whatever happened before",
		question{args: []string{"-v0", "-E", "echo"}, env: withoutPath, stdin: "<&3"}, fails(exitCannotExecute, "unable to exec echo: Success"), fails(exitNoProgram, "unable to exec echo: No such file or directory")})
	withoutPath = environmentOf("IPC", "1000", "1000")
	withoutPath[0] = "PATH=/nowhere"
	write("exec.cdb", records(t, "uid/default", "A\x00\x00\x00\x0d/bin/echo yes"))
	add("execlineb is where PATH says", withoutPath, "<&3", "-v0 -E -x exec.cdb", accepts, fails(exitNoProgram, "unable to exec execlineb: No such file or directory"))

	env := environmentOf("IPC", "1", "2")
	list = append(list, difference{"bytes of an address of the internet are no path",
		question{args: []string{"-v0", "sh", "-c", `test -n "$IPCLOCALPATH"`}, env: env, stdin: internet}, answer{status: 0}, answer{status: 1}})
	return list
}

// TestDifferences checks that each difference is as it is described, on both sides,
// so that the list is no longer than it must be.
func TestDifferences(t *testing.T) {
	theirs, ours := installed(t, realProgram, "s6"), static.build(t)
	dir := openDir(t)
	writeRuleSets(t, dir, ruleSets)
	names, files := sockets(t, dir)
	list := differences(t, dir, fmt.Sprintf("<&%d", 2+len(names)))
	var questions []question
	for _, d := range list {
		questions = append(questions, d.question)
	}
	want, got := ask(t, theirs, questions, dir, nil, files), ask(t, ours, questions, dir, nil, files)
	if t.Failed() {
		return
	}
	for i, d := range list {
		if want[i] != d.theirs {
			t.Errorf("%s: %q: theirs %v, described as %v", d.reason, d.args, want[i], d.theirs)
		}
		if got[i] != d.ours {
			t.Errorf("%s: %q: ours %v, described as %v", d.reason, d.args, got[i], d.ours)
		}
	}
	t.Logf("%d questions", len(list))
}

// TestVariablesThatAreThereTwice checks that the first counts, and that no other is
// handed on. A shell cannot make such an environment.
func TestVariablesThatAreThereTwice(t *testing.T) {
	program := static.build(t)
	dir := openDir(t)
	writeRuleSets(t, dir, map[string]map[string]string{"rules": {"uid/1000/allow": "", "uid/1000/env/A": "\n"}})
	env := append(environmentOf("IPC", "1000", "1000"), "IPCREMOTEEUID=7", "A=again", "C=1", "C=2", "noequals", "", "HOME=/again")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	argv := []string{program, "-v0", "-E", "-irules", "/usr/bin/env", "-0"}
	p, err := os.StartProcess(program, argv, &os.ProcAttr{Dir: dir, Env: env, Files: []*os.File{nil, w, os.Stderr}})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if state, waitErr := p.Wait(); err != nil || waitErr != nil || !state.Success() {
		t.Fatal(state, err, waitErr)
	}
	want := normalEnvironment(path() + "\x00HOME=/home\x00A=\x00OTHERCONNNUM=2\x00C=1\x00noequals\x00")
	if got := normalEnvironment(string(out)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
