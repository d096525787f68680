package main

import (
	"strings"
	"testing"
)

// TestCollect reads what a machine has written that was killed.
func TestCollect(t *testing.T) {
	all := checks()
	r := collect([]byte(`{"machine":"Linux"}
check `+all[0].Name+`
{"name":"`+all[0].Name+`","ok":true}
{"name":"`+all[1].Name+`","o`), nil)
	if r.Machine != "Linux" || len(r.Checks) != len(all) || !r.Checks[0].OK || r.Checks[1].OK || !r.failed() {
		t.Errorf("%+v", r)
	}
}

// TestJudge fails a program whose tests are skipped without a known reason, or that ran none.
func TestJudge(t *testing.T) {
	p := program{dir: "x", skipped: map[string]string{"TestOld": "known", "TestA/b": "known"}}
	for text, want := range map[string]bool{
		"=== RUN   TestA\n--- PASS: TestA (0.00s)\n    --- SKIP: TestA/b (0.00s)\n--- SKIP: TestOld (0.00s)\n": true,
		"--- PASS: TestA (0.00s)\n=== RUN   TestNew\n    x_test.go:1: no root\n--- SKIP: TestNew (0.00s)\n":    false,
		"--- SKIP: TestOld (0.00s)\n": false,
		"":                            false,
	} {
		r := checkResult{OK: true}
		log := p.judge(&r, text)
		if r.OK != want {
			t.Errorf("%q: %t", text, r.OK)
		}
		if strings.Contains(text, "TestNew") && !strings.Contains(log, "no root") {
			t.Errorf("%q does not say why", log)
		}
	}
}

// TestScripts has each say what it shows.
func TestScripts(t *testing.T) {
	for _, c := range checks() {
		if c.program == nil && (c.What == "" || strings.HasPrefix(c.What, "#") || c.What[0] == ' ') {
			t.Errorf("%s: %q", c.Name, c.What)
		}
	}
}
