package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestList has the whole of the table and of the objects, in both forms.
func TestList(t *testing.T) {
	inBothForms(t, map[string]string{
		"uid/1000/allow": "", "uid/1000/env/HOME": "/home/alice", "uid/1000/env/LD_PRELOAD": "", "uid/1000/exec": "a command line that is long",
		"uid/4294967294/deny": "", "gid/100/allow": "", "ip6/2001:db8::_32/deny": "", "uid/1/allow": "", "uid/1/exec": "ls",
	}, func(t *testing.T, rules string) {
		for flag, want := range map[string]string{
			"--json=false": `KEY             DECISION  ENV                             EXEC
gid/100         allow
ip6/2001:db8::_32  deny
uid/1           allow                                     "ls"
uid/1000        allow     HOME="/home/alice" -LD_PRELOAD  "a command line that is…
uid/4294967294  deny
`,
			"--json": `{"key":"gid/100","decision":"allow"}
{"key":"ip6/2001:db8::_32","decision":"deny"}
{"key":"uid/1","decision":"allow","exec":"ls"}
{"key":"uid/1000","decision":"allow","env":[{"name":"HOME","value":"/home/alice"},{"name":"LD_PRELOAD","unset":true}],"exec":"a command line that is long"}
{"key":"uid/4294967294","decision":"deny"}
`,
		} {
			if status, out, stderr := result("", "rules", "list", flag, "--rules", rules); status != exitOK || out != want || stderr != "" {
				t.Errorf("%s: %d, %q\ngot\n%s\nwant\n%s", flag, status, stderr, out, want)
			}
		}
	})
}

// TestListMarksWhatIsNotInOrder checks that odd rules are listed with the others and
// make the status 111.
func TestListMarksWhatIsNotInOrder(t *testing.T) {
	file := writeRulesFile(t, "uid/1", "d", "uid/2", "D", "uid/3", "A", "uid/2", "A\x00\x00\x00\x00")
	status, out, stderr := result("", "rules", "list", "--rules", file)
	want := `KEY             DECISION  ENV                             EXEC
uid/1           error     accessdb: rule says neither allow nor deny: "uid/1"
uid/2           deny
uid/3           error     accessdb: malformed rule: wrong length of the environment: "uid/3"
uid/2           allow
`
	if status != exitSystem || out != want || stderr != "credrpc: "+file+": 2 of the rules above are not in order\n" {
		t.Errorf("%d, %q\ngot\n%s\nwant\n%s", status, stderr, out, want)
	}
	status, out, _ = result("", "rules", "list", "--json", "--rules", file)
	if first, _, _ := strings.Cut(out, "\n"); status != exitSystem ||
		first != `{"key":"uid/1","decision":"deny","error":"accessdb: rule says neither allow nor deny: \"uid/1\""}` {
		t.Errorf("%d, %q", status, out)
	}

	directory := writeRulesDirectory(t, map[string]string{"uid/1/note": "", "uid/2/allow": "", "uid/2/exec/x": ""})
	status, out, _ = result("", "rules", "list", "--rules", directory)
	if status != exitSystem || !strings.Contains(out, "\nuid/1           no match\nuid/2           error     ") {
		t.Errorf("%d, %q", status, out)
	}
}

// firstWrite ends the writing after what comes first.
type firstWrite struct{ first []byte }

func (w *firstWrite) Write(b []byte) (int, error) {
	if w.first != nil {
		return 0, errFull
	}
	w.first = append([]byte{}, b...)
	return len(b), nil
}

// TestListIsNotGathered checks that a long list is written in pieces, and that
// nothing follows a piece that cannot be written.
func TestListIsNotGathered(t *testing.T) {
	var pairs []string
	for range 20000 {
		pairs = append(pairs, "uid/1", "D")
	}
	file := writeRulesFile(t, pairs...)
	for _, flag := range []string{"--json=false", "--json"} {
		var out firstWrite
		var stderr strings.Builder
		status := run([]string{"rules", "list", flag, "--rules", file}, streams{strings.NewReader(""), &out, &stderr})
		if status != exitSystem || stderr.String() != "credrpc: disk full\n" || len(out.first) > 100000 {
			t.Errorf("%s: %d, %q, %d bytes at once", flag, status, stderr.String(), len(out.first))
		}
	}
}

// TestLint checks statuses and both formats.
func TestLint(t *testing.T) {
	rules := writeRulesDirectory(t, map[string]string{"uid/1/allow": "", "uid/default/deny": ""})
	for _, flag := range []string{"--json=false", "--json"} {
		status, out, stderr := result("", "rules", "lint", flag, "--rules", rules)
		if status != exitOK || out != "" || stderr != "credrpc: "+rules+": nothing found\n" {
			t.Errorf("%d, %q, %q", status, out, stderr)
		}
	}
	for name, content := range map[string]string{"gid/default/allow": "", "uid/1/env/PATH": "/tmp"} {
		file := filepath.Join(rules, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(rules, "uid"), 0o777); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{
		"--json=false": `writable: "` + rules + `/uid": writable by everybody (mode 0777)
unreachable: "gid/default": never asked for; only uid/default exists
env: "uid/1": variable "PATH" decides what code runs for its callers
`,
		"--json": `{"kind":"writable","subject":"` + rules + `/uid","message":"writable by everybody (mode 0777)"}
{"kind":"unreachable","subject":"gid/default","message":"never asked for; only uid/default exists"}
{"kind":"env","subject":"uid/1","message":"variable \"PATH\" decides what code runs for its callers"}
`,
	} {
		if status, out, stderr := result("", "rules", "lint", flag, "--rules", rules); status != exitFailed || out != want || stderr != "" {
			t.Errorf("%s: %d, %q\ngot\n%s\nwant\n%s", flag, status, stderr, out, want)
		}
	}
}
