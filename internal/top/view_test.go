package top

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"credrpc/control"
)

func uid(n uint32) *uint32 { return &n }

// busy returns two answers, two seconds apart, in between which 1000 calls were
// accepted.
func busy() (earlier, now *totals) {
	begin := time.Date(2026, 5, 4, 12, 0, 0, 0, time.Local)
	earlier = &totals{Stats: control.Stats{PID: 42, Time: begin, Uptime: time.Hour, Version: "v1",
		Calls:   control.Calls{Accepted: 500, Answered: 500, Refused: map[string]uint64{"rate": 3}},
		Loops:   []control.Loop{{Accepted: 500}, {Resting: true}},
		Latency: control.Latency{Count: 500, Buckets: []control.Bucket{{Below: 10000, Count: 500}}},
		Users:   []control.User{{UID: uid(1000), Since: begin, Answered: 400, Duration: 4000000}, {UID: uid(7), Since: begin, Answered: 100}},
	}}
	now = &totals{Stats: control.Stats{PID: 42, Time: begin.Add(2 * time.Second), Uptime: time.Hour + 2*time.Second, Version: "v1",
		Calls: control.Calls{Accepted: 1500, Answered: 1400, Failed: 20, Dropped: 5, Empty: 5, Delayed: 4, Panics: 2, InFlight: 12, BytesIn: 40960, BytesOut: 1 << 20,
			Refused: map[string]uint64{"rate": 63, "access": 10}},
		Loops:   []control.Loop{{Accepted: 1250}, {Accepted: 250}},
		Latency: control.Latency{Count: 1900, Sum: 16800000, Buckets: []control.Bucket{{Below: 10000, Count: 950}, {Below: 2000000, Count: 950}}},
		Users: []control.User{
			{UID: uid(1000), Since: begin, Answered: 1000, Refused: 60, Duration: 16000000, Mean: 16000, InFlight: 2},
			{UID: uid(7), Since: begin.Add(time.Second), Answered: 120}, // its place was taken in between
			{UID: nil, Since: begin, Refused: 3},
			{UID: uid(4294967294), Since: begin.Add(2 * time.Second), InFlight: 10, Bytes: 4096},
		},
		Rules:   &control.Rules{Records: 12, Generation: 3, Age: 90 * time.Minute},
		Process: control.Process{CPU: time.Second, Heap: 3 << 20, Goroutines: 14},
	}}
	return earlier, now
}

func testModel(i *Interval) *model {
	return &model{place: "/run/hello/control", every: time.Second, interval: i, name: func(uid *uint32) string {
		if uid != nil && *uid == 1000 {
			return "alice"
		}
		return ""
	}}
}

// TestBetween counts what came between two answers.
func TestBetween(t *testing.T) {
	i := between(busy())
	if i.Length != 2*time.Second || i.Calls != 1000 || i.CallsPerSecond != 500 || i.Answered != 900 || i.Failed != 20 || i.refused() != 70 || i.Refused["rate"] != 60 || i.InFlight != 12 || i.CPU != time.Second || i.Restarted {
		t.Errorf("%+v", i)
	}
	if l := i.Latency; l.Count != 1400 || l.Sum != 16800000 || l.P50 != 2*time.Millisecond || l.P99 != 2*time.Millisecond {
		t.Errorf("%+v", l)
	}
	if len(i.Loops) != 2 || i.Loops[0].Calls != 750 || i.Loops[1].Calls != 250 {
		t.Errorf("%+v", i.Loops)
	}
	want := []User{
		{UID: uid(1000), Calls: 660, Refused: 60, Mean: 20 * time.Microsecond, InFlight: 2, Total: 1060},
		{UID: uid(7), Calls: 120, Total: 120},
		{Calls: 3, Refused: 3, Total: 3},
		{UID: uid(4294967294), InFlight: 10, Bytes: 4096},
	}
	for k, u := range i.Users {
		w := want[k]
		if uidOf(u.UID) != uidOf(w.UID) || u.Calls != w.Calls || u.Refused != w.Refused || u.Mean != w.Mean || u.InFlight != w.InFlight || u.Bytes != w.Bytes || u.Total != w.Total {
			t.Errorf("%+v, want %+v", u, w)
		}
	}
}

// TestRestarted begins anew with another process, and never goes below zero.
func TestRestarted(t *testing.T) {
	for _, pid := range []int{43, 42} { // another one, or the same number again
		earlier, now := busy()
		earlier.PID, earlier.Uptime = 42, 8*time.Second
		now.PID, now.Uptime = pid, 4*time.Second
		i := between(earlier, now)
		if !i.Restarted || i.Calls != 1500 || i.Length != 4*time.Second || i.CallsPerSecond != 375 {
			t.Errorf("pid %d: %+v", pid, i)
		}
	}
}

// TestRestartedMetrics finds a new server by what metrics have: its uptime, and the time
// that has passed where they are read, at least from an answer to the next question.
func TestRestartedMetrics(t *testing.T) {
	for name, tt := range map[string]struct {
		uptime, away time.Duration // an hour before
		want         bool
	}{
		"it has gone on":                             {time.Hour + 2*time.Second, 2 * time.Second, false},
		"the answer before was late":                 {time.Hour + 2*time.Second, time.Second, false},
		"it began a second ago":                      {time.Second, 2 * time.Second, true},
		"it began, and is older than the one before": {2 * time.Hour, 3 * time.Hour, true},
	} {
		earlier, now := busy()
		earlier.PID, now.PID = 0, 0
		now.Uptime, now.asked, now.Time = tt.uptime, earlier.Time.Add(tt.away), earlier.Time.Add(tt.away+time.Minute)
		i := between(earlier, now)
		calls, length := uint64(1000), tt.uptime-time.Hour
		if tt.want {
			calls, length = 1500, tt.uptime
		}
		if i.Restarted != tt.want || i.Length != length || i.Calls != calls {
			t.Errorf("%s: %v, %v, %d calls", name, i.Restarted, i.Length, i.Calls)
		}
	}
}

const wide = ` credrpc top  /run/hello/control                      pid 42  up 1h0m  12:00:02 
calls/s    500.0  total 1500  answered 450.0  failed 10.0  dropped 2.50
latency    p50 2.00ms  p99 2.00ms  p99.9 2.00ms  mean 12.0µs
refused/s  35.0  rate 30.0  access 5.00
in flight  12  delayed/s 2.00  timeouts/s 0  panics/s 1.00
loops      0: 375.0/s 75%  1: 125.0/s 25%
cpu        50%  heap 3.00 MiB  in/s 20 KiB  out/s 512 KiB  rules 12, 1h30m old

       UID USER           CALLS/S REFUSED/S IN FLIGHT     MEAN      TOTAL
      1000 alice            330.0      30.0         2   20.0µs       1060
         7                   60.0         0         0      0ns        120
         ?                   1.50      1.50         0        -          3
4294967294                      0         0        10        -          0
`

// TestView draws the usual screen, character for character.
func TestView(t *testing.T) {
	m := testModel(between(busy()))
	var text strings.Builder
	for _, r := range m.view(80, 24)[:13] {
		text.WriteString(r.text + "\n")
	}
	if text.String() != wide {
		t.Errorf("got\n%s\nwant\n%s", text.String(), wide)
	}
}

// TestViewFits draws every size up to a large one, in each state, within the terminal.
func TestViewFits(t *testing.T) {
	states := map[string]*model{"first": testModel(nil), "busy": testModel(between(busy()))}
	states["gone"] = testModel(between(busy()))
	states["gone"].failure = "client: connect /run/hello/control: no such file or directory"
	states["metrics"] = testModel(between(busy()))
	states["metrics"].interval.Missing = []string{"pid", "users"}
	states["sockets"] = testModel(between(busy()))
	states["sockets"].interval.Sockets = []Socket{{Socket: "/run/a", Calls: 600}, {Socket: "/run/b", Calls: 400}}
	states["paused"] = testModel(between(busy()))
	states["paused"].paused = true
	for name, m := range states {
		for width := 0; width < 130; width += 1 + width/40 {
			for height := range 20 {
				rows := m.view(width, height)
				if width > 0 && len(rows) != height || width == 0 && rows != nil {
					t.Fatalf("%s, %dx%d: %d rows", name, width, height, len(rows))
				}
				for _, r := range rows {
					if n := utf8.RuneCountInString(r.text); n > width || r.reverse && n != width {
						t.Fatalf("%s, %dx%d: %q has %d characters", name, width, height, r.text, n)
					}
				}
			}
		}
	}
}

// TestViewMissing shows dashes for what metrics do not tell, and no number.
func TestViewMissing(t *testing.T) {
	earlier, now := busy()
	now.missing = []string{"pid", "users", "cpu_ns", "process.cpu_ns", "process.heap_bytes"}
	now.PID, earlier.PID = 0, 0
	m := testModel(between(earlier, now))
	var text strings.Builder
	for _, r := range m.view(80, 24) {
		text.WriteString(r.text + "\n")
	}
	for _, want := range []string{"control                              up 1h0m  12:00:02 \n", "cpu        -  heap -  in/s 20 KiB", "users      metrics do not say who calls", "q quit   p pause   every 1s\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing in\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "UID") || strings.Contains(text.String(), "pid") {
		t.Errorf("there is what is not known in\n%s", text.String())
	}
}

// TestViewSmall keeps what matters most.
func TestViewSmall(t *testing.T) {
	m := testModel(between(busy()))
	var text strings.Builder
	for _, r := range m.view(40, 10) {
		text.WriteString(r.text + "\n")
	}
	for _, want := range []string{"up 1h0m  12:00:02", "calls/s    500.0", "p99 2.00ms", "refused/s  35.0", "in flight  12", "UID USER", "1000 alice", " q quit   p pause"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing in\n%s", want, text.String())
		}
	}
	if rows := m.view(20, 4); !strings.HasPrefix(rows[1].text, "calls/s    500.0") || !strings.HasPrefix(rows[2].text, "latency") {
		t.Errorf("4 rows: %+v", rows)
	}
	m.failure, m.since = "gone", time.Date(2026, 5, 4, 12, 0, 3, 0, time.Local)
	rows := m.view(80, 10)
	if last := rows[9]; !strings.HasPrefix(last.text, " no answer since 12:00:03, trying again: gone") || !last.reverse {
		t.Errorf("%+v", last)
	}
}

// TestOrders sorts by each column.
func TestOrders(t *testing.T) {
	list := []User{{UID: uid(3), Calls: 1, Refused: 1, InFlight: 2, Mean: 5}, {UID: uid(2), Calls: 2, Mean: 9}, {UID: uid(1), Calls: 1, InFlight: 3, Mean: 1}}
	for o, want := range []string{"213", "321", "132", "231", "123"} {
		sortUsers(list, order(o))
		got := ""
		for _, u := range list {
			got += string('0' + rune(*u.UID))
		}
		if got != want {
			t.Errorf("by %v: %s, want %s", order(o), got, want)
		}
	}
}

// TestTexts writes numbers as people read them.
func TestTexts(t *testing.T) {
	for got, want := range map[string]string{
		durationText(0, 0): "-", durationText(999, 1): "999ns", durationText(45678, 1): "45.7µs", durationText(1234567, 1): "1.23ms",
		durationText(30*time.Second, 1): "30.0s", durationText(300*time.Second, 1): "300s",
		rateText(0): "0", rateText(0.5): "0.50", rateText(498.04): "498.0", rateText(81234.6): "81235",
		sizeText(999): "999 B", sizeText(1 << 20): "1.00 MiB", sizeText(55 * (1 << 40)): "55 TiB", sizeText(5000 * (1 << 40)): "5000 TiB",
		ageText(59 * time.Second): "59s", ageText(3700 * time.Second): "1h1m", ageText(50 * time.Hour): "2d2h",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
