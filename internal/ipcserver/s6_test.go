package ipcserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// report is a program that tells everything a program can see of its server, and
// echoes. Its words are absolute, since rules may change PATH.
var report = []string{"/bin/sh", "-c", "/usr/bin/env -0; printf '\\0---\\0'; /bin/cat; " +
	"/bin/ls /proc/self/fd; /bin/grep -E '^(Uid|Gid|SigBlk|SigIgn):' /proc/self/status; ulimit -n; umask"}

// ruleSets are directories of rules: files with their content.
var ruleSets = map[string]map[string]string{
	"everybody": {"uid/default/allow": ""},
	"nobody":    {"uid/default/deny": ""},
	"nothing":   {"uid/": ""},
	"one user":  {"uid/1000/allow": "", "uid/default/deny": ""},
	"one group": {"gid/100/allow": "", "uid/1001/deny": ""},
	"self":      {"uid/self/allow": "", "gid/self/deny": "", "uid/1000/allow": ""},
	"self last": {"gid/self/allow": "", "uid/default/deny": ""},
	"undecided": {"uid/1000/env/X": "not used", "uid/1001/exec": "echo not used", "gid/100/allow": "", "gid/100/env/Y": "used"},
	"set": {
		"uid/default/allow": "", "uid/default/env/COLOUR": "green  \nsecond line", "uid/default/env/PATH": "/nowhere",
		"uid/1000/allow": "", "uid/1000/env/HOME": "/home/of\x001000", "uid/1000/env/EMPTY": "\n",
	},
	"unset": {"uid/default/allow": "", "uid/default/env/HOME": "", "uid/default/env/BEFORE": "", "uid/default/env/NEVER": ""},
	"ucspi": {
		"uid/default/allow": "", "uid/default/env/PROTO": "TCP", "uid/default/env/IPCREMOTEEUID": "", "uid/default/env/IPCCONNNUM": "77",
		"uid/default/env/IPCLOCALPATH": "/elsewhere", "uid/default/env/IPCREMOTEPATH": "/elsewhere",
	},
	"exec": {
		"uid/1000/allow": "", "uid/1000/exec": "importas -i U IPCREMOTEEUID echo \"exec for ${U}\"\n", "uid/default/allow": "",
		"gid/100/allow": "", "gid/100/exec": "", "uid/0/allow": "", "uid/0/exec": "no-such-program",
	},
	"exec with env": {
		"uid/default/allow": "", "uid/default/exec": "env # comment\x00ignored", "uid/default/env/COLOUR": "red", "uid/default/env/PATH": "/nowhere:/usr/bin:/bin",
	},
	"broken env": {"uid/1000/allow": "", "uid/1000/env/sub/x": "", "uid/default/allow": ""},
}

// A setup is one row of the matrix: servers with the same rules and options.
type setup struct {
	rules   string   // a rule set, or what is wrong with it
	form    string   // -i, -x, or "" for none
	server  []string // options of s6-ipcserver
	access  []string // options of s6-ipcserver-access
	callers []identity
}

var (
	root   = identity{0, 0}
	first  = identity{1000, 100}
	second = identity{1001, 100}
	nobody = identity{65534, 65534}
	people = []identity{root, first, second, nobody}
)

// matrix generates the rows.
func matrix() (rows []setup) {
	for rules := range ruleSets {
		for _, form := range []string{"-i", "-x"} {
			if rules == "broken env" && form == "-x" {
				continue // it cannot be compiled
			}
			rows = append(rows, setup{rules, form, []string{"-v"}, nil, people})
		}
	}
	for _, options := range [][2][]string{
		{{"-q"}, nil},
		{{"-Q"}, nil},
		{{"-v"}, {"-E"}},
		{{"-v"}, {"-l", "local name"}},
		{{"-v"}, {"-E", "-l", "local name"}},
		{{"-v", "-u", "1000", "-g", "100"}, nil},
		{{"-v", "-u1001", "-g100", "-G", "4,5"}, nil},
		{{"-v", "-c2", "-C", "1", "-b", "3"}, nil},
		{{"-Qvp", "-d", "-a", "0777"}, {"-e"}},
	} {
		for _, rules := range []string{"self", "one user", "ucspi", "exec"} {
			rows = append(rows, setup{rules, []string{"-i", "-x"}[len(rows)%2], options[0], options[1], people[1:]})
		}
	}
	for _, wrong := range []string{"missing", "garbage", "unreadable", "unreadable env"} {
		for _, form := range []string{"-i", "-x"} {
			rows = append(rows, setup{wrong, form, []string{"-v", "-u", "1000", "-g", "100"}, nil, people[1:3]})
		}
	}
	for _, options := range [][]string{{"-v"}, {"-v", "-P"}, {"-vp", "-C1"}, {"-q", "-u", "1000"}, {"-Q", "-g", "100", "-G", ""}, {"-v", "-P", "-C1", "-c3"}} {
		rows = append(rows, setup{"", "", options, nil, people})
	}
	for _, access := range [][]string{{"-E"}, {"-e"}, {"-l", "x"}} {
		rows = append(rows, setup{"", "", []string{"-v"}, access, people[:2]})
	}
	return rows
}

func (r setup) String() string {
	return strings.Join(append(append([]string{r.rules, r.form}, r.server...), r.access...), " ")
}

// An outcome is what a chain of programs did for the callers of a row.
type outcome struct {
	answers []string // "refused", or what the program saw, a caller each
	log     []string
}

// TestSameAsS6 compares this server, and this server with s6-ipcserver-access, with
// the servers of s6: what programs see, whom they are run for, and messages.
func TestSameAsS6(t *testing.T) {
	needRoot(t)
	needProgram(t, "s6-ipcserver", "s6")
	needProgram(t, "s6-ipcserver-access", "s6")
	needProgram(t, "s6-accessrules-cdb-from-fs", "s6")
	needProgram(t, "execlineb", "execline")
	cases, refused := 0, 0
	for _, row := range matrix() {
		t.Run(row.String(), func(t *testing.T) {
			dir := tempDir(t)
			path := filepath.Join(dir, "s")
			var rules []string
			if row.form != "" {
				rules = []string{row.form, writeRules(t, row, dir)}
			}
			access := slices.Concat([]string{"s6-ipcserver-access", accessVerbosity(row.server)}, row.access, rules)
			ready := []string{"-1"}
			want := observe(t, row, path, exec.Command("s6-ipcserver", chain(row, ready, row.server, path, access)...))
			inside := observe(t, row, path, ours(t, slices.Concat(ready, row.server, row.access, rules, []string{path}, report)...))
			before := observe(t, row, path, ours(t, chain(row, ready, row.server, path, access)...))
			for i, who := range row.callers {
				cases++
				if want.answers[i] == "refused" {
					refused++
				}
				for name, got := range map[string]outcome{"rules inside": inside, "before s6-ipcserver-access": before} {
					if got.answers[i] != want.answers[i] {
						t.Errorf("%s, caller %v:\nwant %q\ngot  %q", name, who, want.answers[i], got.answers[i])
					}
				}
			}
			compareLogs(t, row, want, inside, before)
		})
	}
	t.Logf("%d cases, %d refused", cases, refused)
	if cases < 150 || refused < 40 || cases-refused < 80 {
		t.Error("the matrix is too small to show anything")
	}
}

// chain returns the arguments of a server in front of s6-ipcserver-access, or of
// one without it if the row does not need it.
func chain(row setup, ready, options []string, path string, access []string) []string {
	if row.form == "" && row.access == nil {
		access = nil
	}
	return slices.Concat(ready, options, []string{path}, access, report)
}

func accessVerbosity(server []string) string {
	switch server[0] {
	case "-q":
		return "-v0"
	case "-Q":
		return "-v1"
	}
	return "-v2"
}

// writeRules makes the rules of a row and returns their path.
func writeRules(t *testing.T, row setup, dir string) string {
	t.Helper()
	rules := filepath.Join(dir, "rules")
	files, ok := ruleSets[row.rules]
	if !ok {
		files = map[string]string{"uid/default/allow": "", "uid/default/env/X": "x"}
	}
	for name, content := range files {
		file := filepath.Join(rules, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			continue
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := rules + ".cdb"
	if row.form == "-x" {
		if out, err := exec.Command("s6-accessrules-cdb-from-fs", file, rules).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	target := map[string]string{"-i": rules, "-x": file}[row.form]
	var err error
	switch row.rules {
	case "missing":
		return filepath.Join(dir, "none")
	case "garbage":
		err = os.WriteFile(target, []byte("no rules"), 0o644)
		if row.form == "-i" {
			return file // a file where a directory is wanted; there is none
		}
	case "unreadable":
		err = os.Chmod(target, 0o700)
	case "unreadable env":
		err = os.Chmod(filepath.Join(rules, "uid/default/env/X"), 0o600)
	}
	if err != nil && row.form == "-x" {
		t.Fatal(err)
	}
	return target
}

// observe runs a server and has the callers of a row call it, one after the other.
func observe(t *testing.T, row setup, path string, cmd *exec.Cmd) (o outcome) {
	t.Helper()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nowhere", "BEFORE=before", "IPCREMOTEEUID=1", "IPCLOCALPATH=before"}
	if cmd.Args[0] == serverName {
		cmd.Env = append(cmd.Env, noSleep)
	}
	s, ready := tryLaunch(t, path, cmd)
	if !ready {
		// Our server does not start without rules.
		if status := s.exit(); status != statusSystem {
			t.Errorf("%v: exit status %d, %s", cmd.Args, status, s.stderr)
		}
		for range row.callers {
			o.answers = append(o.answers, "refused")
		}
		o.log = s.lastMessages()
		return o
	}
	for i, who := range row.callers {
		answer, end := call(t, path, &who, fmt.Sprintf("request %d\n", i))
		switch {
		case end != "end" && end != "reset": // the latter if the program has not read the request
			t.Errorf("%v, caller %v: %q, %s", cmd.Args, who, answer, end)
		case answer == "":
			answer = "refused"
		default:
			answer = normalize(answer)
		}
		o.answers = append(o.answers, answer)
		s.quiet()
	}
	o.log = s.terminate()
	return o
}

// normalize sorts the environment of an answer. IPCLOCALPATH and IPCREMOTEPATH stay
// as they are: the chains use the same path.
func normalize(answer string) string {
	env, rest, ok := strings.Cut(answer, "\x00---\x00")
	lines := strings.Split(env, "\x00")
	if !ok {
		lines = strings.Split(answer, "\n") // of the program of a rule
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n---\n" + rest
}

var (
	fatal     = regexp.MustCompile(`^fatal: `)
	ofRules   = regexp.MustCompile(`^info: (allow|deny) pid N uid \d+ gid \d+`)
	ofFailure = regexp.MustCompile(`^(fatal|error): unable to`)
	ofLoading = regexp.MustCompile(`^info: access rules in force`)
	noRuleset = regexp.MustCompile(`^warning: invoked without a ruleset!`)

	// What s6-ipcserverd says when s6-ipcserver-access has refused or failed.
	refusal = regexp.MustCompile(`^info: end pid N uid (\d+) exitcode (1|111)$`)
)

// compareLogs compares messages.
func compareLogs(t *testing.T, row setup, want, inside, before outcome) {
	t.Helper()
	if got, want := before.log, want.log; !slices.Equal(got, want) {
		t.Errorf("before s6-ipcserver-access:\nwant %q\ngot  %q", want, got)
	}
	if slices.ContainsFunc(inside.log, fatal.MatchString) {
		return // it did not start
	}
	failures := len(matching(want.log, ofFailure))
	if row.form == "-i" && row.rules == "unreadable" {
		// s6 takes rules that it may not read as absent, and says that they deny.
		failures = len(row.callers)
		want.log = slices.DeleteFunc(slices.Clone(want.log), ofRules.MatchString)
	}
	if got := len(matching(inside.log, ofFailure)); got != failures {
		t.Errorf("%d failures, want %d: %q", got, failures, inside.log)
	}
	drop := func(line string) bool {
		return ofFailure.MatchString(line) || ofLoading.MatchString(line) || noRuleset.MatchString(line) ||
			row.form == "" && ofRules.MatchString(line) // s6-ipcserver-access accepts even without rules
	}
	got := slices.DeleteFunc(slices.Clone(inside.log), drop)
	if want := slices.DeleteFunc(withoutRefused(want.log), drop); !slices.Equal(got, want) {
		t.Errorf("rules inside:\nwant %q\ngot  %q", want, got)
	}
}

func matching(lines []string, pattern *regexp.Regexp) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !pattern.MatchString(line) })
}

// withoutRefused returns messages without those of the processes that only refused
// somebody: this server has none for that.
func withoutRefused(lines []string) []string {
	lines = slices.Clone(lines)
	for _, end := range matching(lines, refusal) {
		uid := refusal.FindStringSubmatch(end)[1]
		for _, prefix := range []string{end, "info: allow " + uid + ":", "info: status: 1/", "info: status: 0/"} {
			if i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, prefix) }); i >= 0 {
				lines = slices.Delete(lines, i, i+1)
			}
		}
	}
	return lines
}
