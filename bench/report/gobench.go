package report

import (
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"unicode"
)

// WriteGoBench writes the runs of the file to w as results of Go's benchmarks, which
// benchstat reads: a line a run, such as
//
//	BenchmarkQuick/server=eventloop/load=t64-2  11021  18180 ns/op  55004 calls/s  2059000 p99-ns
//
// ns/op is the time of the run by its calls. Names of figures are those of [Figures];
// cpu, user, system and rss are the server's, callers.cpu not. Runs in which nothing was answered
// are left out: they have no time of a call. See
// https://go.dev/design/14313-benchmark-format.
func (f *File) WriteGoBench(w io.Writer) error {
	var b strings.Builder
	b.WriteString("Unit calls/s better=higher\nUnit offered-calls/s better=higher\n")
	for _, r := range f.Reports {
		m := &r.Machine
		for _, line := range [][2]string{{"goos", runtime.GOOS}, {"goarch", runtime.GOARCH}, {"pkg", "credrpc/cmd/credrpc-bench"}, {"cpu", m.CPUModel},
			{"kernel", m.Kernel}, {"cores", strconv.Itoa(m.Cores)}, {"go", m.GoVersion}, {"payload", strconv.Itoa(r.Payload)},
			{"seconds", strconv.FormatFloat(r.Seconds, 'g', -1, 64)}, {"commit", m.Commit}} {
			fmt.Fprintf(&b, "%s: %s\n", line[0], line[1]) // without a value it ends that of the report before
		}
		for i := range r.Runs {
			r.writeRun(&b, &r.Runs[i])
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeRun writes the line of a run.
func (r *Report) writeRun(b *strings.Builder, run *Run) {
	if run.Calls == 0 {
		return
	}
	fmt.Fprintf(b, "Benchmark%s/server=%s/load=%v", camelCase(r.Name), oneWord(run.Server), run.Load)
	if r.Axis != nil {
		fmt.Fprintf(b, "/%s=%s", oneWord(r.Axis.Name), strconv.FormatFloat(run.At, 'f', -1, 64))
	}
	fmt.Fprintf(b, "-%d %d %.1f ns/op", max(1, r.Machine.GOMAXPROCS), run.Calls, run.Seconds*1e9/float64(run.Calls))
	for _, f := range Figures() {
		value, known := f.Of(run)
		if !known || run.Offered == nil && strings.HasPrefix(f.Name, "service.") { // in a closed loop it is the latency
			continue
		}
		switch f.Unit {
		case "µs":
			fmt.Fprintf(b, " %.0f %s-ns", value*1e3, f.Name)
		case "µs a call":
			whose := "server-"
			if strings.HasPrefix(f.Name, "callers.") {
				whose = ""
			}
			fmt.Fprintf(b, " %.1f %s%s-ns/op", value*1e3, whose, f.Name)
		case "bytes":
			fmt.Fprintf(b, " %.0f server-%s-bytes", value, f.Name)
		case "calls/s":
			unit := f.Name + "-calls/s"
			if f.Name == "throughput" {
				unit = "calls/s"
			}
			fmt.Fprintf(b, " %.1f %s", value, unit)
		default:
			fmt.Fprintf(b, " %s %s", strconv.FormatFloat(value, 'f', -1, 64), f.Name)
		}
	}
	b.WriteString("\n")
}

// camelCase returns the words of a name, each with a capital letter.
func camelCase(name string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// oneWord replaces what would end a name or a part of it.
func oneWord(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '/' || r == '=' {
			return '_'
		}
		return r
	}, name)
}
