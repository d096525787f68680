package faults

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	generator "credrpc/bench/load"
	"credrpc/client"
	"credrpc/frame"
)

// TestLingeringDescriptors has callers pass descriptors whose last close takes as long as
// they like, which would stop a thread of the server's. None of it is answered, and honest
// calls go on.
func TestLingeringDescriptors(t *testing.T) {
	rounds, lasts := 1, 300*time.Millisecond
	if whole() {
		rounds, lasts = 30, time.Second
	}
	path := filepath.Join(openDir(t), "s")
	p := start(t, path, "--mode=0666")
	if !p.serving() {
		t.Fatalf("it did not start: %s", &p.log)
	}
	var pairs pairs
	var passed generator.HostileResult
	for range rounds {
		quiet := honest(t, path, lasts, nil)
		attacked := honest(t, path, lasts, generator.Hostile{{Misdeed: generator.Linger, Callers: 4}})
		pairs.add(quiet, attacked)
		passed.Attempts += attacked.Hostile[0].Attempts
		passed.Answered += attacked.Hostile[0].Answered
		passed.FirstRefusal = attacked.Hostile[0].FirstRefusal
	}
	if p.dead() {
		t.Fatalf("the server ended: %s", &p.log)
	}
	if passed.Attempts == 0 || passed.Answered > 0 {
		t.Errorf("%d of %d requests with a descriptor were answered", passed.Answered, passed.Attempts)
	}
	t.Logf("%d descriptors, each refused: %s; honest calls, %v", passed.Attempts, passed.FirstRefusal, &pairs)
}

// TestSlowCrowd has one user send very many requests at the same time, a byte a second.
// All are gone at the deadline, and another user's calls go on.
func TestSlowCrowd(t *testing.T) {
	rounds, callers, deadline := 1, 500, 1500*time.Millisecond
	if whole() {
		rounds, callers, deadline = 10, 10_000, 5*time.Second
	}
	path := filepath.Join(openDir(t), "s")
	p := start(t, path, "--mode=0666", fmt.Sprint("--max-calls=", 2*callers), fmt.Sprint("--max-calls-per-uid=", callers), fmt.Sprint("--timeout=", deadline))
	if !p.serving() {
		t.Fatalf("it did not start: %s", &p.log)
	}
	ordinary(&client.Client{Path: path}, nil)
	level := p.descriptors()
	var pairs pairs
	var oldest time.Duration
	for range rounds {
		quiet := honest(t, path, deadline/3, nil)
		c := startCrowd(t, path, callers, crowdSlow)
		if n := p.descriptors(); n < callers/2 {
			t.Errorf("the server has %d descriptors: there is no crowd", n)
		}
		pairs.add(quiet, honest(t, path, deadline/3, nil))
		end := c.ends()
		oldest = max(oldest, end.Oldest)
		if end.Closed != callers || end.Said != callers {
			t.Errorf("of %d callers %d were told why and %d closed", callers, end.Said, end.Closed)
		}
		eventually(t, "descriptors are closed", func() bool { return p.descriptors() <= level })
	}
	if p.dead() {
		t.Fatalf("the server ended: %s", &p.log)
	}
	t.Logf("%d times %d callers with a deadline of %v: the last was gone after %v; honest calls, %v", rounds, callers, deadline, oldest, &pairs)
}

// pairs are runs without an attack and with it, which took turns.
type pairs struct {
	p50, p99 paired
}

func (p *pairs) add(quiet, attacked *generator.Result) {
	p.p50.add(quiet.Latency.P50, attacked.Latency.P50)
	p.p99.add(quiet.Latency.P99, attacked.Latency.P99)
}

// String shows medians of all pairs.
func (p *pairs) String() string {
	return fmt.Sprintf("medians of %d pairs: p50 %v, p99 %v", len(p.p99.ratio), &p.p50, &p.p99)
}

// paired are figures of a latency, in microseconds.
type paired struct {
	quiet, attacked, ratio []float64
}

func (p *paired) add(quiet, attacked float64) {
	p.quiet, p.attacked = append(p.quiet, quiet), append(p.attacked, attacked)
	p.ratio = append(p.ratio, attacked/quiet)
}

// String shows the medians.
func (p *paired) String() string {
	return fmt.Sprintf("%.0f µs quiet, %.0f µs attacked, ratio %.2f", median(p.quiet), median(p.attacked), median(p.ratio))
}

// What a crowd does.
const (
	crowdSlow = "slow" // sends a byte a second of a request
	crowdDeaf = "deaf" // sends requests and reads nothing, until its input ends
)

// A crowd is a process of a user with many connections.
type crowd struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Closer
	out *bufio.Reader
}

// A crowdEnd is what became of its connections.
type crowdEnd struct {
	Closed int           // by the server
	Said   int           // of those, with a word why
	Oldest time.Duration // from connecting to that
}

// startCrowd starts one, and returns when all have connected.
func startCrowd(t *testing.T, path string, callers int, what string, more ...string) *crowd {
	t.Helper()
	c := &crowd{t: t, cmd: as(roleCrowd, hostileUID, append([]string{path, strconv.Itoa(callers), what}, more...)...)}
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	c.cmd.Stderr = os.Stderr
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.cmd.Process.Kill(); c.cmd.Wait() })
	if line, err := c.out.ReadString('\n'); line != "connected\n" {
		t.Fatalf("the crowd says %q, %v", line, err)
	}
	return c
}

// ends waits for the end of a crowd that ends by itself, or when it is left.
func (c *crowd) ends() (end crowdEnd) {
	c.t.Helper()
	timeout := time.AfterFunc(patience, func() { c.cmd.Process.Kill() })
	defer timeout.Stop()
	line, err := c.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &end)
	}
	if err != nil {
		c.t.Fatalf("the crowd says %q, %v", line, err)
	}
	c.cmd.Wait()
	return end
}

// beCrowd is the process: path, number, what, and the bytes of a payload.
func beCrowd(args []string) int {
	callers, err := strconv.Atoi(args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var end crowdEnd
	var mu sync.Mutex
	var group sync.WaitGroup
	conns := make([]net.Conn, callers)
	for i := range conns {
		if conns[i], err = dial(args[0]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		began := time.Now()
		conns[i].SetDeadline(began.Add(patience))
		if args[2] == crowdDeaf {
			continue
		}
		group.Go(func() {
			said, err := io.ReadAll(conns[i])
			age := time.Since(began)
			mu.Lock()
			defer mu.Unlock()
			if err == nil || len(said) > 0 {
				end.Closed++
			}
			if len(said) > frame.HeaderSize {
				end.Said++
			}
			end.Oldest = max(end.Oldest, age)
		})
	}
	if args[2] == crowdDeaf {
		return beDeaf(conns, args[3])
	}
	fmt.Println("connected")
	stop := make(chan struct{})
	go sendSlowly(conns, stop)
	group.Wait()
	close(stop)
	json.NewEncoder(os.Stdout).Encode(end)
	return 0
}

// sendSlowly sends a byte of a request on each connection every second, on some of them
// every hundredth.
func sendSlowly(conns []net.Conn, stop <-chan struct{}) {
	const parts = 100
	request := append([]byte{0, 0, 0, 100}, make([]byte, 100)...)
	tick := time.NewTicker(time.Second / parts)
	defer tick.Stop()
	for _, b := range request {
		for part := range parts {
			for _, c := range conns[len(conns)*part/parts : len(conns)*(part+1)/parts] {
				c.Write([]byte{b})
			}
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}
}

// beDeaf sends a request on each connection, and leaves when the input ends.
func beDeaf(conns []net.Conn, size string) int {
	payload, err := strconv.Atoi(size)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	header, err := frame.AppendHeader(nil, payload)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	request := append(header, bytes.Repeat([]byte{'x'}, payload)...)
	for _, c := range conns {
		c.SetDeadline(time.Now().Add(patience))
		c.Write(request) // who is refused while sending goes on being there
	}
	fmt.Println("connected")
	io.Copy(io.Discard, os.Stdin)
	fmt.Println("{}")
	return 0
}

// median returns the middle of some figures, the upper one of two.
func median[T float64 | time.Duration](figures []T) T {
	return slices.Sorted(slices.Values(figures))[len(figures)/2]
}
