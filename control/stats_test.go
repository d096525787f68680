package control_test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"credrpc/accessdb"
	"credrpc/client"
	"credrpc/control"
	"credrpc/server"
)

func own() uint32 { return uint32(os.Geteuid()) }

// allowing is an access check that refuses while it is false.
type allowing struct{ atomic.Bool }

func (a *allowing) Check(uint32, uint32) (accessdb.Result, error) {
	if a.Load() {
		return accessdb.Result{Decision: accessdb.Allow}, nil
	}
	return accessdb.Result{}, nil
}

// TestStats makes calls of every outcome that a caller can bring about, and looks for
// each in the answer.
func TestStats(t *testing.T) {
	var allow allowing
	p := start(t, new(control.Handler), &server.Server{Access: &allow, Loops: 2})
	if _, refusal := ask(t, &p.callers, "x"); refusal != "access denied" {
		t.Fatal(refusal)
	}
	allow.Store(true)
	for range 10 {
		ask(t, &p.callers, "hello")
	}
	ask(t, &p.callers, "fail")
	held, err := net.Dial("unix", p.callers.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	await(t, "all is counted", func() bool { // a caller has his answer before it is counted
		s := p.stats("stats")
		return s.Calls.InFlight == 1 && len(s.Users) == 1 && s.Users[0].Ended() == 12
	})
	s := p.stats("stats")
	c := s.Calls
	if c.Accepted != 13 || c.Answered != 10 || c.Failed != 1 || c.Refused["access"] != 1 || len(c.Refused) != 1 || c.RefusedTotal() != 1 || c.InFlight != 1 {
		t.Errorf("calls %+v", c)
	}
	u := s.Users[0]
	if *u.UID != own() || u.Answered != 10 || u.Failed != 1 || u.Refused != 1 || u.InFlight != 1 || u.Duration <= 0 || u.Mean != u.Duration/11 {
		t.Errorf("user %+v", u)
	}
	accepted := uint64(0)
	for _, l := range s.Loops {
		accepted += l.Accepted
	}
	if len(s.Loops) != 2 || accepted != 13 {
		t.Errorf("loops %+v", s.Loops)
	}
	l := s.Latency
	inBuckets := uint64(0)
	for _, b := range l.Buckets {
		inBuckets += b.Count
	}
	if l.Count < 11 || inBuckets != l.Count || l.P50 <= 0 || l.P50 > l.P90 || l.P90 > l.P99 || l.P99 > l.P999 || l.P999 > patience {
		t.Errorf("latency %+v", l)
	}
	if s.PID != os.Getpid() || s.Version == "" || s.Uptime <= 0 || time.Since(s.Time) > time.Minute || s.Rules != nil {
		t.Errorf("%+v", s)
	}
	if s.Process.Goroutines < 5 || s.Process.Heap == 0 || s.Process.Memory < s.Process.Heap || s.Process.CPU <= 0 {
		t.Errorf("process %+v", s.Process)
	}
	if s := p.stats("stats 0"); len(s.Users) != 0 {
		t.Errorf("users although none were asked for: %+v", s.Users)
	}
}

// TestStatsOfRules follows a file of rules.
func TestStatsOfRules(t *testing.T) {
	path := t.TempDir() + "/rules.cdb"
	rules := []accessdb.Rule{{Key: "uid/default", Decision: accessdb.Allow}, {Key: "uid/7", Decision: accessdb.Deny}}
	write := func(n int) {
		t.Helper()
		b, err := accessdb.Create(path, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		for _, rule := range rules[:n] {
			if err := b.Add(rule); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	write(1)
	db, err := accessdb.Open(path, accessdb.Options{PollInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	p := start(t, &control.Handler{Rules: db}, &server.Server{Access: db})
	if r := p.stats("stats").Rules; r == nil || r.Records != 1 || r.Generation != 1 || r.Age <= 0 || r.Age > time.Minute {
		t.Errorf("%+v", r)
	}
	write(2)
	if err := db.Reload(); err != nil {
		t.Fatal(err)
	}
	if r := p.stats("stats").Rules; r.Records != 2 || r.Generation != 2 || r.Failures != 0 {
		t.Errorf("%+v", r)
	}
}

// TestSockets has several main servers: all numbers are the sums of those of each.
func TestSockets(t *testing.T) {
	dir := t.TempDir()
	users, sockets := control.NewUsers(), make(map[string]*server.Server)
	h := &control.Handler{Users: users, Sockets: sockets, Drain: func() {}}
	echo := server.Plain(func(request []byte, _ server.Credentials) ([]byte, error) { return request, nil })
	for name, calls := range map[string]int{"a": 3, "b": 5} {
		path := filepath.Join(dir, name)
		sockets[path] = &server.Server{Handler: echo, Loops: 2, MaxRequest: 10, MeasureLatency: true, Ended: users.Ended}
		serve(t, sockets[path], path)
		c := client.Client{Path: path}
		for range calls {
			ask(t, &c, "hello")
		}
		if _, refusal := ask(t, &c, "hello, more than 10 bytes"); refusal == "" {
			t.Fatal("too large, and answered")
		}
		held, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer held.Close()
	}
	await(t, "all is counted", func() bool { // a caller has his answer before it is counted
		s := h.Stats(10)
		return s.Calls.InFlight == 2 && len(s.Users) == 1 && s.Users[0].Ended() == 10
	})
	s := h.Stats(10)
	if c := s.Calls; c.Accepted != 12 || c.Answered != 8 || c.Refused["too_large"] != 2 || c.BytesIn < 8*(4+5) || s.Latency.Count != 8 || s.Latency.P50 == 0 {
		t.Errorf("%+v, %d, %v", c, s.Latency.Count, s.Latency.P50)
	}
	if u := s.Users[0]; *u.UID != own() || u.Answered != 8 || u.InFlight != 2 {
		t.Errorf("%+v", u)
	}
	if len(s.Sockets) != 2 || len(s.Loops) != 4 {
		t.Fatalf("%+v, %+v", s.Sockets, s.Loops)
	}
	for i, calls := range []uint64{3, 5} {
		of, name := s.Sockets[i], filepath.Join(dir, string(rune('a'+i)))
		if of.Socket != name || of.Calls.Answered != calls || of.Calls.Refused["too_large"] != 1 || of.Calls.InFlight != 1 || of.Latency.Count != calls {
			t.Errorf("%+v", of)
		}
		if s.Loops[2*i].Socket != name || s.Loops[2*i].Answered+s.Loops[2*i+1].Answered != calls {
			t.Errorf("%+v", s.Loops)
		}
	}
	operators := client.Client{Path: filepath.Join(dir, "c")}
	serve(t, h.NewServer(), operators.Path)
	if answer, _ := ask(t, &operators, "drain"); !strings.Contains(answer, "the calls in flight, 2 now,") {
		t.Errorf("%q", answer)
	}
}

// TestStatsFields pins the names that programs read: none may change or go.
func TestStatsFields(t *testing.T) {
	text, err := json.Marshal(control.Stats{
		Rules: &control.Rules{Age: 1}, Loops: make([]control.Loop, 1), Users: make([]control.User, 1),
		Latency: control.Latency{Buckets: make([]control.Bucket, 1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	documented, err := os.ReadFile("../docs/CONTROL.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range fields("", value) {
		if !strings.Contains(string(documented), "`"+field+"`") {
			t.Errorf("docs/CONTROL.md does not have `%s`", field)
		}
	}
}

// fields lists the names in an answer, such as "calls.accepted" and "loops[].empty".
func fields(prefix string, value any) (list []string) {
	switch value := value.(type) {
	case map[string]any:
		for name, v := range value {
			list = append(list, fields(strings.TrimPrefix(prefix+"."+name, "."), v)...)
		}
		return list
	case []any:
		return fields(prefix+"[]", value[0])
	}
	return []string{prefix}
}
