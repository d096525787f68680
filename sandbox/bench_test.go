package sandbox

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"credrpc/client"

	"golang.org/x/sys/unix"
)

// BenchmarkFilter measures what the filter adds to a system call: processes with and
// without it take turns, and each says its best of many batches, so that a machine
// that does other things too disturbs less.
func BenchmarkFilter(b *testing.B) {
	for _, call := range []string{"getpid", "fcntl"} { // with any arguments; with some
		b.Run("call="+call, func(b *testing.B) {
			var bare, confined, ratios []float64
			for b.Loop() {
				x, y := cost(b, call, true), cost(b, call, false)
				bare, confined, ratios = append(bare, x), append(confined, y), append(ratios, y/x)
			}
			report(b, bare, confined, ratios)
		})
	}
}

// BenchmarkServer measures what a sandbox adds to the processor time of a call: two
// servers without one and one with it take turns, in a random order. The second
// without shows what the machine does by itself.
func BenchmarkServer(b *testing.B) {
	dir := testDir(b)
	var servers [3]*actor
	var names = [3]string{"bare", "again", "confined"}
	for i, name := range names {
		own := filepath.Join(dir, name)
		if err := os.Mkdir(own, 0o700); err != nil {
			b.Fatal(err)
		}
		servers[i] = startActor(b, "serve", uint32(os.Getuid()), script{Bare: name != "confined", Options: Options{Remove: []string{own}}, Dir: own})
		servers[i].tell()
	}
	var times, ratios [3][]float64
	for b.Loop() {
		for _, i := range rand.Perm(len(servers)) {
			times[i] = append(times[i], servers[i].costOfCalls(filepath.Join(dir, names[i], "s")))
		}
		for i := range servers {
			ratios[i] = append(ratios[i], times[i][len(times[i])-1]/times[0][len(times[0])-1])
		}
	}
	b.ReportMetric(median(ratios[1]), "again-ratio")
	report(b, times[0], times[2], ratios[2])
}

// costOfCalls makes calls one after the other and returns the nanoseconds of processor
// time that the server took for each.
func (a *actor) costOfCalls(path string) float64 {
	a.t.Helper()
	const calls = 5000
	c := client.Client{Path: path}
	before := a.processorTime()
	for range calls {
		if _, err := c.Call(a.t.Context(), []byte("thirty-two bytes of some request")); err != nil {
			a.t.Fatal(err)
		}
	}
	return (a.processorTime() - before) / calls
}

// processorTime returns what all threads of the actor have used, in nanoseconds. See
// "scheduler statistics" in the kernel's documentation.
func (a *actor) processorTime() (sum float64) {
	a.t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", a.cmd.Process.Pid))
	if err != nil {
		a.t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		var used float64
		if err == nil {
			_, err = fmt.Sscan(string(text), &used)
		}
		if err != nil {
			a.t.Fatal(err)
		}
		sum += used
	}
	return sum
}

func report(b *testing.B, bare, confined, ratios []float64) {
	b.ReportMetric(0, "ns/op") // of a round, which says nothing
	b.ReportMetric(median(bare), "ns/bare")
	b.ReportMetric(median(confined), "ns/confined")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(slices.Min(ratios), "ratio-min")
	b.ReportMetric(slices.Max(ratios), "ratio-max")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// cost returns the nanoseconds that a call takes in a process of its own.
func cost(b *testing.B, call string, bare bool) float64 {
	b.Helper()
	a := startActor(b, "probe", uint32(os.Getuid()), script{Bare: bare, Probes: []string{"cost " + call}})
	f := a.tell()
	a.end()
	ns, err := strconv.ParseFloat(f.Output["cost "+call], 64)
	if err != nil {
		b.Fatalf("%+v: %v", f, err)
	}
	return ns
}

// costOf is what the process does for [cost].
func costOf(call string) string {
	const batch = 2000
	best := math.Inf(1)
	for range 200 {
		begin := time.Now()
		for range batch {
			if strings.HasPrefix(call, "fcntl") {
				unix.FcntlInt(0, unix.F_GETFD, 0)
			} else {
				unix.Getpid()
			}
		}
		best = min(best, float64(time.Since(begin))/batch)
	}
	return fmt.Sprint(best)
}
