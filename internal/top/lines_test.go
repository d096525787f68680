package top

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"credrpc/client"
	"credrpc/control"
	"credrpc/metrics"
	"credrpc/server"

	"go.uber.org/goleak"
)

// TestMain fails if a test leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test that is about to fail.
const patience = 20 * time.Second

// serve serves srv at path until stop is called.
func serve(t *testing.T, srv *server.Server, path string) (stop func()) {
	t.Helper()
	ready, served := make(chan struct{}), make(chan error, 1)
	srv.Ready = func() { close(ready) }
	go func() { served <- srv.ListenAndServe(path) }()
	select {
	case <-ready:
	case err := <-served:
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		<-served
	})
	t.Cleanup(stop)
	return stop
}

// pair serves an echo, its control socket, and its metrics at that path and "m".
func pair(t *testing.T) (callers *client.Client, path string, stop func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "credrpc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	users := control.NewUsers()
	main := &server.Server{MeasureLatency: true, Ended: users.Ended, Handler: server.Plain(func(request []byte, _ server.Credentials) ([]byte, error) {
		return request, nil
	})}
	operator := (&control.Handler{Server: main, Users: users}).NewServer()
	serve(t, main, filepath.Join(dir, "s"))
	serveHTTP(t, filepath.Join(dir, "cm"), metrics.NewHandler(metrics.Sources{Server: main}))
	return &client.Client{Path: filepath.Join(dir, "s")}, filepath.Join(dir, "c"), serve(t, operator, filepath.Join(dir, "c"))
}

// A pipe passes lines on, and calls a function after each.
type pipe struct {
	text  bytes.Buffer
	after func()
}

func (p *pipe) Write(b []byte) (int, error) {
	defer p.after()
	return p.text.Write(b)
}

// TestLinesEqualTheLoad makes calls between lines and adds up what these say, as text
// and as JSON.
func TestLinesEqualTheLoad(t *testing.T) {
	const calls, lines = 50, 4
	for way := range 4 {
		inJSON, ofMetrics := way&1 > 0, way&2 > 0
		callers, path, _ := pair(t)
		written := 0
		out := &pipe{after: func() {
			if written++; written < lines { // nothing after the last line
				for range calls {
					if _, err := callers.Call(t.Context(), []byte("x")); err != nil {
						t.Error(err)
					}
				}
			}
		}}
		o := Options{Path: path, Interval: 100 * time.Millisecond, Count: lines, Users: 10, JSON: inJSON}
		if ofMetrics {
			o.Path, o.Metrics = "", "unix:"+path+"m"
		}
		if err := Lines(t.Context(), out, o); err != nil {
			t.Fatal(err)
		}
		sum, text := uint64(0), out.text.String()
		if inJSON {
			sum = sumJSON(t, text)
		} else {
			if !strings.HasPrefix(text, lineHead) {
				t.Errorf("no head: %q", text)
			}
			for line := range strings.Lines(strings.TrimPrefix(text, lineHead)) {
				n, err := strconv.ParseUint(strings.Fields(line)[1], 10, 64)
				if err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				sum += n
			}
		}
		if want := uint64(calls * (lines - 1)); sum != want {
			t.Errorf("JSON %v, metrics %v: the lines say %d calls, %d were made:\n%s", inJSON, ofMetrics, sum, want, text)
		}
	}
}

// sumJSON adds up the calls of lines of JSON, each of which has to agree with itself.
func sumJSON(t *testing.T, text string) (sum uint64) {
	t.Helper()
	users := uint64(0)
	for line := range strings.Lines(text) {
		var i Interval
		if err := json.Unmarshal([]byte(line), &i); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		sum += i.Calls
		if rate := float64(i.Calls) / i.Length.Seconds(); i.CallsPerSecond != rate {
			t.Errorf("%v calls a second, want %v", i.CallsPerSecond, rate)
		}
		if known := !slices.Contains(i.Missing, "users"); known != strings.Contains(line, `"users":`) || known != strings.Contains(line, `"pid":`) {
			t.Errorf("of what is missing there is something in %s", line)
		} else if !known {
			users = math.MaxUint64
		}
		byLoop := uint64(0)
		for _, l := range i.Loops {
			byLoop += l.Calls
		}
		if byLoop != i.Calls {
			t.Errorf("%d calls of loops, %d of all", byLoop, i.Calls)
		}
		for _, u := range i.Users {
			users += u.Calls
			if *u.UID != uint32(os.Geteuid()) || u.Name == "" && *u.UID == 0 {
				t.Errorf("%+v", u)
			}
		}
	}
	// A caller has the last answer before it is counted for his user.
	if users < sum-1 {
		t.Errorf("%d calls of users, %d of all", users, sum)
	}
	return sum
}

// TestLinesEnd ends with the server, and says so.
func TestLinesEnd(t *testing.T) {
	_, path, stop := pair(t)
	out := &pipe{after: stop}
	err := Lines(t.Context(), out, Options{Path: path, Interval: 100 * time.Millisecond})
	if err == nil || !strings.HasPrefix(err.Error(), "the server has ended, or answers no more: client: connect ") || !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("it ends with %v", err)
	}
}

// TestNoControlSocket says what is wrong with the path, and shows nothing that commands a
// terminal.
func TestNoControlSocket(t *testing.T) {
	callers, path, _ := pair(t)
	hostile := &server.Server{Handler: server.Plain(func([]byte, server.Credentials) ([]byte, error) {
		return []byte(`{"pid":1,"calls":{"refused":{"\u001b[2J":1}}}`), nil
	})}
	serve(t, hostile, path+"h")
	const none = "the answer is no statistics; is it the control socket (credrpc serve --control)?"
	for where, want := range map[string]string{
		callers.Path:  none,
		path + "h":    none,
		path + "none": "no such file or directory",
	} {
		if err := Lines(t.Context(), &pipe{after: func() {}}, Options{Path: where, Interval: time.Second}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", where, err, want)
		}
	}
}

// TestIntervalFields pins the names that programs read: each is documented.
func TestIntervalFields(t *testing.T) {
	text, err := json.Marshal(Interval{Restarted: true, Missing: make([]string, 1), Rules: new(control.Rules), Loops: []Loop{{Socket: "x"}}, Sockets: make([]Socket, 1), Users: []User{{Name: "x"}}})
	if err != nil {
		t.Fatal(err)
	}
	documented, err := os.ReadFile("../../docs/CONTROL.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(documented), "## credrpc top")
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for name, value := range all {
		names := []string{name}
		if list, ok := value.([]any); ok && name != "missing" {
			names = nil
			for inner := range list[0].(map[string]any) {
				names = append(names, name+"[]."+inner)
			}
		}
		for _, name := range names {
			if !strings.Contains(section, "`"+name+"`") {
				t.Errorf("docs/CONTROL.md does not have `%s`", name)
			}
		}
	}
}

// TestCore keeps what draws on terminals out of services.
func TestCore(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "credrpc/control", "credrpc/server", "credrpc/client").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "credrpc/accessdb\n") || strings.Contains(string(out), "tcell") {
		t.Errorf("they import %s", out)
	}
}
