package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"credrpc/bench/callers"
	"credrpc/bench/reference"

	"golang.org/x/sys/unix"
)

// withServer are the systems that have a server here.
var withServer = []string{TTRPC, GRPC, NetRPC}

// callerVariable makes the test program make load: it holds a system and a path.
const callerVariable = "CREDRPC_PEERS_TEST_CALLER"

func TestMain(m *testing.M) {
	if system, path, ok := strings.Cut(os.Getenv(callerVariable), " "); ok {
		if _, err := Run(context.Background(), short(system, path)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serve starts a server that ends with the test, and returns its path.
func serve(t *testing.T, system string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	if system == Credrpc {
		srv := &reference.Server{Handler: func(payload []byte, _ *unix.Ucred) ([]byte, error) { return payload, nil }}
		context.AfterFunc(ctx, func() { srv.Close() })
		go func() { ended <- srv.ListenAndServe(path) }()
	} else {
		go func() { ended <- Serve(ctx, system, path) }()
	}
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial("unix", path)
		if err == nil {
			c.Close()
			return path
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// short is a run that is long enough to make some calls.
func short(system, path string) Config {
	return Config{Config: callers.Config{Callers: 2, Payload: 32, Duration: 20 * time.Millisecond}, System: system, Path: path}
}

func TestRun(t *testing.T) {
	for _, system := range append(withServer, Credrpc) {
		path := serve(t, system)
		for _, size := range []int{0, 1, 9, 32, 1 << 20} {
			config := short(system, path)
			config.Payload = size
			r, err := Run(t.Context(), config)
			if err != nil {
				t.Fatalf("%s, %d bytes: %v", system, size, err)
			}
			h, err := r.Decode()
			if err != nil {
				t.Fatal(err)
			}
			if r.Calls == 0 || r.Errors() != 0 || uint64(h.TotalCount()) != r.Calls || r.Payload != size || r.Load.String() != "t2" {
				t.Errorf("%s, %d bytes: %d latencies, %+v %s", system, size, h.TotalCount(), r.Counts, r.FirstError)
			}
			if r.UserSeconds+r.SystemSeconds <= 0 || r.Seconds < config.Duration.Seconds() || r.Latency.P50 <= 0 || r.Latency.P99 < r.Latency.P50 {
				t.Errorf("%s, %d bytes: %v s, processor %v + %v s, %+v", system, size, r.Seconds, r.UserSeconds, r.SystemSeconds, r.Latency)
			}
		}
	}
}

// TestConnections counts the connections that callers share.
func TestConnections(t *testing.T) {
	tests := []struct {
		system            string
		callers, asked    int
		connections, says int
	}{
		{TTRPC, 4, 0, 4, 4},
		{TTRPC, 4, 1, 1, 1},
		{GRPC, 4, 2, 2, 2},
		{NetRPC, 3, 3, 3, 3},
	}
	for _, tt := range tests {
		behind := serve(t, tt.system)
		path, accepted := proxy(t, behind)
		r, err := Run(t.Context(), Config{Config: callers.Config{Callers: tt.callers, Payload: 32, Duration: 20 * time.Millisecond}, System: tt.system, Path: path, Connections: tt.asked})
		if err != nil || r.Errors() != 0 {
			t.Fatalf("%+v: %v", tt, err)
		}
		if n := accepted.Load(); int(n) != tt.connections || r.Connections != tt.says {
			t.Errorf("%+v: %d connections, and says %d", tt, n, r.Connections)
		}
	}
}

// proxy counts the connections to a server.
func proxy(t *testing.T, behind string) (path string, accepted *atomic.Int64) {
	t.Helper()
	path, accepted = filepath.Join(t.TempDir(), "p"), new(atomic.Int64)
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			front, err := listener.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			back, err := net.Dial("unix", behind)
			if err != nil {
				t.Error(err)
				return
			}
			pump := func(to, from net.Conn) {
				defer to.Close()
				defer from.Close()
				io.Copy(to, from)
			}
			go pump(back, front)
			go pump(front, back)
		}
	}()
	return path, accepted
}

// TestAnotherUserIsRefused has a connection that another user made.
func TestAnotherUserIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatal("connecting as another user takes root")
		}
		t.Skip("connecting as another user takes root")
	}
	for _, system := range withServer {
		path := serve(t, system)
		if err := errors.Join(os.Chmod(path, 0o777), os.Chmod(filepath.Dir(path), 0o755), os.Chmod(filepath.Dir(filepath.Dir(path)), 0o755)); err != nil {
			t.Fatal(err)
		}
		// The file system lets everybody in; the check must not.
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
		cmd.Dir, cmd.Env = "/", []string{callerVariable + "=" + system + " " + path, "GORACE=atexit_sleep_ms=0"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if text := string(out); err == nil || !strings.Contains(text, "first call") || strings.Contains(text, "permission denied") {
			t.Errorf("%s: %v: %s", system, err, text)
		}
		if r, err := Run(t.Context(), short(system, path)); err != nil || r.Errors() != 0 {
			t.Errorf("%s, own user: %v", system, err)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s") // nobody listens
	tests := []struct {
		name   string
		change func(*Config)
	}{
		{"a system that is none", func(c *Config) { c.System = "other" }},
		{"nobody listens", func(*Config) {}},
		{"no caller", func(c *Config) { c.Callers = 0 }},
		{"more connections than callers", func(c *Config) { c.Connections = 3 }},
		{"a negative number of connections", func(c *Config) { c.Connections = -1 }},
		{"a negative warm-up", func(c *Config) { c.WarmUp = -1 }},
		{"a negative payload", func(c *Config) { c.Payload = -1 }},
		{"a payload over what a message holds", func(c *Config) { c.Payload = 4 << 20 }},
	}
	for _, tt := range tests {
		config := short(TTRPC, path)
		tt.change(&config)
		if r, err := Run(t.Context(), config); err == nil {
			t.Errorf("%s: %+v", tt.name, r)
		}
	}
	for _, system := range []string{"other", Credrpc} {
		if err := Serve(t.Context(), system, path); !errors.Is(err, ErrSystem) {
			t.Errorf("a server of %s: %v", system, err)
		}
	}
}

// TestLargestPayload checks that what validate admits is what ttrpc takes.
func TestLargestPayload(t *testing.T) {
	config := short(TTRPC, serve(t, TTRPC))
	config.Callers, config.Payload = 1, ttrpcPayload
	if r, err := Run(t.Context(), config); err != nil || r.Calls == 0 || r.Errors() != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestWarmUp makes calls that do not count, and says when those begin that do.
func TestWarmUp(t *testing.T) {
	for _, system := range append(withServer, Credrpc) {
		config := short(system, serve(t, system))
		config.WarmUp = 50 * time.Millisecond
		var told []string
		var begun time.Time
		started := time.Now()
		config.Begin = func() { begun = time.Now(); told = append(told, "begin") }
		config.End = func() { told = append(told, "end") }
		r, err := Run(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		h, err := r.DecodeService()
		if err != nil || uint64(h.TotalCount()) != r.Calls || r.Calls == 0 || r.Errors() != 0 || r.Interrupted {
			t.Errorf("%s: %v, %+v", system, err, r.Counts)
		}
		since := time.Since(begun).Seconds()
		if strings.Join(told, " ") != "begin end" || begun.Sub(started) < config.WarmUp || r.WarmUp != 0.05 || r.Seconds < config.Duration.Seconds() || r.Seconds > since+1 {
			t.Errorf("%s: told %v, %v s, begun %v ago", system, told, r.Seconds, since)
		}
		if want := r.Calls * 64; r.RequestBytes+r.AnswerBytes != want || r.BytesPerSecond != float64(want)/r.Seconds {
			t.Errorf("%s: %d and %d bytes of %d calls", system, r.RequestBytes, r.AnswerBytes, r.Calls)
		}
	}
}

// TestInterrupt ends runs before their time: with what there is, and in the warm-up.
func TestInterrupt(t *testing.T) {
	for _, system := range withServer {
		path := serve(t, system)
		for _, warmUp := range []time.Duration{0, time.Hour} {
			ctx, cancel := context.WithCancel(t.Context())
			began, ended := false, false
			time.AfterFunc(50*time.Millisecond, cancel)
			config := Config{Config: callers.Config{Callers: 2, Payload: 32, Duration: time.Hour, WarmUp: warmUp,
				Begin: func() { began = true }, End: func() { ended = true }}, System: system, Path: path}
			r, err := Run(ctx, config)
			if err != nil {
				t.Fatalf("%s: %v", system, err)
			}
			if !r.Interrupted || r.Errors() != 0 || (r.Calls > 0) != (warmUp == 0) || began != (warmUp == 0) || !ended {
				t.Errorf("%s after a warm-up of %v: %+v, begun %v, ended %v", system, warmUp, r.Counts, began, ended)
			}
		}
	}
}

// TestMute has a server that accepts and never answers.
func TestMute(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, system := range append(withServer, Credrpc) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if r, err := Run(ctx, short(system, path)); err == nil {
			t.Errorf("%s: %+v", system, r.Counts)
		}
		cancel()
	}
}

func TestJSONFields(t *testing.T) {
	r, err := Run(t.Context(), short(NetRPC, serve(t, NetRPC)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"system", "connections", "load", "payload_bytes", "seconds", "calls", "failed", "wrong",
		"callers", "calls_per_second", "latency", "histogram", "generator_user_seconds", "generator_system_seconds"} {
		if _, ok := fields[name]; !ok {
			t.Errorf("no field %q in %s", name, b)
		}
	}
}

// TestOwnSocketOnly looks at what Serve makes.
func TestOwnSocketOnly(t *testing.T) {
	path := serve(t, NetRPC)
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || st.Mode&0o077 != 0 {
		t.Errorf("mode %o, %v", st.Mode, err)
	}
	if err := Serve(t.Context(), NetRPC, path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second server: %v", err)
	}
	if _, err := net.Dial("unix", path); err != nil || strings.HasPrefix(path, "@") {
		t.Errorf("the first one: %v", err)
	}
}
