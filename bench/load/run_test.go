package load

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"credrpc/internal/leak"

	"golang.org/x/sys/unix"
)

// childVariable holds the configuration of a load generator: the test program
// becomes one where it is set, since a load generator needs its own process.
const childVariable = "CREDRPC_LOAD_TEST_CONFIG"

func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv(childVariable); ok {
		os.Exit(child(text))
	}
	if os.Getenv(partVariable) == "1" {
		if err := ServePart(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(leak.Run(m))
}

func child(text string) int {
	var c Config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		panic(err)
	}
	r, err := Run(c)
	if err != nil {
		panic(err)
	}
	json.NewEncoder(os.Stdout).Encode(r)
	return 0
}

// TestIdentify has a server that says who called, and one that says somebody else.
func TestIdentify(t *testing.T) {
	var echo Echo
	var said atomic.Uint32
	said.Store(uint32(os.Geteuid()))
	path := serve(t, func(request []byte) [][]byte {
		answer := echo.Append(make([]byte, 2*headerSize), request[headerSize:], said.Load(), uint32(os.Getegid()))
		binary.BigEndian.PutUint32(answer[headerSize:], uint32(len(answer)-2*headerSize))
		return [][]byte{answer}
	})
	c := Config{Path: path, Load: Load{Batch: 1, Callers: 2}, Sizes: Sizes{{Request: Range{21, 50}, Answer: &Range{21, 300_000}, Weight: 1}, {Request: Range{21, 100_000}, Weight: 1}},
		Duration: 20 * time.Millisecond, Identify: true}
	if r := generate(t, c); r.Calls == 0 || r.Errors() > 0 {
		t.Errorf("%+v", r.Group)
	}
	said.Add(1)
	if r := generate(t, c); r.Calls > 0 || r.Mistaken == 0 || r.Mistaken != r.Wrong || r.FirstError != "the answer is for somebody else" {
		t.Errorf("another user: %+v", r.Group)
	}
}

// generate runs a load generator in a process of its own.
func generate(t *testing.T, c Config) *Result {
	t.Helper()
	config, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+string(config), "GODEBUG="+Setting, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var r Result
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

// serve starts a server that answers each request frame with what answer says,
// in the pieces that it returns, and returns its path.
func serve(t *testing.T, answer func(request []byte) [][]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(time.Minute))
				head := make([]byte, headerSize)
				if _, err := io.ReadFull(conn, head); err != nil {
					return
				}
				body := make([]byte, binary.BigEndian.Uint32(head))
				if _, err := io.ReadFull(conn, body); err != nil {
					return
				}
				for _, piece := range answer(append(head, body...)) {
					conn.Write(piece)
				}
			}()
		}
	}()
	return path
}

// right is the answer that is expected.
func right(request []byte) []byte { return append([]byte{0, 0, 0, 0}, request...) }

// short is a run that is long enough to make some calls.
func short(path string, l Load) Config {
	return Config{Path: path, Load: l, Payload: 32, Duration: 20 * time.Millisecond}
}

// TestKnownLatency measures a server that takes 20 ms for each call.
func TestKnownLatency(t *testing.T) {
	const latency = 20 * time.Millisecond
	path := serve(t, func(request []byte) [][]byte {
		time.Sleep(latency)
		return [][]byte{right(request)}
	})
	r := generate(t, Config{Path: path, Load: Load{1, 4}, Payload: 32, Duration: 5 * latency})
	h, err := r.Decode()
	if err != nil {
		t.Fatal(err)
	}
	// Three digits: a recorded value is off by one in a thousand at most.
	const least = float64(latency/time.Microsecond) * 0.998
	if h.Min() < int64(latency)*998/1000 || r.Latency.P50 < least || r.Latency.P99 < r.Latency.P50 || r.Latency.Max < r.Latency.P999 {
		t.Errorf("latency %+v, least %v ns", r.Latency, h.Min())
	}
	if r.Latency.Max/1e6 > r.Seconds {
		t.Errorf("a call of %v µs in a run of %v s", r.Latency.Max, r.Seconds)
	}
	// Each of 4 callers can have at most one call per 20 ms.
	if most := uint64(4 * r.Seconds / latency.Seconds()); r.Calls < 4 || r.Calls > most || r.Errors() != 0 {
		t.Errorf("%+v, at most %d calls can be", r.Counts, most)
	}
	if uint64(h.TotalCount()) != r.Calls {
		t.Errorf("%d latencies of %d calls", h.TotalCount(), r.Calls)
	}
	checkShare(t, r.Histogram, 4, r.Seconds)
	if r.Seconds < (5*latency).Seconds() || r.CallsPerSecond != float64(r.Calls)/r.Seconds {
		t.Errorf("%v calls/s in %v s", r.CallsPerSecond, r.Seconds)
	}
}

// checkShare checks that the calls of callers, one at a time each, did not take more
// time together than the callers had: whatever a machine does, times that are too
// long do not fit.
func checkShare(t *testing.T, histogram string, callers int, seconds float64) {
	t.Helper()
	h := decoded(t, histogram)
	if sum, most := h.Mean()*float64(h.TotalCount())/1e9, float64(callers)*seconds; sum > most*1.002 { // three digits
		t.Errorf("%d calls took %v s together, and %d callers had %v", h.TotalCount(), sum, callers, most)
	}
}

// TestAnswers has servers that answer in ways that count differently.
func TestAnswers(t *testing.T) {
	var numbered atomic.Int64
	tests := []struct {
		name   string
		answer func(request []byte) [][]byte
		count  func(Counts) uint64 // all calls must count here
		first  string
	}{
		{"the payload is right", func(r []byte) [][]byte { return [][]byte{right(r)} },
			func(c Counts) uint64 { return c.Calls }, ""},
		{"an answer in single bytes is right", func(r []byte) [][]byte { return bytes.SplitAfter(right(r), nil) },
			func(c Counts) uint64 { return c.Calls }, ""},
		{"one bit is not", func(r []byte) [][]byte {
			a := right(r)
			a[20] ^= 1
			return [][]byte{a}
		}, func(c Counts) uint64 { return c.Wrong }, "not the payload"},
		{"another length is not", func(r []byte) [][]byte {
			a := right(r)
			a[7]--
			return [][]byte{a}
		}, func(c Counts) uint64 { return c.Wrong }, "not the payload"},
		{"the payload of another call is not", func(r []byte) [][]byte {
			a := right(r)
			binary.LittleEndian.PutUint64(a[9:], 1<<40+uint64(numbered.Add(1)))
			return [][]byte{a}
		}, func(c Counts) uint64 { return c.Wrong }, "not the payload"},
		{"a byte too many is not", func(r []byte) [][]byte { return [][]byte{append(right(r), 'x')} },
			func(c Counts) uint64 { return c.Wrong }, "not the payload"},
		{"an error frame is a refusal", func([]byte) [][]byte { return [][]byte{[]byte("\x00\x00\x00\x04busy")} },
			func(c Counts) uint64 { return c.Refused }, "busy"},
		{"no answer is a failure", func([]byte) [][]byte { return nil },
			func(c Counts) uint64 { return c.Failed }, "ended after 0 bytes"},
		{"half an answer is a failure", func(r []byte) [][]byte { return [][]byte{right(r)[:10]} },
			func(c Counts) uint64 { return c.Failed }, "ended after 10 bytes"},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			path := serve(t, tt.answer)
			for _, l := range []Load{{1, 2}, {8, 1}} {
				r := generate(t, short(path, l))
				n := tt.count(r.Counts)
				if n == 0 || n != r.Calls+r.Errors() {
					t.Errorf("%v: %+v", l, r.Counts)
				}
				if !strings.Contains(r.FirstError, tt.first) || (tt.first == "") != (r.FirstError == "") {
					t.Errorf("%v: %q, want %q", l, r.FirstError, tt.first)
				}
			}
		})
	}
}

// TestPayloads echoes payloads that are too short for a number, and ones that do
// not fit into a socket's buffer.
func TestPayloads(t *testing.T) {
	path := serve(t, func(r []byte) [][]byte { return [][]byte{right(r)} })
	for _, size := range []int{0, 1, 8, 9, 1 << 20, MaxPayload} {
		c := short(path, Load{2, 2})
		c.Payload = size
		if r := generate(t, c); r.Calls == 0 || r.Errors() != 0 || r.Payload != size {
			t.Errorf("%d bytes: %+v %s", size, r.Counts, r.FirstError)
		}
	}
}

// TestSleepersAreApart checks which calls carry the mark, and where they count.
func TestSleepersAreApart(t *testing.T) {
	var sleeping, others atomic.Uint64
	path := serve(t, func(r []byte) [][]byte {
		if r[headerSize] == Sleeping {
			sleeping.Add(1)
		} else {
			others.Add(1)
		}
		return [][]byte{right(r)}
	})
	c := short(path, Load{1, 2})
	c.Sleepers = 3
	r := generate(t, c)
	if r.Sleepers == nil || r.Sleepers.Callers != 3 || r.Callers != 2 {
		t.Fatalf("callers %d, sleepers %+v", r.Callers, r.Sleepers)
	}
	if r.Calls == 0 || r.Calls != others.Load() || r.Sleepers.Calls == 0 || r.Sleepers.Calls != sleeping.Load() {
		t.Errorf("%d and %d calls; the server saw %d and %d", r.Calls, r.Sleepers.Calls, others.Load(), sleeping.Load())
	}
}

// TestNobodyListens ends although the run is long, since callers give up.
func TestNobodyListens(t *testing.T) {
	c := short(filepath.Join(t.TempDir(), "s"), Load{1, 2})
	c.Duration = time.Hour
	r := generate(t, c)
	if r.Calls != 0 || r.Failed != 2*giveUp || !strings.Contains(r.FirstError, "connect") {
		t.Errorf("%+v %q", r.Counts, r.FirstError)
	}
}

// TestFullBacklog connects while the backlog is full, until it is given up, and then
// until there is room.
func TestFullBacklog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener := listenSmall(t, path)
	c := newTestCaller(t, path, fixed(32))
	c.abandon.Store(0)
	counts := &c.tallies[1].Counts
	k := &call{exchange: c.same, tally: c.tallies[1]}
	for range 2 { // a backlog of 1 holds 2. See listen(2)
		defer unix.Close(c.send(k))
	}
	if fd := c.send(k); fd >= 0 || *counts != (Counts{Failed: 1}) {
		t.Fatalf("given up: descriptor %d, %+v", fd, *counts)
	}
	c.abandon.Store(math.MaxInt64)
	// The caller waits, unless accepting is faster than it, which is tried again.
	for deadline := time.Now().Add(10 * time.Second); counts.BacklogFull == 0 && time.Now().Before(deadline); {
		accepted := make(chan int)
		go func() {
			time.Sleep(10 * time.Millisecond)
			fd, _, _ := unix.Accept(listener)
			accepted <- fd
		}()
		defer unix.Close(c.send(k))
		defer unix.Close(<-accepted)
	}
	if counts.BacklogFull == 0 || counts.Errors() != 1 {
		t.Errorf("%+v", *counts)
	}
}

func TestJSONFields(t *testing.T) {
	path := serve(t, func(r []byte) [][]byte { return [][]byte{right(r)} })
	c := short(path, Load{4, 2})
	c.Sleepers = 1
	b, err := json.Marshal(generate(t, c))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"load", "payload_bytes", "seconds", "calls", "failed", "refused", "wrong", "backlog_full",
		"callers", "calls_per_second", "bytes_per_second", "latency", "histogram", "service_time", "sleepers", "generator_user_seconds", "generator_system_seconds"} {
		if _, ok := fields[name]; !ok {
			t.Errorf("no field %q", name)
		}
	}
	if fields["load"] != "b4x2" {
		t.Errorf("load is %v", fields["load"])
	}
}
