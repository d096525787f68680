package suite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"credrpc/bench/load"
)

// TestGenerate has generators that say what they should, fail, or end early.
func TestGenerate(t *testing.T) {
	for _, tt := range []struct {
		name, script, told, want string // want is of the error, "" for none
	}{
		{"as it should be", `echo begin; echo end; echo '{"calls":7}'`, "begin end", ""},
		{"over in its warm-up", `echo end; echo '{"calls":7}'`, "end", ""},
		{"it fails", `echo begin; echo the reason >&2; exit 3`, "begin", "the reason"},
		{"no result", `echo begin; echo end`, "begin end", "invalid"},
		{"nothing at all", `true`, "", "unexpected end"},
	} {
		var told []string
		tell := func(what string) func() { return func() { told = append(told, what) } }
		v := &target{variant: variant{generator: func(string, load.Config) []string { return []string{"/bin/sh", "-c", tt.script} }}}
		r, err := new(Bench).drive(t.Context(), v, load.Config{Duration: time.Second}, load.Distribution{Begin: func(time.Duration) { tell("begin")() }, End: tell("end")})
		if strings.Join(told, " ") != tt.told || (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) || err == nil && r.Calls != 7 {
			t.Errorf("%s: told %v, %+v, %v", tt.name, told, r, err)
		}
	}
	if r, err := generate(t.Context(), []string{"/does/not/exist"}, load.Distribution{}, time.Second); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no program: %+v, %v", r, err)
	}
	// An interrupted one says what it has.
	ctx, cancel := context.WithCancel(t.Context())
	last, err := generate(ctx, []string{"/bin/sh", "-c", `trap 'echo "{\"calls\":3}"; exit' INT; echo begin; while :; do sleep 0.01; done`},
		load.Distribution{Begin: func(time.Duration) { cancel() }}, time.Hour)
	if err != nil || string(last) != `{"calls":3}`+"\n" {
		t.Errorf("interrupted: %q, %v", last, err)
	}
}

// TestLoadWithin has a generator of another program in a comparison: what it does
// before the measured part, such as connecting, is not in the figures.
func TestLoadWithin(t *testing.T) {
	made := filepath.Join(t.TempDir(), "connected")
	c := competitor{child: &child{name: "fake", ended: make(chan struct{})}}
	c.generator = func(string, load.Config) []string {
		return []string{"/bin/sh", "-c", "touch " + made + `; echo begin; echo end; echo '{"calls":7}'`}
	}
	var connected error
	b := new(Bench)
	r, err := b.loadWithin(t.Context(), c, load.Config{}, load.Distribution{Begin: func(time.Duration) { _, connected = os.Stat(made) }})
	if err != nil || r.Calls != 7 || connected != nil {
		t.Errorf("%+v, %v; began before it was connected: %v", r, err, connected)
	}
}

// TestPublish looks at what is there before, and after a failure.
func TestPublish(t *testing.T) {
	dir := t.TempDir()
	made, wanted := filepath.Join(dir, "made"), filepath.Join(dir, "wanted")
	if err := os.WriteFile(made, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // then it is there already
		path, err := writable(wanted)
		if err != nil || path != wanted {
			t.Errorf("%q, %v", path, err)
		}
		if err := publish(made, path); err != nil {
			t.Error(err)
		}
		if text, err := os.ReadFile(wanted); string(text) != "new" {
			t.Errorf("%q, %v", text, err)
		}
	}
	if err := publish(filepath.Join(dir, "none"), wanted); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing was made: %v", err)
	}
	p := &profiles{wanted: map[string]string{made: filepath.Join(dir, "not")}}
	if err := p.publish(); err != nil {
		t.Errorf("nothing was made in full: %v", err)
	}
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if err != nil || !slices.Equal(names, []string{"made", "wanted"}) {
		t.Errorf("%v, %v", names, err)
	}
}

// TestScenarioVariants has the command lines of servers.
func TestScenarioVariants(t *testing.T) {
	b := &Bench{Self: "/self", Progress: quiet}
	defer b.Close()
	for _, tt := range []struct {
		scenario Scenario
		want     string
	}{
		{Scenario{Server: Eventloop, Loops: 2}, "/self server eventloop --loops 2 /socket"},
		{Scenario{Server: Eventloop, Rules: "/r"}, "/self server eventloop --loops 0 --rules /r /socket"},
		{Scenario{Server: EventloopOnLoop, Load: load.Config{Payload: 2 << 20}}, "/self server eventloop --on-loop --loops 0 --max-payload 2097152 /socket"},
		{Scenario{Server: Gnet, Loops: 3}, "/self server gnet --loops 3 /socket"},
		{Scenario{Server: GRPC, Program: "/peers", Load: load.Config{Load: load.Load{Batch: 1, Callers: 2}}}, "/peers server grpc /socket"},
	} {
		v, err := b.scenarioVariant(t.Context(), &tt.scenario)
		if err != nil {
			t.Errorf("%+v: %v", tt.scenario, err)
			continue
		}
		command, err := v.command(b, t.Context(), "/socket")
		if got := strings.Join(command, " "); err != nil || got != tt.want || v.Name != tt.scenario.Server || !v.probed {
			t.Errorf("%q, %v; called %s", got, err, v.Name)
		}
	}
	if _, err := b.scenarioVariant(t.Context(), &Scenario{Server: "other"}); err == nil {
		t.Error("a server that does not exist")
	}
}
