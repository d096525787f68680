package suite

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/report"
	"credrpc/internal/leak"
)

// TestMain fails if a test leaves a goroutine or a descriptor behind.
func TestMain(m *testing.M) { os.Exit(leak.Run(m)) }

func TestVariants(t *testing.T) {
	all, err := variants([]string{EventloopOnLoop, Floor, Reference, Eventloop}, 3)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range all {
		if slices.Contains(names, v.Name) || v.Cores < 1 {
			t.Errorf("%+v", v.Server)
		}
		names = append(names, v.Name)
	}
	want := 4
	if runtime.NumCPU() > 1 {
		want++ // the floor with a thread a core
	}
	if len(names) != want || names[0] != EventloopOnLoop || names[1] != "floor-1" {
		t.Errorf("%v", names)
	}
	b := &Bench{Self: "/self"}
	command, err := all[0].with("--sleep", "1s").command(b, t.Context(), "/socket")
	if got := strings.Join(command, " "); err != nil || got != "/self server eventloop --on-loop --loops 3 --sleep 1s /socket" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := variants([]string{"other"}, 0); err == nil {
		t.Error("a server that does not exist")
	}
}

func TestReadSummary(t *testing.T) {
	const summary = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ------------------
 50.00    0.000100           1      1000           accept4
 30.00    0.000060           1      1000        20 recvmsg
 20.00    0.000040           0      2000         1 close
------ ----------- ----------- --------- --------- ------------------
100.00    0.000200           0      4000        21 total
`
	got, err := readSummary(strings.NewReader(summary))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]uint64{"accept4": 1000, "recvmsg": 1000, "close": 2000}
	if len(got) != len(want) {
		t.Errorf("%v", got)
	}
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s: %d, want %d", name, got[name], n)
		}
	}
	if got, err := readSummary(strings.NewReader("strace: attach: denied\n")); err == nil {
		t.Errorf("no summary: %v", got)
	}
}

func TestMissed(t *testing.T) {
	c := IdleConfig{RequestTimeout: 4 * time.Second}
	tests := []struct {
		name string
		held load.Held
		want int
	}{
		{"all ended in time", load.Held{Ended: 10, FirstEnd: 3.9, LastEnd: 4.2}, 0},
		{"some were never ended", load.Held{Ended: 7, FirstEnd: 3.9, LastEnd: 4.2}, 3},
		{"some ended while the load ran", load.Held{Ended: 10, FirstEnd: 0.5, LastEnd: 4.2}, 10},
		{"the last ended much too late", load.Held{Ended: 10, FirstEnd: 3.9, LastEnd: 8}, 10},
	}
	for _, tt := range tests {
		tt.held.Opened = 10
		if got := c.missed(&report.Idle{Held: tt.held}, 1); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestTail(t *testing.T) {
	var keeps tail
	keeps.Write([]byte("first"))
	keeps.Write([]byte(strings.Repeat("x", tailSize)))
	if n, err := keeps.Write([]byte("last\n")); n != 5 || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	if s := keeps.String(); len(s) != tailSize-1 || !strings.HasSuffix(s, "last") || strings.Contains(s, "first") {
		t.Errorf("%d bytes, end %q", len(s), s[len(s)-5:])
	}
}

// script is a server that runs a shell script instead.
func script(text string) variant {
	v := floorVariant(1)
	v.command = func(*Bench, context.Context, string) ([]string, error) {
		return []string{"/bin/sh", "-c", text}, nil
	}
	return v
}

func quiet(float64, string) {}

// TestServerFails starts servers that do not serve.
func TestServerFails(t *testing.T) {
	b := &Bench{Self: "/self", Progress: quiet}
	defer b.Close()
	if _, err := b.start(t.Context(), script("echo reason >&2; exit 3")); !errors.Is(err, ErrServer) || !strings.Contains(err.Error(), "reason") {
		t.Errorf("a server that ends: %v", err)
	}
	missing := script("")
	missing.command = func(*Bench, context.Context, string) ([]string, error) { return []string{"/does/not/exist"}, nil }
	if _, err := b.start(t.Context(), missing); !errors.Is(err, ErrServer) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a program that is missing: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.start(ctx, script("exec sleep 1000")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while it starts: %v", err)
	}
	dir := b.dir
	b.Close()
	if _, err := os.Stat(dir); dir == "" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%q is left: %v", dir, err)
	}
}

func TestLongDirectory(t *testing.T) {
	long := t.TempDir() + "/" + strings.Repeat("d", 100)
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", long)
	b := &Bench{Progress: quiet}
	defer b.Close()
	if _, err := b.start(t.Context(), script("exit 1")); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("%v", err)
	}
	b.Close()
	if left, err := os.ReadDir(long); len(left) != 0 || err != nil {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestWriteSystemCalls(t *testing.T) {
	r := &report.Report{Seconds: 1, Notices: []string{"floor is left out: no compiler."}, Runs: []report.Run{
		{Server: "eventloop", SystemCalls: map[string]float64{"close": 1, "accept4": 1, "recvmsg": 3, "futex": 0.001}},
	}}
	r.Runs[0].Load, r.Runs[0].Calls = load.Load{Batch: 32, Callers: 1}, 1000
	var text strings.Builder
	if err := WriteSystemCalls(&text, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"under b32x1 for 1s", "5.00  recvmsg 3.00, accept4 1.00, close 1.00 (1000 calls, 0 errors)\n", "left out"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in %s", want, text.String())
		}
	}
}

func TestPerCall(t *testing.T) {
	got := perCall(map[string]uint64{"a": 10, "b": 5, "c": 7}, map[string]uint64{"a": 30, "b": 5, "d": 10}, 10)
	if len(got) != 2 || got["a"] != 2 || got["d"] != 1 {
		t.Errorf("%v", got)
	}
	if got := perCall(nil, map[string]uint64{"a": 1}, 0); len(got) != 0 {
		t.Errorf("a load without calls: %v", got)
	}
}
