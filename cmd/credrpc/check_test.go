package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// checkRules has a rule for every way to decide but by the group "root" of root.
func checkRules() map[string]string {
	return map[string]string{
		"uid/1000/allow": "", "uid/1000/env/HOME": "/home/alice\n", "uid/1000/env/LD_PRELOAD": "", "uid/1000/exec": "echo hi",
		"uid/1001/deny": "", "gid/100/allow": "", "gid/101/deny": "", "uid/1002/note": "decides nothing",
		"uid/self/allow": "", "gid/self/deny": "",
	}
}

// TestCheck checks statuses, the first line and the keys tried, in both formats.
func TestCheck(t *testing.T) {
	const self = " --self-uid 900 --self-gid 901"
	inBothForms(t, checkRules(), func(t *testing.T, rules string) {
		for _, tt := range []struct {
			args     string
			status   int
			first    string
			decision string
			key      string
			tried    []string // key and outcome
		}{
			{"--uid 1000 --gid 7" + self, exitOK, "allow by uid/1000", "allow", "uid/1000", []string{"uid/1000 allow"}},
			{"--uid 1001 --gid 100" + self, exitFailed, "deny by uid/1001", "deny", "uid/1001", []string{"uid/1001 deny"}},
			{"--uid 7 --gid 100" + self, exitOK, "allow by gid/100", "allow", "gid/100", []string{"uid/7 not found", "gid/100 allow"}},
			{"--uid 1002 --gid 101" + self, exitFailed, "deny by gid/101", "deny", "gid/101", []string{"uid/1002 not found", "gid/101 deny"}},
			{"--uid 7 --gid 8" + self, exitFailed, "deny: no rule decides", "not found", "",
				[]string{"uid/7 not found", "gid/8 not found", "uid/default not found"}},
			{"--uid 900 --gid 8" + self, exitOK, "allow by uid/self", "allow", "uid/self", []string{"uid/self allow"}},
			{"--uid 7 --gid 901" + self, exitFailed, "deny by gid/self", "deny", "gid/self", []string{"uid/7 not found", "gid/self deny"}},
			{"--uid 900 --gid 901 --identity" + self, exitOK, "allow by identity", "allow", "identity", nil},
			{"--uid 900 --gid 902 --identity" + self, exitOK, "allow by uid/self", "allow", "uid/self", []string{"uid/self allow"}},
			{"--uid root --self-uid 900", exitFailed, "deny by gid/self", "deny", "gid/self", []string{"uid/0 not found", "gid/self deny"}},
			{"--uid 0 --gid root --self-gid 901 --self-uid root", exitOK, "allow by uid/self", "allow", "uid/self", []string{"uid/self allow"}},
		} {
			if strings.HasSuffix(tt.args, "--uid root --self-uid 900") && os.Getegid() != 0 {
				continue // the group of whoever runs the test
			}
			args := append([]string{"rules", "check", "--rules", rules}, strings.Fields(tt.args)...)
			status, out, stderr := result("", args...)
			lines := strings.Split(out, "\n")
			if status != tt.status || lines[0] != tt.first || stderr != "" {
				t.Errorf("%s: %d, %q, %q", tt.args, status, out, stderr)
			}
			for _, tried := range tt.tried {
				key, outcome, _ := strings.Cut(strings.ReplaceAll(tried, "not found", "no match"), " ")
				if line := fmt.Sprintf("\ntried   %-16s %s\n", key, outcome); !strings.Contains(out, line) {
					t.Errorf("%s: no %q in %q", tt.args, line, out)
				}
			}
			status, out, stderr = result("", append(args, "--json")...)
			var got struct {
				Decision, Key string
				Tried         []struct{ Key, Decision, Error string }
			}
			if err := json.Unmarshal([]byte(out), &got); err != nil || status != tt.status || stderr != "" {
				t.Errorf("%s --json: %d, %q, %q, %v", tt.args, status, out, stderr, err)
			}
			var tried []string
			for _, attempt := range got.Tried {
				tried = append(tried, attempt.Key+" "+attempt.Decision)
			}
			if got.Decision != tt.decision || got.Key != tt.key || !reflect.DeepEqual(tried, tt.tried) {
				t.Errorf("%s --json: %s", tt.args, out)
			}
		}
	})
}

// TestCheckPrints has the whole of both formats.
func TestCheckPrints(t *testing.T) {
	inBothForms(t, checkRules(), func(t *testing.T, rules string) {
		args := []string{"rules", "check", "--rules", rules, "--uid=1000", "--gid=7", "--self-uid=900", "--self-gid=901"}
		_, out, _ := result("", args...)
		want := `allow by uid/1000
caller  uid 1000, gid 7
self    uid 900, gid 901
tried   uid/1000         allow
env     set HOME="/home/alice"
env     unset LD_PRELOAD
exec    "echo hi"
`
		if out != want {
			t.Errorf("got\n%s\nwant\n%s", out, want)
		}
		_, out, _ = result("", append(args, "--json")...)
		want = `{"rules":"` + rules + `","caller":{"uid":1000,"gid":7},"self":{"uid":900,"gid":901},` +
			`"decision":"allow","key":"uid/1000","tried":[{"key":"uid/1000","decision":"allow"}],` +
			`"env":[{"name":"HOME","value":"/home/alice"},{"name":"LD_PRELOAD","unset":true}],"exec":"echo hi"}` + "\n"
		if out != want {
			t.Errorf("got\n%s\nwant\n%s", out, want)
		}
	})
}

// TestCheckFails checks that rules that are wrong are status 111 in strict mode, that
// --compatible does as s6, and that both formats say what happened.
func TestCheckFails(t *testing.T) {
	unknown := writeRulesFile(t, "uid/1", "d", "uid/default", "A\x00\x00\x00\x00")
	malformed := writeRulesFile(t, "uid/1", "A\x00", "uid/default", "A\x00\x00\x00\x00")
	for _, tt := range []struct {
		args   []string
		status int
		first  string
		errs   string
	}{
		{[]string{unknown, "--uid=1"}, exitSystem, "deny: the rules could not be read", "neither allow nor deny"},
		{[]string{unknown, "--uid=2"}, exitOK, "allow by uid/default", ""},
		{[]string{unknown, "--uid=1", "--compatible"}, exitOK, "allow by uid/default", ""},
		{[]string{malformed, "--uid=2"}, exitSystem, "deny: the rules could not be read", "uid/1"},
		{[]string{malformed, "--uid=2", "--compatible"}, exitOK, "allow by uid/default", ""},
		{[]string{malformed, "--uid=1", "--compatible"}, exitSystem, "deny: the rules could not be read", "wrong length of the environment"},
		{[]string{unknown + "x", "--uid=1"}, exitSystem, "deny: the rules could not be read", unknown + "x: no such file"},
	} {
		args := append([]string{"rules", "check", "--gid=9", "--self-uid=8", "--self-gid=8", "--rules"}, tt.args...)
		status, out, stderr := result("", args...)
		if status != tt.status || !strings.HasPrefix(out, tt.first+"\n") || !strings.Contains(stderr, tt.errs) || (tt.errs == "") != (stderr == "") {
			t.Errorf("%q: %d, %q, %q", tt.args, status, out, stderr)
		}
		status, out, stderr = result("", append(args, "--json")...)
		var got struct{ Decision, Error string }
		if err := json.Unmarshal([]byte(out), &got); err != nil || status != tt.status {
			t.Errorf("%q --json: %d, %q, %q, %v", tt.args, status, out, stderr, err)
		}
		if (got.Decision == "allow") != (status == exitOK) || !strings.Contains(got.Error, tt.errs) || (tt.errs == "") != (got.Error == "") {
			t.Errorf("%q --json: %s", tt.args, out)
		}
	}
}
