package sandbox

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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
			b.ReportMetric(0, "ns/op") // of a pair of processes, which says nothing
			b.ReportMetric(median(bare), "ns/bare")
			b.ReportMetric(median(confined), "ns/confined")
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(slices.Min(ratios), "ratio-min")
			b.ReportMetric(slices.Max(ratios), "ratio-max")
		})
	}
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
