package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSweep tries one value of each setting, so shortly that it shows nothing else.
func TestSweep(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.json")
	out, err := run(t, "sweep", "--loads", "b4x1", "--loops", "2", "--gomaxprocs", "1", "--gogc", "off", "--rounds", "6", "--verify", "6", "--seconds", "0.02", "--json", file)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"defaults, again ", "HandlerOnLoop true ", "Loops 2 ", "GOMAXPROCS 1 ", "GOGC off ", "Of 4 comparisons at 95 %", "defaults"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Command string
		Reports []struct {
			Name  string
			Pairs []struct{ Server, Against string }
			Runs  []struct{}
		}
	}
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	// Whether something seems better, and there is a second report, is chance here.
	if r := f.Reports[0]; f.Command != "sweep" || r.Name != "sweep" || len(r.Runs) != 6*6 || len(r.Pairs) != 6 || r.Pairs[0].Against != "" || r.Pairs[5].Against != "defaults" {
		t.Errorf("%+v", f)
	}
}

func TestPowers(t *testing.T) {
	for _, tt := range []struct {
		most, without int
		want          []int
	}{{1, 1, nil}, {2, 1, []int{2}}, {4, 2, []int{1, 4}}, {6, 1, []int{2, 4, 6}}, {16, 2, []int{1, 4, 8, 16}}} {
		if got := powers(tt.most, tt.without); !slices.Equal(got, tt.want) {
			t.Errorf("up to %d without %d: %v", tt.most, tt.without, got)
		}
	}
}

func TestSweepUsage(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"--rounds 5", "at least 6"},
		{"--verify 5", "at least 6"},
		{"--gogc 0", "neither off nor a percentage"},
		{"--gogc on", "neither off nor a percentage"},
		{"--loops 0", "no number of loops"},
		{"--gomaxprocs 2000", "no number of loops or of GOMAXPROCS"},
		{"--seconds 0", "runs must have a length"},
		{"--loads x", "neither bKxN nor tN"},
	} {
		wantExit(t, exitUsage, tt.want, append([]string{"sweep"}, strings.Fields(tt.args)...)...)
	}
}
