package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"credrpc/accessdb"
	"credrpc/client"
	"credrpc/frame"
	"credrpc/server"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call makes a call, and returns the error that was answered.
func (w *watched) call(t *testing.T, request string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := client.Client{Path: w.path}
	_, err := c.Call(ctx, []byte(request))
	var remote *client.RemoteError
	if err != nil && !errors.As(err, &remote) {
		t.Fatal(err)
	}
	return err
}

// TestExact sends calls and compares every number with what was sent.
func TestExact(t *testing.T) {
	w := watch(t)
	const answered, failed, denied, truncated = 100, 7, 5, 3
	for range answered {
		if err := w.call(t, "hello"); err != nil {
			t.Fatal(err)
		}
	}
	for range failed {
		if w.call(t, "fail") == nil {
			t.Fatal("no error")
		}
	}
	for range truncated {
		w.truncated(t)
	}
	w.allow(t, accessdb.Deny)
	if err := w.Rules.Reload(); err != nil {
		t.Fatal(err)
	}
	for range denied {
		if w.call(t, "hello") == nil {
			t.Fatal("allowed")
		}
	}
	if err := errors.Join(os.Remove(w.rules), os.Mkdir(w.rules, 0o700)); err != nil {
		t.Fatal(err)
	}
	if w.Rules.Reload() == nil {
		t.Fatal("a directory is loaded")
	}
	w.settle(t, answered+failed+denied+truncated)

	all := w.samples(t)
	errorFrame := func(text string) float64 { return float64(len(frame.AppendError(nil, text))) }
	want := map[string]float64{
		"connections_accepted_total":                 answered + failed + denied + truncated,
		`calls_total{outcome="answered"}`:            answered,
		`calls_total{outcome="failed"}`:              failed,
		`calls_total{outcome="dropped"}`:             0,
		`calls_total{outcome="refused"}`:             denied + truncated,
		`calls_total{outcome="empty"}`:               0,
		"calls_in_flight":                            0,
		"calls_delayed_total":                        0,
		"call_timeouts_total":                        0,
		"handler_panics_total":                       0,
		"accept_pauses_total":                        0,
		`call_duration_seconds_bucket{le="+Inf"}`:    answered + failed,
		"call_duration_seconds_count":                answered + failed,
		"received_bytes_total":                       answered*(4+5) + failed*(4+4) + truncated*(4+1),
		"sent_bytes_total":                           answered*(8+5) + failed*errorFrame("as told") + denied*errorFrame("access denied") + truncated*errorFrame("the request is cut short"),
		"rules":                                      1,
		"rules_generation":                           2,
		"rules_reload_failures_total":                1,
		"rules_check_errors_total":                   0,
		"audit_records_total":                        denied + truncated,
		`audit_records_dropped_total{cause="rate"}`:  0,
		`audit_records_dropped_total{cause="queue"}`: 0,
		`audit_records_dropped_total{cause="sink"}`:  0,
	}
	for _, reason := range server.Reasons() {
		want[fmt.Sprintf("calls_refused_total{reason=%q}", reason)] = 0
	}
	want[`calls_refused_total{reason="access"}`] = denied
	want[`calls_refused_total{reason="truncated"}`] = truncated
	for series, n := range want {
		if got, there := all[prefix+series]; !there || got != n {
			t.Errorf("%s is %v (%v), want %v", series, got, there, n)
		}
	}
	accepted := 0.0
	for i := range server.DefaultLoops() {
		accepted += all[fmt.Sprintf("credrpc_loop_connections_accepted_total{loop=\"%d\"}", i)]
	}
	if accepted != want["connections_accepted_total"] {
		t.Errorf("the loops accepted %v", accepted)
	}
	if up := all["credrpc_uptime_seconds"]; up <= 0 || up > patience.Seconds() {
		t.Errorf("up %v s", up)
	}
	if age := time.Since(time.UnixMilli(int64(all["credrpc_rules_loaded_timestamp_seconds"] * 1000))); age < 0 || age > patience {
		t.Errorf("the rules are %v old", age)
	}
	if sum := all["credrpc_call_duration_seconds_sum"]; sum <= 0 || sum > patience.Seconds() {
		t.Errorf("the calls took %v s", sum)
	}
}

// truncated begins a request of two bytes, and sends no more than one.
func (w *watched) truncated(t *testing.T) {
	t.Helper()
	c, err := net.Dial("unix", w.path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write([]byte("\x00\x00\x00\x02a")); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := new(bytes.Buffer).ReadFrom(c); err != nil {
		t.Fatal(err)
	}
}

// settle waits until the server has ended n calls and written what it has of them.
func (w *watched) settle(t *testing.T, n uint64) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s, ended := w.Server.Stats(), uint64(0)
		for _, l := range s.Loops {
			ended += l.Answered + l.Failed + l.Refused + l.Empty + l.Dropped
		}
		refused := uint64(0)
		for _, of := range s.Refused {
			refused += of
		}
		if ended == n && s.InFlight == 0 && w.Audit.Stats().Written == refused {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d calls: %+v", n, s)
		}
	}
}

// TestTable compares docs/METRICS.md with what is exported: names, types, labels, help.
func TestTable(t *testing.T) {
	w := watch(t)
	w.call(t, "hello")
	_, text := w.get(t, http.MethodGet, "/metrics")
	var table strings.Builder
	table.WriteString("| metric | type | labels | |\n| --- | --- | --- | --- |\n")
	for _, f := range families() {
		labels := ""
		for _, label := range f.labels {
			labels += " `" + label + "`"
		}
		fmt.Fprintf(&table, "| `%s%s` | %s |%s | %s |\n", prefix, f.name, f.kind, labels, f.help)
		if head := fmt.Sprintf("# HELP %s%s %s\n# TYPE %[1]s%[2]s %[4]s\n%[1]s%[2]s", prefix, f.name, f.help, f.kind); !strings.Contains(text, head) {
			t.Errorf("not exported: %s", head)
		}
	}
	for line := range strings.Lines(text) {
		name, ok := strings.CutPrefix(line, "# TYPE "+prefix)
		name, _, _ = strings.Cut(name, " ")
		if ok && !slices.ContainsFunc(families(), func(f family) bool { return f.name == name }) {
			t.Errorf("not in the table: %s", name)
		}
	}
	document, err := os.ReadFile("../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(document), "\n"+table.String()+"\n") {
		t.Errorf("docs/METRICS.md lacks the table\n%s", &table)
	}
	for _, reason := range server.Reasons() {
		if !strings.Contains(string(document), "`"+reason.String()+"`") {
			t.Errorf("docs/METRICS.md does not name the reason %v", reason)
		}
	}
}

// TestSockets has two servers in one process: their series differ by the socket, which is
// the label of all that a server counts and of nothing else.
func TestSockets(t *testing.T) {
	w := watch(t)
	w.call(t, "hello")
	w.settle(t, 1)
	both := watched{Sources: Sources{Sockets: map[string]*server.Server{"/run/a": w.Server, "/run/b": {}}, Rules: w.Rules, Audit: w.Audit}}
	both.serve(t, w.path+"2")
	all := both.samples(t)
	for series, want := range map[string]float64{
		`credrpc_connections_accepted_total{socket="/run/a"}`:             1,
		`credrpc_connections_accepted_total{socket="/run/b"}`:             0,
		`credrpc_calls_total{outcome="answered",socket="/run/a"}`:         1,
		`credrpc_calls_refused_total{reason="access",socket="/run/b"}`:    0,
		`credrpc_call_duration_seconds_count{socket="/run/a"}`:            1,
		`credrpc_call_duration_seconds_bucket{socket="/run/b",le="+Inf"}`: 0,
		`credrpc_rules`:               1,
		`credrpc_audit_records_total`: 0,
	} {
		if got, there := all[series]; !there || got != want {
			t.Errorf("%s is %v (%v), want %v", series, got, there, want)
		}
	}
	process := make(map[string]bool)
	for _, f := range processFamilies() {
		process[prefix+f.name] = true
	}
	for series := range all {
		name, labels, _ := strings.Cut(series, "{")
		if strings.HasPrefix(name, prefix) && strings.Contains(labels, `socket="`) == process[name] {
			t.Errorf("%s", series)
		}
	}
}

// findPromtool returns Prometheus's own tool.
func findPromtool(t *testing.T) string {
	t.Helper()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatal(err)
		}
		t.Skip("promtool, of the Debian package prometheus, is not installed")
	}
	return promtool
}

// TestPromtool has it look at the names and the format.
func TestPromtool(t *testing.T) {
	promtool := findPromtool(t)
	w := watch(t)
	w.call(t, "hello")
	_, text := w.get(t, http.MethodGet, "/metrics")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

// TestHTTP has requests for something else.
func TestHTTP(t *testing.T) {
	w := watch(t)
	for _, tt := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/metrics", 200}, {"HEAD", "/metrics", 200}, {"GET", "/metrics?x=y", 200},
		{"POST", "/metrics", 405}, {"DELETE", "/metrics", 405}, {"GET", "/", 404}, {"GET", "/metrics/", 404}, {"GET", "/debug/pprof/", 404},
	} {
		if status, _ := w.get(t, tt.method, tt.path); status != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, status, tt.want)
		}
	}
}

// TestLatencyIsAskedFor checks that a server that does not measure has no observations,
// and that one which has not begun has metrics.
func TestLatencyIsAskedFor(t *testing.T) {
	buckets, count := cumulative(server.Latency{})
	if count != 0 || len(buckets) != 45 {
		t.Errorf("%d calls in %d buckets", count, len(buckets))
	}
	for bound, n := range buckets {
		if n != 0 || bound < 8e-6 || bound > 35 {
			t.Errorf("%v: %d", bound, n)
		}
	}
	w := &watched{Sources: Sources{Server: new(server.Server)}}
	w.serve(t, t.TempDir()+"/m")
	all := w.samples(t)
	if n, there := all[`credrpc_calls_refused_total{reason="access"}`]; !there || n != 0 {
		t.Errorf("a server that does not serve: %v", all)
	}
	if _, there := all["credrpc_rules"]; there {
		t.Error("there are rules")
	}
}

// TestCumulative compares the counts with those of the server's own buckets.
func TestCumulative(t *testing.T) {
	w := watch(t)
	for range 50 {
		w.call(t, "hello")
	}
	l := w.Server.Stats().Latency
	buckets, count := cumulative(l)
	if count != l.Count() {
		t.Errorf("%d of %d calls", count, l.Count())
	}
	for bound, n := range buckets {
		exact := uint64(0)
		for end, in := range l.Buckets() {
			if end <= time.Duration(bound*1e9+0.5) {
				exact += in
			}
		}
		if n != exact {
			t.Errorf("up to %v s: %d, want %d", bound, n, exact)
		}
	}
}

// TestImports checks that no package of the core depends on this one or on Prometheus.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "credrpc/server", "credrpc/client", "credrpc/accessdb", "credrpc/sandbox", "credrpc/frame").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("credrpc/server\n")) {
		t.Fatalf("%v: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		for _, foreign := range []string{"prometheus", "go-systemd", "credrpc/metrics", "credrpc/audit"} {
			if strings.Contains(line, foreign) {
				t.Errorf("the core depends on %s", line)
			}
		}
	}
}
