package ipcserver

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// TestParse reads command lines as getopt does.
func TestParse(t *testing.T) {
	number := func(n uint32) *uint32 { return &n }
	text := func(s string) *string { return &s }
	base := options{verbosity: normal, lookup: true, maxConn: 40, maxPerUser: 40, path: "p", program: []string{"prog"}}
	for _, tt := range []struct {
		args   string
		change func(*options)
	}{
		{"p prog", func(*options) {}},
		{"-- p prog", func(*options) {}},
		{"-- -v -x", func(o *options) { o.path, o.program = "-v", []string{"-x"} }},
		{"- prog -c 3", func(o *options) { o.path, o.program = "-", []string{"prog", "-c", "3"} }},
		{"p prog -v --", func(o *options) { o.program = []string{"prog", "-v", "--"} }},
		{"-1qQvDdPp p prog", func(o *options) { o.notify, o.verbosity = true, verbose }},
		{"-vqD p prog", func(o *options) { o.verbosity, o.keepStale = quiet, true }},
		{"-vc5 -C 3 p prog", func(o *options) { o.verbosity, o.maxConn, o.maxPerUser = verbose, 5, 3 }},
		{"-vc 5 p prog", func(o *options) { o.verbosity, o.maxConn, o.maxPerUser = verbose, 5, 5 }},
		{"-c0 -C0 p prog", func(o *options) { o.maxConn, o.maxPerUser = 1, 1 }},
		{"-c3000 -C2000 p prog", func(o *options) { o.maxConn, o.maxPerUser = 3000, 2000 }},
		{"-P -C2 p prog", func(o *options) { o.lookup = false }},
		{"-a600 -b 0 p prog", func(o *options) { o.mode, o.backlog = number(0o600), number(1) }},
		{"-u1 -g 2 -G 3,4 p prog", func(o *options) { o.uid, o.gid, o.groups = number(1), number(2), []uint32{3, 4} }},
		{"-u0 -g0 p prog", func(*options) {}},
		{"-u1 -g1 -G1 -U -g2 p prog", func(o *options) { o.idsFromEnv, o.gid = true, number(2) }},
		{"-i rules -Ie p prog", func(o *options) {
			o.rules, o.rulesPath, o.identity, o.environment = rulesDirectory, "rules", true, environmentFull
		}},
		{"-xrules -l l -E p prog", func(o *options) {
			o.rules, o.rulesPath, o.localName, o.environment = rulesFile, "rules", text("l"), environmentWithheld
		}},
	} {
		want := base
		tt.change(&want)
		got, err := parse(strings.Fields(tt.args))
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", tt.args, err, got, want)
		}
	}
	if o, err := parse([]string{"-G", "", "p", "prog"}); err != nil || o.groups == nil || len(o.groups) != 0 {
		t.Errorf("no supplementary groups: %v, %v", o, err)
	}
}

// TestUsage gets status 100, and the part that is wrong.
func TestUsage(t *testing.T) {
	for args, want := range map[string]string{
		"":                       "want a path and a program",
		"p":                      "want a path and a program",
		"-v -- p":                "want a path and a program",
		"-z p prog":              "unknown option -z",
		"-v1zq p prog":           "unknown option -z",
		"--verbose p prog":       "unknown option --",
		"-c":                     "-c: a value is missing",
		"-vc":                    "-c: a value is missing",
		"-c x p prog":            `-c "x": want a number`,
		"-c -1 p prog":           `-c "-1": want a number`,
		"-c 4294967296 p prog":   `-c "4294967296": want a number`,
		"-C 1k p prog":           `-C "1k": want a number`,
		"-b x p prog":            `-b "x": want a number`,
		"-a 888 p prog":          `-a "888": want an octal number of at most 0777`,
		"-a 4777 p prog":         `-a "4777": want an octal number of at most 0777`,
		"-u root p prog":         `-u "root": want a numeric id`,
		"-g 4294967296 p prog":   `-g "4294967296": want a numeric id`,
		"-G 1,x p prog":          `-G "1,x": want numeric ids with commas between them`,
		"-G 1, p prog":           `-G "1,": want numeric ids with commas between them`,
		"-i a -x b p prog":       `-x "b": there are rules already; want one -i or -x`,
		"-P -i a p prog":         "-P: with it nobody knows who is calling, and the rules need to",
		"-I p prog":              "-I: without rules (-i or -x) everybody is accepted anyway",
		"-a600 @p prog":          `-a: "@p" is abstract, no permissions protect it`,
		"-v --help":              "unknown option --",
		"-1 -i /nonexistent/x p": "want a path and a program",
	} {
		var out, complaints bytes.Buffer
		status := Run(strings.Fields(args), &out, &complaints)
		first, rest, _ := strings.Cut(complaints.String(), "\n")
		if status != statusUsage || first != name+": "+want || rest != usage || out.Len() > 0 {
			t.Errorf("%q: status %d\ngot  %q\nwant %q", args, status, first, want)
		}
	}
	for _, args := range [][]string{{"", "prog"}, {"p", ""}} {
		var complaints bytes.Buffer
		if status := Run(args, nil, &complaints); status != statusUsage || !strings.Contains(complaints.String(), "is empty") {
			t.Errorf("%q: %d, %s", args, status, complaints.String())
		}
	}
}

// TestHelp mentions every option.
func TestHelp(t *testing.T) {
	var out, complaints bytes.Buffer
	if status := Run([]string{"--help"}, &out, &complaints); status != 0 || complaints.Len() > 0 {
		t.Errorf("status %d, %s", status, complaints.String())
	}
	for _, option := range "1abcCdDeEgGiIlpPqQuUvx" {
		if !strings.Contains(out.String(), "\n  -"+string(option)+" ") && !strings.Contains(out.String(), ", -"+string(option)+" ") {
			t.Errorf("-%c is not explained", option)
		}
	}
	for _, line := range strings.Split(help+usage, "\n") {
		if len(line) > 100 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
}
