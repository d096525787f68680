package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"credrpc/client"
	"credrpc/control"
)

// A terminal is tmux(1) with one program in it.
type terminal struct {
	t    *testing.T
	tmux string // the program
	path string // its socket
}

// openTerminal runs a command line of the program in a terminal of so many characters.
func openTerminal(t *testing.T, width, height int, environment string, args ...string) *terminal {
	t.Helper()
	term := &terminal{t, installed(t, "tmux", "tmux"), filepath.Join(tempDir(t), "tmux")}
	command := "env CREDRPC_TEST_PROGRAM=1 " + environment + " " + os.Args[0] + " " + strings.Join(args, " ") +
		`; echo "ended with status $?"; exec sleep 60`
	t.Cleanup(func() { exec.Command(term.tmux, "-S", term.path, "kill-server").Run() })
	term.do("-u", "-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), command)
	return term
}

func (term *terminal) do(args ...string) string {
	term.t.Helper()
	out, err := exec.Command(term.tmux, append([]string{"-S", term.path}, args...)...).CombinedOutput()
	if err != nil {
		term.t.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return string(out)
}

func (term *terminal) screen(flags ...string) string {
	return term.do(append([]string{"capture-pane", "-p"}, flags...)...)
}

// await waits until the screen has text, and returns it.
func (term *terminal) await(text string) string {
	term.t.Helper()
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		screen := term.screen()
		if strings.Contains(screen, text) {
			return screen
		}
		if time.Since(begin) > patience {
			term.t.Fatalf("no %q within %v on\n%s", text, patience, screen)
		}
	}
}

// awaitEnd waits until the program has ended, and checks its exit status.
func (term *terminal) awaitEnd(status int) {
	term.t.Helper()
	if screen := term.await("ended with status "); !strings.Contains(screen, fmt.Sprintf("ended with status %d\n", status)) {
		term.t.Errorf("want status %d, the screen is\n%s", status, screen)
	}
}

// A reading is a counter at a time, by the server's clock.
type reading struct {
	time     time.Time
	accepted uint64
}

// A meter reads the server's own counter over and over.
type meter struct {
	mu       sync.Mutex
	readings []reading // guarded by mu
}

func (m *meter) read(t *testing.T, operators string, done <-chan struct{}) {
	c := client.Client{Path: operators}
	for {
		select {
		case <-done:
			return
		case <-time.After(10 * time.Millisecond):
		}
		answer, err := c.Call(t.Context(), []byte("stats 0"))
		var s control.Stats
		if err == nil {
			err = json.Unmarshal(answer, &s)
		}
		if err != nil {
			t.Errorf("stats: %v", err)
			return
		}
		m.mu.Lock()
		m.readings = append(m.readings, reading{s.Time, s.Calls.Accepted})
		m.mu.Unlock()
	}
}

// topInterval is the interval of the screen that is watched.
const topInterval = 500 * time.Millisecond

// when returns between which times the server's counter was n.
func (m *meter) when(n uint64) (from, to time.Time, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.readings {
		switch {
		case r.accepted < n:
			from = r.time
		case r.accepted > n:
			return from, r.time, !from.IsZero()
		}
	}
	return from, to, false
}

// between returns which rates there may have been between two values of the server's
// counter. It knows none if one of them was the first or the last one, or if the time
// between is not about an interval of the screen: then this test has missed a screen.
func (m *meter) between(a, b uint64) (least, most float64, known bool) {
	fromA, toA, knownA := m.when(a)
	fromB, toB, knownB := m.when(b)
	shortest, longest := fromB.Sub(toA), toB.Sub(fromA)
	if !knownA || !knownB || shortest <= topInterval/2 || longest > topInterval*3/2 {
		return 0, 0, false
	}
	calls := float64(b - a)
	return calls / longest.Seconds(), calls / shortest.Seconds(), true
}

// offer makes n calls in an open loop: one is due every so often, whether or not those
// before are answered.
func offer(t *testing.T, path string, n int, every time.Duration) {
	t.Helper()
	c := client.Client{Path: path}
	var calls sync.WaitGroup
	begin := time.Now()
	for i := range n {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * every)))
		calls.Go(func() {
			if _, err := c.Call(t.Context(), []byte("x")); err != nil {
				t.Errorf("call: %v", err)
			}
		})
	}
	calls.Wait()
}

var ratesOnScreen = regexp.MustCompile(`calls/s +([0-9.]+)  total ([0-9]+)`)

// A watched is a screen of which every rate is compared.
type watched struct {
	*terminal
	last    string // what was shown
	total   uint64
	checked int
}

// look compares the rate that the screen shows, if it is a new one, with what the
// server's counters say.
func (w *watched) look(m *meter) {
	w.t.Helper()
	shown := ratesOnScreen.FindStringSubmatch(w.screen())
	if shown == nil || shown[0] == w.last {
		return
	}
	w.last = shown[0]
	rate, _ := strconv.ParseFloat(shown[1], 64)
	now, _ := strconv.ParseUint(shown[2], 10, 64)
	time.Sleep(topInterval / 10) // for the readings after it
	if least, most, known := m.between(w.total, now); known {
		w.checked++
		w.t.Logf("the screen shows %s, the server counted %.1f to %.1f a second", shown[0], least, most)
		if rate < 0.9*least || rate > 1.1*most {
			w.t.Errorf("the screen shows %s calls a second, the server counted %.1f to %.1f", shown[1], least, most)
		}
	}
	w.total = now
}

// TestTopShowsTheLoad looks at two screens, one of the control socket and one of the
// metrics, while calls come in, 500 a second if the machine keeps up. Each rate that
// they show is the one by the server's counters, and in the end they have seen every call.
func TestTopShowsTheLoad(t *testing.T) {
	const calls = 1500
	installed(t, "tmux", "tmux")
	exported := "unix:" + filepath.Join(tempDir(t), "m")
	path, operators, _, _ := serveControlled(t, "--metrics="+exported)
	every := "--interval=" + topInterval.String()
	screens := []*watched{
		{terminal: openTerminal(t, 80, 24, "", "top", every, operators)},
		{terminal: openTerminal(t, 80, 24, "", "top", every, "--metrics", exported)},
	}
	screens[0].await("sorted by calls/s")
	screens[1].await("users      metrics do not say who calls")
	m, done := new(meter), make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() { m.read(t, operators, done) })
	others.Go(func() { offer(t, path, calls, 2*time.Millisecond) })
	for begin := time.Now(); screens[0].total != calls || screens[1].total != calls; time.Sleep(10 * time.Millisecond) {
		for _, w := range screens {
			w.look(m)
			if time.Since(begin) > patience {
				t.Fatalf("%d calls are shown, %d were made:\n%s", w.total, calls, w.screen())
			}
		}
	}
	close(done)
	others.Wait()
	for _, w := range screens {
		if w.checked == 0 {
			t.Error("no screen could be compared with what the server counted")
		}
		screen := w.screen("-e")
		if colours := regexp.MustCompile(`\x1b\[[0-9;]*\b(3[0-8]|4[0-8]|9[0-7])[;m]`).FindString(screen); colours != "" {
			t.Errorf("there are colours: %q in %q", colours, screen)
		}
	}
}

// TestTopMetricsAgain ends the server whose metrics are shown, and starts another one.
func TestTopMetricsAgain(t *testing.T) {
	installed(t, "tmux", "tmux")
	dir := tempDir(t)
	path, exported := filepath.Join(dir, "s"), filepath.Join(dir, "m")
	server := takeOver(t, path, "--metrics", "unix:"+exported)
	checkEcho(t, path)
	checkEcho(t, path)
	term := openTerminal(t, 100, 24, "", "top", "--interval=200ms", "--metrics", "unix:"+exported)
	term.await("total 2 ")
	server.cmd.Process.Signal(syscall.SIGTERM)
	term.await("trying again: unix:" + exported + ": connect: no such")
	takeOver(t, path, "--metrics", "unix:"+exported)
	checkEcho(t, path)
	if screen := term.await("total 1 "); !strings.Contains(screen, "q quit") {
		t.Errorf("the screen is\n%s", screen)
	}
	term.do("send-keys", "q")
	term.awaitEnd(exitOK)
}

// TestTopOnTheTerminal types what there is to type, makes the terminal small, and ends
// the server and the program.
func TestTopOnTheTerminal(t *testing.T) {
	installed(t, "tmux", "tmux")
	dir := tempDir(t)
	path, operators := filepath.Join(dir, "s"), filepath.Join(dir, "c")
	server := takeOver(t, path, "--control", operators)
	checkEcho(t, path)
	term := openTerminal(t, 80, 24, "", "top", "--interval=200ms", operators)
	first := term.await("sorted by calls/s")
	if lines := strings.Split(strings.TrimSuffix(first, "\n"), "\n"); len(lines) != 24 || !strings.HasPrefix(lines[0], " credrpc top  "+dir) ||
		!strings.Contains(lines[0], fmt.Sprintf("pid %d  up ", server.cmd.Process.Pid)) || !strings.HasPrefix(lines[1], "calls/s    0  total 1  answered ") {
		t.Errorf("the screen is\n%s", first)
	}
	term.do("send-keys", "s")
	term.await("sorted by refused/s")
	term.do("send-keys", "p")
	term.await(" paused   p go on")
	checkEcho(t, path)
	time.Sleep(400 * time.Millisecond) // two intervals, which are not shown
	if screen := term.screen(); !strings.Contains(screen, "total 1 ") {
		t.Errorf("paused, it shows\n%s", screen)
	}
	term.do("send-keys", "p")
	term.await("total 2 ")
	term.do("resize-window", "-x", "40", "-y", "10")
	term.await("  up ")
	small := term.await("loops ")
	for _, want := range []string{"calls/s    0  total 2  answered 0", "UID USER", "q quit"} {
		if !strings.Contains(small, want) {
			t.Errorf("%q is missing on\n%s", want, small)
		}
	}
	term.do("resize-window", "-x", "100", "-y", "30")
	server.cmd.Process.Signal(syscall.SIGTERM)
	term.await("trying again: client: connect " + operators)
	next := takeOver(t, path, "--control", operators)
	term.await(fmt.Sprintf("pid %d  up ", next.cmd.Process.Pid))
	term.await("q quit   p pause")
	term.do("send-keys", "q")
	term.awaitEnd(exitOK)
}

// TestTopLines has no screen on a terminal that cannot have one, says when the server
// ends, and what is wrong otherwise.
func TestTopLines(t *testing.T) {
	installed(t, "tmux", "tmux")
	_, operators, cmd, _ := serveControlled(t)
	term := openTerminal(t, 120, 24, "TERM=dumb", "top", "--interval=100ms", operators)
	term.await("    time   calls  calls/s")
	if status, out, stderr := result("", "top", "--count=2", "--interval=100ms", operators); status != exitOK || strings.Count(out, "\n") != 3 || stderr != "" {
		t.Errorf("%d, %q, %q", status, out, stderr)
	}
	if status, out, stderr := result("", "top", "--count=2", "--json", "--interval=100ms", operators); status != exitOK || strings.Count(out, `"calls_per_second":0`) != 2 || stderr != "" {
		t.Errorf("%d, %q, %q", status, out, stderr)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	term.await("credrpc: the server has ended, or answers no more: client: connect " + operators)
	term.awaitEnd(exitUnreachable)
	for args, want := range map[string]string{
		"top " + operators:                   "credrpc: client: connect " + operators + ": no such file or directory\n",
		"top --interval=1ms " + operators:    "--interval: want at least 100ms",
		"top --count=-1 " + operators:        "--count: want at least 1",
		"top --users=-1 --json " + operators: "--users: want at least 0",
		"top":                                "want the path of a control socket, or where metrics are served: --metrics",
		"top --metrics=unix:/m " + operators: "want one of them",
		"top --metrics=unix:" + operators:    "credrpc: unix:" + operators + ": connect: no such file or directory\n",
		"top --metrics=unix:@x":              "want unix:PATH",
		"top --metrics=9436":                 "such as 127.0.0.1:9436",
		"top --metrics=192.0.2.1:9436":       "want a loopback address, such as 127.0.0.1:9436; reach another",
		"top --metrics=example.org:9436":     "want a loopback address",
	} {
		if status, out, stderr := result("", strings.Fields(args)...); status == exitOK || out != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d, %q, %q; want %q", args, status, out, stderr, want)
		}
	}
}
