package suite

import (
	"fmt"
	"io"
	"strings"

	"credrpc/bench/measure"
	"credrpc/bench/report"
)

// WriteIdle writes what [Bench.Idle] found with one server and one number of
// connections as text.
func WriteIdle(w io.Writer, c *IdleConfig, r *report.Report) error {
	var first *report.Idle
	for i := range r.Runs {
		if first == nil {
			first = r.Runs[i].Idle
		}
	}
	connections := float64(c.Connections[0])
	name := ""
	if len(r.Servers) > 0 {
		name = r.Servers[0].Name
	}
	with, without := place{name, r.Loads[0], connections}, place{name, r.Loads[0], 0}
	latency, throughput := report.RatioOf(timesBetween(r, with, without, p99)), report.RatioOf(between(r, with, without, callsPerSecond))
	if latency == nil {
		_, err := fmt.Fprintln(w, "no round was finished")
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s under %v, beside it %.0f connections that send nothing\n"+
		"memory of the server  none      with all   more\n", name, r.Loads[0], connections)
	for _, row := range []struct {
		name string
		of   func(measure.Memory) uint64
	}{
		{"RSS", func(m measure.Memory) uint64 { return m.RSS }},
		{"PSS", func(m measure.Memory) uint64 { return m.PSS }},
		{"peak", func(m measure.Memory) uint64 { return m.Peak }},
	} {
		none, all := mib(row.of(first.Before)), mib(row.of(first.During))
		fmt.Fprintf(&b, "  %-18s  %-8.2f  %-9.2f  %+.2f\n", row.name+" MiB", none, all, all-none)
	}
	if kernel := report.SpreadOf(at(r, with, kernelMore)); first.KernelBefore > 0 {
		fmt.Fprintf(&b, "  kernel, both ends                        %+.2f\n", kernel.Median/(1<<20))
	}
	fmt.Fprintf(&b, "p99 with by without   %s\ncalls/s with by w/o   %s\nerrors                %d\n",
		latency, throughput, r.Errors())
	c.writeRounds(&b, r)
	fmt.Fprintf(&b, "%d connections missed their deadline of %g s. Memory of the server is of the first round, the kernel's the\n"+
		"median of all; ratios are medians of those within a round (95 %% confidence interval).\n", c.MissedDeadlines(r), c.RequestTimeout.Seconds())
	for _, line := range append(report.Legend([]*report.Interval{latency, throughput}), r.Notices...) {
		b.WriteString(line + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeRounds writes a line for each run with connections and the one without in the
// same round.
func (c *IdleConfig) writeRounds(b *strings.Builder, r *report.Report) {
	for i := range r.Runs {
		with := &r.Runs[i]
		if with.Idle == nil {
			continue
		}
		for j := range r.Runs {
			if without := &r.Runs[j]; without.Round == with.Round && without.Idle == nil {
				fmt.Fprintf(b, "round %d: p99 %.0f µs without, %.0f with; %d ended between %.2f and %.2f s after the last was opened\n",
					with.Round+1, without.Latency.P99, with.Latency.P99, with.Idle.Ended, with.Idle.FirstEnd, with.Idle.LastEnd)
			}
		}
	}
}

// kernelMore is how many bytes more of objects the kernel had with connections.
func kernelMore(r *report.Run) float64 {
	if r.Idle == nil {
		return 0
	}
	return float64(r.Idle.KernelDuring) - float64(r.Idle.KernelBefore)
}

// userMore is how many bytes more the server had in memory.
func userMore(r *report.Run) float64 {
	if r.Idle == nil {
		return 0
	}
	return float64(r.Idle.During.RSS) - float64(r.Idle.Before.RSS)
}
