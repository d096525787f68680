package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// callers are uids and gids, some of which no other way to write a number yields.
var callers = [][2]string{
	{"1000", "1000"}, {"0", "0"}, {"1", "1"}, {"2", "0"}, {"0", "2"}, {"1000", "2"}, {"1001", "1000"},
	{"7", "7"}, {"007", "00"}, {"4294967294", "2147483648"},
}

// path is the variable PATH. It leads to the execlineb of execline itself, which is
// the one that Debian's s6 knows, before a wrapper.
func path() string { return "PATH=/usr/lib/execline/bin:" + os.Getenv("PATH") }

// environmentOf returns the environment of a caller, with variables that stay.
func environmentOf(proto, uid, gid string, more ...string) []string {
	return append([]string{
		path(), "HOME=/home", "A=before", "PROTO=" + proto,
		proto + "REMOTEEUID=" + uid, proto + "REMOTEEGID=" + gid,
		proto + "REMOTEPATH=/r", proto + "CONNNUM=1", proto + "LOCALPATH=old", "OTHERCONNNUM=2",
	}, more...)
}

// questioner makes questions whose options take turns, so that each set of rules
// meets many combinations of them.
type questioner struct {
	questions []question
	env0      []string // the program that prints its environment
	turn      int
}

func (q *questioner) add(name string, env []string, stdin string, args ...string) {
	q.questions = append(q.questions, question{name: fmt.Sprintf("%s: %q", name, args), args: args, env: env, stdin: stdin})
}

// rules asks about a set of rules: for the first of the callers, and for some of the
// others in turns.
func (q *questioner) rules(name string, rules ...string) {
	for i := range 6 {
		c := callers[i]
		if i >= 3 {
			c = callers[3+q.turn%(len(callers)-3)]
		}
		q.turn++
		verbosity := []string{"-v0", "-v1", "-v2", "-v3", "-v"}[q.turn%5]
		options := []string{verbosity}
		if verbosity == "-v" {
			options = append(options, "2")
		}
		options = append(options, [][]string{{"-l", "local"}, {"-E"}, {"-el", ""}, {"-E", "-l", "x"}, {"-lx", "-e"}, {}}[q.turn%6]...)
		proto := []string{"IPC", "UNIX", "", "IPC", "X_1", "IPC", "REMOTE"}[q.turn%7]
		args := slices.Concat(options, rules, q.env0)
		q.add(name, environmentOf(proto, c[0], c[1]), "<&3", args...)
	}
}

// optionQuestions are command lines without rules, right and wrong.
func (q *questioner) optionQuestions() {
	env := environmentOf("IPC", "1000", "1000")
	for _, options := range []string{
		"-E", "-e -l x", "-v0 -E", "-v 0 -E", "-E -v1", "-E -v2", "-Ev2", "-Ev 2", "-ev2 -lx", "-Elx", "-El x", "-eEl x -E", "-E -e -lx",
		"-v2 -v0 -E", "-v00002 -E", "-v4294967295 -E", "-E --", "-E -v2 --", "-lE", "-l-E", "-l -E", "-E -x none.cdb -i all",
		"-E -i none -x all.cdb", "-E -i nowhere -x all.cdb", "-E -x nowhere -i all", "-E -x all.cdb -i none", "-Ei all", "-Eiall", "-Exall.cdb",
		"-E -i all -i nobody", "-v2 -E -i nobody", "-v2 -E -i none", "-v1 -E -i nobody", "-v2 -E -x nobody.cdb", "-v2 -E -x none.cdb",
		"-v+1 -E", "-v-1 -E", "-v4294967296 -E", "-v18446744073709551616 -E", "-v0x1 -E", "-v=1 -E", "-v1x -E", "-E-", "--E", "--help", "-h", "-q", "-E -q", "-V", "-Eq",
		"-vE", "-E -v", "-v2 -", "-E -", "-E -- -",
	} {
		q.add("options", env, "<&3", append(strings.Fields(options), q.env0...)...)
	}
	for _, args := range [][]string{
		{}, {"--"}, {"-E"}, {"-E", "--"}, {"-v"}, {"-E", "-v"}, {"-E", "-v", "1"}, {"-l"}, {"-E", "-l"}, {"-i"}, {"-x"}, {"-E", "-i"}, {"-E", "-i", "all"}, {"-vEx"},
		{""}, {"-E", ""}, {"-E", "--", ""}, {"-E", "", "env"}, {"-v", "", "-E", "env"}, {"-v", " 1", "-E", "env"}, {"-E", "-", "env"}, {"-E", "--", "-x"}, {"-E", "--", "--"},
		{"-E", "env", "-0", "-E", "-v"}, {"-E", "env", "--", "-v0"}, {"-E", "-i", "", "env"}, {"-E", "-x", "", "env"},
	} {
		q.add("arguments", env, "<&3", args...)
	}
}

// environmentQuestions are environments that name no caller, or name one oddly.
func (q *questioner) environmentQuestions() {
	path := path()
	environments := [][]string{
		{path}, {path, "PROTO=IPC"}, {path, "PROTO="}, {path, "PROTO=IPC", "IPCREMOTEEUID=1"}, {path, "PROTO=IPC", "IPCREMOTEEGID=1"},
		{path, "PROTO=IPC", "IPCREMOTEEUID=x"}, {path, "PROTO=IPC", "IPCREMOTEEGID=x"}, {path, "PROTO=IPC", "REMOTEEUID=1", "REMOTEEGID=1"},
		{path, "IPCREMOTEEUID=1", "IPCREMOTEEGID=1"}, {path, "PROTO=IPC", "UNIXREMOTEEUID=1", "UNIXREMOTEEGID=1"}, {path, "proto=IPC", "IPCREMOTEEUID=1", "IPCREMOTEEGID=1"},
		{path, "PROTO=A=B", "A=BREMOTEEUID=1", "A=BREMOTEEGID=1"}, {path, "PROTO= ", " REMOTEEUID=1", " REMOTEEGID=2"},
		{path, "PROTO=ü\n", "ü\nREMOTEEUID=1", "ü\nREMOTEEGID=2", "ü\nCONNNUM=7"}, {path, "PROTO=IPC", "IPCREMOTEEUID=1", "IPCREMOTEEGID=2", "=x", "noname="},
		{path, "PROTO=" + strings.Repeat("P", 3000), strings.Repeat("P", 3000) + "REMOTEEUID=1", strings.Repeat("P", 3000) + "REMOTEEGID=1"},
	}
	for _, id := range []string{
		"", "00", "01", "+1", "-1", "-0", " 1", "1 ", "1\n", "0x1", "1x", "x", "1.0", "1e1", "1_0", "１", "4294967294", "4294967296", "4294967297",
		"8589934592", "9223372036854775808", "18446744073709551615", "18446744073709551616", "18446744073709551617", strings.Repeat("9", 100), strings.Repeat("0", 100) + "1",
	} {
		environments = append(environments,
			[]string{path, "PROTO=IPC", "IPCREMOTEEUID=" + id, "IPCREMOTEEGID=1"}, []string{path, "PROTO=IPC", "IPCREMOTEEUID=1", "IPCREMOTEEGID=" + id})
	}
	for i, env := range environments {
		option := []string{"-E", "-lx"}[i%2]
		q.add(fmt.Sprintf("environment %.60q", env[1:]), env, "<&3", append([]string{"-v2", option, "-iall"}, q.env0...)...)
	}
}

// programQuestions are programs that are found here or there, or not at all.
func (q *questioner) programQuestions(t *testing.T, dir string) {
	for name, content := range map[string]string{
		"p1/prog": "not executable", "p2/prog": "#!/bin/sh\necho p2 $0 $*", "p2/noformat": "no format", "p3/noformat": "#!/bin/sh\necho p3",
		"p3/prog": "#!/bin/sh\necho p3", "p2/interpreter": "#!/nowhere\n", "p4/prog/": "", "p2/status": "#!/bin/sh\nexit 44",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o755)
		if name == "p1/prog" {
			mode = 0o644
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), mode); err != nil && !strings.HasSuffix(name, "/") {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	caller := []string{"PROTO=IPC", "IPCREMOTEEUID=1000", "IPCREMOTEEGID=1"}
	programs := []string{"prog", "noformat", "prog", "p2/prog", "interpreter", "prog", "status", strings.Repeat("y", 300)}
	for i, path := range []string{
		"p1", "p2", "p1:p2", "p2:p1", "p4:p2", "p4:p1", "p1/prog:p2", "p1/prog", "nowhere:p2", "nowhere", ":p2", "p2:", "::p2::p3", "p2/",
		"loop:p2", strings.Repeat("x", 300) + ":p2", "p3:p2", "/", "p2:loop", "/usr/bin:/bin:p2",
	} {
		q.add("PATH="+path, append(caller, "PATH="+path), "<&3", "-v0", "-E", "prog", "arg")
		q.add("PATH="+path, append(caller, "PATH="+path), "<&3", "-v0", "-E", programs[i%len(programs)], "arg")
	}
	for _, program := range []string{"env", "nowhere", "/usr/bin/env", "/nowhere", "./", ".", "..", "/", "p2", "./p2", "p2/noformat", "./p1/prog", "loop/x", "p2/status"} {
		q.add("no PATH", caller, "<&3", "-v0", "-E", program)
		q.add("PATH of a rule", append(caller, "PATH=p2:/usr/bin:/bin"), "<&3", "-v0", "-E", "-ipath", program)
	}
	long := strings.Repeat("x", 100_000)
	q.add("arguments too long", append(caller, "PATH=/usr/bin:/bin"), "<&3", "-v0", "-lL", "-ilong-values", "true", long)
}

// TestBehavesLikeTheRealProgram puts the same questions to s6-ipcserver-access and
// compares status, environment, output and messages.
func TestBehavesLikeTheRealProgram(t *testing.T) {
	theirs, ours := installed(t, realProgram, "s6"), static.build(t)
	installed(t, "execlineb", "execline")
	dir := openDir(t)
	writeRuleSets(t, dir, ruleSets)
	q := &questioner{env0: []string{installed(t, "env", "coreutils"), "-0"}}
	names, files := sockets(t, dir)
	inputs := []string{"</dev/null", "<&-", "</"}
	for i := range names[:len(names)-1] { // for the last see TestDifferences
		inputs = append(inputs, fmt.Sprintf("<&%d", 3+i))
	}
	for _, stdin := range inputs {
		q.add("standard input", environmentOf("IPC", "1", "2"), stdin, append([]string{"-v2"}, q.env0...)...)
		q.add("standard input", environmentOf("IPC", "1", "2"), stdin, append([]string{"-v0", "-E"}, q.env0...)...)
	}
	q.optionQuestions()
	q.environmentQuestions()
	q.programQuestions(t, dir)
	for i, value := range oddRecords {
		path := fmt.Sprintf("odd-%d.cdb", i)
		data := records(t, "uid/1000", value, "gid/1000", plainAllow, "uid/self", "X", "uid/default", "D")
		if err := os.WriteFile(filepath.Join(dir, path), data, 0o644); err != nil {
			t.Fatal(err)
		}
		q.add(fmt.Sprintf("record %.20q of %d bytes", value, len(value)), environmentOf("IPC", "1000", "1000"), "<&3", append([]string{"-v2", "-lL", "-x", path}, q.env0...)...)
	}
	for _, rules := range []string{"nowhere", "p2/prog/x", strings.Repeat("z", 300), "loop", "all"} {
		for _, option := range []string{"-i", "-x"} {
			if rules != "all" || option != "-x" { // see TestDifferences
				q.add("rules", environmentOf("IPC", "1000", "1000"), "<&3", append([]string{"-v2", "-E", option, rules}, q.env0...)...)
			}
		}
	}
	twice := records(t, "uid/1000", "D", "uid/1000", plainAllow, "uid/default", plainAllow, "uid/default", "D")
	if err := os.WriteFile(filepath.Join(dir, "twice.cdb"), twice, 0o644); err != nil {
		t.Fatal(err)
	}
	q.rules("rules, twice", "-x", "twice.cdb")
	for _, set := range slices.Sorted(maps.Keys(ruleSets)) {
		q.rules("rules", "-i", set)
		if _, err := os.Stat(filepath.Join(dir, set+".cdb")); err == nil {
			q.rules("rules", "-x", set+".cdb")
		}
	}
	for user, credential := range users() {
		questions := q.questions
		if credential != nil {
			if err := os.Chmod(filepath.Join(dir, "group.cdb"), 0o600); err != nil {
				t.Fatal(err)
			}
			questions = aboutPermissions(questions)
		}
		var want, got []answer
		var both sync.WaitGroup
		both.Go(func() { want = ask(t, theirs, questions, dir, credential, files) })
		both.Go(func() { got = ask(t, ours, questions, dir, credential, files) })
		both.Wait()
		if t.Failed() {
			return
		}
		compare(t, user, questions, want, got)
	}
}

// aboutPermissions returns those of questions whose answer depends on who this is.
func aboutPermissions(questions []question) []question {
	return slices.DeleteFunc(slices.Clone(questions), func(q question) bool {
		return !slices.ContainsFunc(q.args, func(arg string) bool {
			switch strings.TrimSuffix(arg, ".cdb") {
			case "self", "group-self", "group", "one-user", "unreadable", "no-entry", "unsearchable", "directories":
				return true
			}
			return false
		})
	})
}

// compare compares answers, and checks that the questions were various enough.
func compare(t *testing.T, user string, questions []question, theirs, ours []answer) {
	t.Helper()
	statuses := make(map[int]int)
	for i, q := range questions {
		want, got := theirs[i], ours[i]
		want.stderr = strings.Replace(want.stderr, strings.Replace(usage, "[ -I ] ", "", 1), usage, 1)
		if want != got {
			t.Errorf("as %s: %.300s, environment %.300q, standard input %s\ntheirs %v\nours   %v", user, q.name, q.env, q.stdin, want, got)
		}
		statuses[want.status]++
	}
	t.Logf("as %s: %d questions, of these by status: %v", user, len(questions), statuses)
	for _, status := range []int{0, exitDenied, exitSystem} {
		if statuses[status] < 5 {
			t.Errorf("as %s: status %d only %d times", user, status, statuses[status])
		}
	}
}
