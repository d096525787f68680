package suite

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/report"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// TestLadderSteps checks that each step comes after what it is compared with, and
// what the servers of some are.
func TestLadderSteps(t *testing.T) {
	names := LadderSteps()
	c := &LadderConfig{Comparison: Comparison{Loops: 2}, OnLoop: true}
	files := &ruleFiles{"/rules.cdb", "/rules"}
	b := &Bench{Self: "/self", compiled: true, floorPath: "/floor"}
	want := map[string]string{
		"floor-none":       "/floor /socket 1 none",
		"floor-both":       "/floor /socket 1 both",
		"server":           "/self server eventloop --on-loop --loops 2 /socket",
		"server-cdb":       "/self server eventloop --on-loop --loops 2 --rules /rules.cdb --rules-cache=-1 /socket",
		"server-directory": "/self server eventloop --on-loop --loops 2 --rules /rules /socket",
	}
	for i, s := range ladderSteps() {
		if s.against != "" && !slices.Contains(names[:i], s.against) || slices.Contains(names[:i], s.name) || s.what == "" {
			t.Errorf("step %d: %+v", i, s)
		}
		if want[s.name] == "" {
			continue
		}
		for range 2 { // nothing is kept from the time before
			command, err := s.variant(c, files).command(b, t.Context(), "/socket")
			if got := strings.Join(command, " "); err != nil || got != want[s.name] {
				t.Errorf("%s: %q, %v", s.name, got, err)
			}
		}
	}
}

func TestPeerCommands(t *testing.T) {
	c := &PeersConfig{Connections: 4, Program: "/peers"}
	config := load.Config{Load: load.Load{Batch: 1, Callers: 16}, Payload: 7, Duration: time.Second / 4}
	tests := []struct{ name, command, generator string }{
		{"grpc", "/peers server grpc /socket", "/peers load grpc --json --tell --socket /socket --callers 16 --connections 4 --payload 7 --warm-up 0 --seconds 0.25"},
		{EventloopClient, "/self server eventloop --loops 0 /socket", "/peers load credrpc --json --tell --socket /socket --callers 16 --connections 4 --payload 7 --warm-up 0 --seconds 0.25"},
		{Eventloop, "/self server eventloop --loops 0 /socket", ""},
	}
	for _, tt := range tests {
		v := c.peer(tt.name)
		command, err := v.command(&Bench{Self: "/self"}, t.Context(), "/socket")
		if got := strings.Join(command, " "); err != nil || got != tt.command {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
		generator := ""
		if v.generator != nil {
			generator = strings.Join(v.generator("/socket", config), " ")
		}
		if generator != tt.generator || v.Name != tt.name || v.Kind != tt.name {
			t.Errorf("%s, called %s of %s: %q", tt.name, v.Name, v.Kind, generator)
		}
	}
}

// TestClientCommands looks at who calls whom, and at what shares a process.
func TestClientCommands(t *testing.T) {
	b := &Bench{Self: "/self"}
	config := load.Config{Load: load.Load{Batch: 1, Callers: 16}, Payload: 7, WarmUp: time.Second / 8, Duration: time.Second / 4}
	for name, want := range map[string]string{
		CClient:   "/cclient /socket 16 7 0.125 0.25",
		GoClient:  "/self callers client --socket /socket --callers 16 --payload 7 --warm-up 0.125 --seconds 0.25",
		NetClient: "/self callers net --socket /socket --callers 16 --payload 7 --warm-up 0.125 --seconds 0.25",
	} {
		e := b.clientOn(floorVariant(2), name, "/cclient")
		if got := strings.Join(e.generator("/socket", config), " "); got != want || e.Name != name+"-floor-2" || e.Kind != name+"-floor" || e.process != "floor-2" || (e.against == "") != (name == CClient) {
			t.Errorf("%+v against %q: %q", e.Server, e.against, got)
		}
	}
	shared := &child{name: "floor-2"}
	if c, err := b.startOnce(t.Context(), variant{process: "floor-2"}, []competitor{{child: &child{}}, {variant{process: "floor-2"}, shared}}); c != shared || err != nil {
		t.Errorf("another process: %+v, %v", c, err)
	}
	if r, err := b.Clients(t.Context(), ClientsConfig{Comparison: Comparison{Loads: []load.Load{{Batch: 2, Callers: 1}}}}); err == nil {
		t.Errorf("%+v", r)
	}
}

// TestPeersRefuses has loads that the callers of peers do not have.
func TestPeersRefuses(t *testing.T) {
	b := &Bench{Self: "/self", Progress: quiet}
	defer b.Close()
	for _, c := range []PeersConfig{
		{Comparison: Comparison{Loads: []load.Load{{Batch: 2, Callers: 1}}}, Program: "/peers"},
		{Comparison: Comparison{Loads: []load.Load{{Batch: 1, Callers: 2}}}, Program: "/peers", Connections: 3},
	} {
		if r, err := b.Peers(t.Context(), c); err == nil {
			t.Errorf("%+v", r)
		}
	}
}

// TestPeersWithoutGo cannot build the program, and says what to do.
func TestPeersWithoutGo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	b := &Bench{Self: "/self", Progress: quiet}
	defer b.Close()
	r, err := b.Peers(t.Context(), PeersConfig{Comparison: Comparison{Loads: []load.Load{{Batch: 1, Callers: 1}}}})
	if !errors.Is(err, ErrNoPeers) || !strings.Contains(err.Error(), "--program") || len(r.Runs) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestPairedText has a pair, and a server that lacks what it is compared with.
func TestPairedText(t *testing.T) {
	one := load.Load{Batch: 1, Callers: 1}
	p := &report.Report{Loads: []load.Load{one, {Batch: 1, Callers: 2}}, Rounds: 2, Seconds: 1, Payload: 32,
		Servers: []report.Server{{Name: "a", Against: "missing"}, {Name: "b", Against: "a"}, {Name: "c", Against: "a"}},
		Notices: []string{"s6 is left out: no reason."}, Interrupted: true}
	for round := range 2 {
		for i, name := range []string{"a", "b"} {
			run := report.Run{Server: name, Round: round, ServerUserSeconds: float64(1 + i)}
			run.Load, run.Seconds, run.Calls, run.CallsPerSecond, run.Histogram = one, 1, 1000, float64(1000*(1+i)), emptyHistogram(t)
			p.Runs = append(p.Runs, run)
		}
	}
	p.Runs[1].FirstError = "one of b"
	if err := p.Summarise(); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	writePairs(&b, p, []string{"", "×", "more"}, func(p *report.Pair) []string {
		return []string{p.Server, p.Throughput.String(), difference(p.ServerMore)}
	}, func(p *report.Pair) []*report.Interval { return []*report.Interval{p.Throughput, p.ServerMore} })
	const table = `
t1, 32 bytes
                       ×                               more
a                      -                                  -
b  ? 2.000 (2.000-2.000)  ? +1000.00 (+1000.00 to +1000.00)

Medians of up to 2 rounds`
	if text := b.String(); !strings.HasPrefix(text, table) {
		t.Errorf("%s", text)
	}
	for _, want := range []string{"\n? too few rounds", "s6 is left out: no reason.\n", "b under t1: one of b.\n", "Interrupted"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// emptyHistogram returns a histogram as results of a run have it.
func emptyHistogram(t *testing.T) string {
	t.Helper()
	b, err := hdrhistogram.New(64, int64(time.Minute), 3).Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
