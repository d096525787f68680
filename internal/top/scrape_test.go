package top

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"credrpc/client"
	"credrpc/control"
	"credrpc/metrics"
	"credrpc/server"
)

// serveHTTP serves h at a path.
func serveHTTP(t *testing.T, path string, h http.Handler) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
}

// TestBothWaysTellTheSame makes calls, good and refused ones, and asks both ways.
func TestBothWaysTellTheSame(t *testing.T) {
	callers, path, _ := pair(t)
	for i := range 20 {
		size := 10
		if i%4 == 0 {
			size = 1<<20 + 1 // too large
		}
		if _, err := callers.Call(t.Context(), make([]byte, size)); (err != nil) != (i%4 == 0) {
			t.Fatal(i, err)
		}
	}
	ask := func(o Options) *totals {
		t.Helper()
		got, err := o.source().ask(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	told, read := ask(Options{Path: path}), ask(Options{Metrics: "unix:" + path + "m"})
	if told.Calls.Answered != 15 || told.Calls.Refused["too_large"] != 5 || told.Latency.Count != 15 {
		t.Fatalf("the control socket tells %+v", told.Calls)
	}
	a, b := told.Calls, read.Calls
	if !maps.Equal(a.Refused, b.Refused) {
		t.Errorf("refused: %v, the metrics say %v", a.Refused, b.Refused)
	}
	a.Refused, b.Refused = nil, nil
	if a.Accepted != b.Accepted || a.Answered != b.Answered || a.Failed != b.Failed || a.BytesIn != b.BytesIn || a.BytesOut != b.BytesOut || a.InFlight != b.InFlight {
		t.Errorf("calls: %+v, the metrics say %+v", a, b)
	}
	if len(told.Loops) != len(read.Loops) {
		t.Fatalf("%d loops, the metrics say %d", len(told.Loops), len(read.Loops))
	}
	for i, l := range told.Loops {
		if l.Accepted != read.Loops[i].Accepted {
			t.Errorf("loop %d accepted %d, the metrics say %d", i, l.Accepted, read.Loops[i].Accepted)
		}
	}
	if told.Latency.Count != read.Latency.Count || told.Latency.Sum != read.Latency.Sum {
		t.Errorf("latency of %d, %v, the metrics say %d, %v", told.Latency.Count, told.Latency.Sum, read.Latency.Count, read.Latency.Sum)
	}
	below := func(l control.Latency, bound time.Duration) (n uint64) {
		for _, b := range l.Buckets {
			if b.Below <= bound {
				n += b.Count
			}
		}
		return n
	}
	for bound := time.Duration(1 << 13); bound <= 1<<35; bound *= 2 {
		if n, m := below(told.Latency, bound), below(read.Latency, bound); n != m {
			t.Errorf("%d calls took less than %v, the metrics say %d", n, bound, m)
		}
	}
	if age := told.Uptime - read.Uptime; age.Abs() > patience || read.Uptime <= 0 {
		t.Errorf("up %v, the metrics say %v", told.Uptime, read.Uptime)
	}
	if want := []string{"pid", "users"}; !slices.Equal(read.missing, want) || told.missing != nil {
		t.Errorf("missing are %v and %v, want %v", told.missing, read.missing, want)
	}
}

// TestSockets reads the metrics and the control socket of two servers in one process.
func TestSockets(t *testing.T) {
	dir := t.TempDir()
	echo := server.Plain(func(request []byte, _ server.Credentials) ([]byte, error) { return request, nil })
	both := make(map[string]*server.Server)
	for name, calls := range map[string]int{"a": 3, "b": 5} {
		path := filepath.Join(dir, name)
		both[path] = &server.Server{Handler: echo, Loops: 1, MaxRequest: 10}
		serve(t, both[path], path)
		c := client.Client{Path: path}
		for range calls {
			if _, err := c.Call(t.Context(), []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Call(t.Context(), make([]byte, 11)); err == nil {
			t.Fatal("too large, and answered")
		}
	}
	operators := filepath.Join(dir, "c")
	serve(t, (&control.Handler{Sockets: both}).NewServer(), operators)
	serveHTTP(t, filepath.Join(dir, "m"), metrics.NewHandler(metrics.Sources{Sockets: both}))
	for _, o := range []Options{{Path: operators}, {Metrics: "unix:" + filepath.Join(dir, "m")}} {
		now, err := o.source().ask(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := between(&totals{}, now)
		want := []Socket{{Socket: filepath.Join(dir, "a"), Calls: 4, Refused: 1}, {Socket: filepath.Join(dir, "b"), Calls: 6, Refused: 1}}
		if i.Calls != 10 || i.Answered != 8 || i.Refused["too_large"] != 2 || !slices.Equal(i.Sockets, want) {
			t.Errorf("%s: %+v, want %+v", o.place(), i, want)
		}
		if len(i.Loops) != 2 || i.Loops[0].Calls != 4 || i.Loops[0].Socket != want[0].Socket || i.Loops[1].Calls != 6 {
			t.Errorf("%s: %+v", o.place(), i.Loops)
		}
		i.Length = time.Second // by which rates are made
		if row := testModel(i).sockets(); row[0] != "sockets    "+want[0].Socket+": 4.00/s 40%" || row[1] != want[1].Socket+": 6.00/s 60%" {
			t.Errorf("%s: %q", o.place(), row)
		}
	}
}

// least are metrics that are enough.
const least = "credrpc_uptime_seconds 1\ncredrpc_connections_accepted_total 3\ncredrpc_calls_total{outcome=\"answered\"} 3\n"

// TestScrapeHostile reads what servers can answer that are none of ours, and comes back.
func TestScrapeHostile(t *testing.T) {
	dir, err := os.MkdirTemp("", "credrpc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	const none = "the answer is no metrics of credrpc; is it where credrpc serve --metrics serves them?"
	followed := new(atomic.Bool)
	stall := make(chan struct{})
	t.Cleanup(func() { close(stall) })
	text := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(text)) }
	}
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"enough":        {text(least), ""},
		"nothing":       {text(""), none},
		"others":        {text("go_goroutines 4\n"), none},
		"no metrics":    {text("<html>\x1b[2J"), none},
		"not a number":  {text(least + "credrpc_calls_in_flight NaN\n"), none},
		"negative":      {text(least + "credrpc_calls_in_flight -1\n"), none},
		"too much":      {text(least + "credrpc_calls_in_flight 1e300\n"), none},
		"infinite":      {text(least + "# TYPE credrpc_call_duration_seconds histogram\ncredrpc_call_duration_seconds_sum +Inf\n"), none},
		"an odd reason": {text(least + "credrpc_calls_refused_total{reason=\"\x1b[2J\"} 1\n"), none},
		"an odd socket": {text(least + "credrpc_connections_accepted_total{socket=\"\x1b[2J\"} 1\n"), none},
		"buckets that sink": {text(least + "# TYPE credrpc_call_duration_seconds histogram\ncredrpc_call_duration_seconds_bucket{le=\"1\"} 5\n" +
			"credrpc_call_duration_seconds_bucket{le=\"2\"} 3\ncredrpc_call_duration_seconds_sum 1\ncredrpc_call_duration_seconds_count 1\n"), ""},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for line := []byte(strings.Repeat("# x\n", 1024)); ; {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}, "the answer has more than 4194304 bytes"},
		"silent": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-stall:
			case <-r.Context().Done():
			}
		}, context.DeadlineExceeded.Error()},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/metrics" {
				followed.Store(true)
			}
			http.Redirect(w, r, "/other", http.StatusFound)
		}, "the server answers with status 302, want 200"},
		"busy": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, "the server answers with status 503, want 200"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, strings.ReplaceAll(name, " ", ""))
			serveHTTP(t, path, tt.handler)
			limit := patience
			if name == "silent" {
				limit = 100 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			_, err := newScraper("unix:" + path).ask(ctx)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "unix:"+path+": ") || !strings.HasSuffix(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if name == "silent" && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
		})
	}
	if followed.Load() {
		t.Error("a redirect was followed")
	}
}
