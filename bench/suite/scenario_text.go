package suite

import (
	"fmt"
	"io"
	"strings"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/report"
)

// A scenarioText is a report of one run, to be written.
type scenarioText struct {
	*report.Report
	run *report.Run
}

// WriteScenario writes what [Bench.Scenario] found as text.
func WriteScenario(w io.Writer, found *report.Report) error {
	r := scenarioText{found, &found.Runs[0]}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n", r.run.Server, r.describe())
	r.writeThroughput(&b)
	r.writeTimes(&b)
	r.writeSteps(&b)
	r.writeErrors(&b)
	r.writeOthers(&b)
	r.writeCosts(&b)
	for _, notice := range r.Notices {
		fmt.Fprintln(&b, notice)
	}
	if r.run.Interrupted {
		b.WriteString("Interrupted: the figures are of the part that was made.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// describe says the load in words.
func (r *scenarioText) describe() string {
	run := r.run
	var loop string
	switch {
	case run.Arrivals != nil:
		loop = fmt.Sprintf("open loop, %v, %d callers", run.Arrivals, run.Callers)
	case run.Load.Batch > 1:
		loop = fmt.Sprintf("closed loop, %d callers with %d calls in flight each", run.Callers, run.Load.Batch)
	default:
		loop = fmt.Sprintf("closed loop, %d callers", run.Callers)
	}
	sizes := fmt.Sprintf("%d bytes", run.Payload)
	if len(run.Sizes) > 0 {
		sizes = "bytes " + run.Sizes.String()
	}
	text := fmt.Sprintf("%s, %s; %.2f s", loop, sizes, run.Seconds)
	if run.WarmUp > 0 {
		text += fmt.Sprintf(" after a warm-up of %v", time.Duration(run.WarmUp*float64(time.Second)))
	}
	return text
}

// writeThroughput says how much of what was asked for was obtained.
func (r *scenarioText) writeThroughput(b *strings.Builder) {
	run := r.run
	fmt.Fprintf(b, "throughput   %.0f calls/s", run.CallsPerSecond)
	if o := run.Offered; o != nil {
		fmt.Fprintf(b, " of %.0f offered", o.PerSecond)
	}
	fmt.Fprintf(b, ", %s of payload\n", perSecond(run.BytesPerSecond))
	o := run.Offered
	if o == nil {
		return
	}
	fmt.Fprintf(b, "arrivals     %d", o.Scheduled)
	if o.Unstarted > 0 {
		fmt.Fprintf(b, ", %d of them never begun; their age at the end is in the latency, as a lower bound", o.Unstarted)
	}
	b.WriteString("\n")
}

// perSecond shows bytes per second.
func perSecond(bytes float64) string {
	if bytes >= 1<<20 {
		return fmt.Sprintf("%.1f MiB/s", bytes/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB/s", bytes/(1<<10))
}

// writeTimes shows latency, its parts, and the phases of the service time.
func (r *scenarioText) writeTimes(b *strings.Builder) {
	run := r.run
	rows := [][]string{{"µs", "p50", "p90", "p99", "p99.9", "max"}, times("latency", run.Latency)}
	if o := run.Offered; o != nil {
		rows = append(rows, times("  pacing error", o.PacingError), times("  caller wait", o.CallerWait))
	}
	rows = append(rows, times("  service time", run.ServiceTime))
	b.WriteString("\n")
	report.WriteRows(b, rows)
	if p := run.Phases; p != nil {
		rows = [][]string{{"µs", "mean", "p99"}, phase("connect", p.Connect), phase("send", p.Send),
			phase("wait", p.Wait), phase("receive", p.Receive)}
		b.WriteString("\n")
		report.WriteRows(b, rows)
	}
	b.WriteString("\n")
}

func times(name string, l load.Latency) []string {
	row := []string{name}
	for _, us := range []float64{l.P50, l.P90, l.P99, l.P999, l.Max} {
		row = append(row, fmt.Sprintf("%.1f", us))
	}
	return row
}

func phase(name string, p load.Phase) []string {
	return []string{name, fmt.Sprintf("%.1f", p.Mean), fmt.Sprintf("%.1f", p.P99)}
}

// writeSteps shows the steps of an open loop, if there are several.
func (r *scenarioText) writeSteps(b *strings.Builder) {
	if len(r.run.Steps) == 0 {
		return
	}
	rows := [][]string{{"step", "seconds", "offered/s", "calls/s", "p50 µs", "p99 µs", "p99.9 µs", "service p99", "unstarted", "errors"}}
	for i := range r.run.Steps {
		s := &r.run.Steps[i]
		rows = append(rows, []string{fmt.Sprint(i + 1), fmt.Sprintf("%.2f", s.Seconds), fmt.Sprintf("%.0f", s.PerSecond),
			fmt.Sprintf("%.0f", s.CallsPerSecond), fmt.Sprintf("%.1f", s.Latency.P50), fmt.Sprintf("%.1f", s.Latency.P99),
			fmt.Sprintf("%.1f", s.Latency.P999), fmt.Sprintf("%.1f", s.ServiceTime.P99), fmt.Sprint(s.Unstarted), fmt.Sprint(s.Errors())})
	}
	report.WriteRows(b, rows)
	b.WriteString("\n")
}

// writeErrors says what became of calls that were not answered right.
func (r *scenarioText) writeErrors(b *strings.Builder) {
	run := r.run
	fmt.Fprintf(b, "errors       %d of %d calls", run.Errors(), run.Calls+run.Errors())
	if run.Errors() > 0 {
		fmt.Fprintf(b, ": %d failed, %d refused, %d wrong", run.Failed, run.Refused, run.Wrong)
	}
	fmt.Fprintf(b, "; the backlog was full %d times\n", run.BacklogFull)
	for _, kind := range run.ErrorKinds {
		fmt.Fprintf(b, "  %d × %s\n", kind.Count, kind.What)
	}
}

// writeOthers says what became of users and of hostile callers.
func (r *scenarioText) writeOthers(b *strings.Builder) {
	if len(r.run.Users) > 0 {
		rows := [][]string{{"user", "callers", "calls/s", "p50 µs", "p99 µs", "errors"}}
		for i := range r.run.Users {
			u := &r.run.Users[i]
			rows = append(rows, []string{fmt.Sprint(u.UID), fmt.Sprint(u.Callers), fmt.Sprintf("%.0f", u.CallsPerSecond),
				fmt.Sprintf("%.1f", u.Latency.P50), fmt.Sprintf("%.1f", u.Latency.P99), fmt.Sprint(u.Errors())})
		}
		b.WriteString("\n")
		report.WriteRows(b, rows)
	}
	if len(r.run.Hostile) == 0 {
		return
	}
	rows := [][]string{{"hostile", "callers", "attempts", "answered", "refused", "ended", "left", "unconnected", "backlog full"}}
	var said []string
	for i := range r.run.Hostile {
		h := &r.run.Hostile[i]
		row := []string{string(h.Misdeed), fmt.Sprint(h.Callers)}
		for _, n := range []uint64{h.Attempts, h.Answered, h.Refused, h.Ended, h.Left, h.Unconnected, h.BacklogFull} {
			row = append(row, fmt.Sprint(n))
		}
		rows = append(rows, row)
		if h.FirstRefusal != "" {
			said = append(said, fmt.Sprintf("  %s: %s\n", h.Misdeed, h.FirstRefusal))
		}
	}
	b.WriteString("\n")
	report.WriteRows(b, rows)
	b.WriteString(strings.Join(said, "") + "\n")
}

// writeCosts says what both sides used, and what the bottleneck was.
func (r *scenarioText) writeCosts(b *strings.Builder) {
	run := r.run
	calls := float64(max(1, run.Calls+run.Errors()))
	cpu := func(user, system float64) string {
		return fmt.Sprintf("CPU %.1f µs a call (%.1f user + %.1f system), %.2f cores", (user+system)/calls*1e6,
			user/calls*1e6, system/calls*1e6, (user+system)/max(run.Seconds, 1e-9))
	}
	if p := run.Process; p != nil {
		fmt.Fprintf(b, "server       %s\n", cpu(p.UserSeconds, p.SystemSeconds))
		fmt.Fprintf(b, "             a call %.3f voluntary and %.3f involuntary context switches, %.4f page faults (%d major)\n",
			float64(p.VoluntarySwitches)/calls, float64(p.InvoluntarySwitches)/calls, float64(p.MinorFaults+p.MajorFaults)/calls, p.MajorFaults)
		fmt.Fprintf(b, "             RSS %.1f MiB (%+.1f), %d descriptors (%+d), %d threads (%+d)\n",
			mib(p.MemoryAfter.RSS), mib(p.MemoryAfter.RSS)-mib(p.MemoryBefore.RSS),
			p.DescriptorsAfter, p.DescriptorsAfter-p.DescriptorsBefore, p.ThreadsAfter, p.ThreadsAfter-p.ThreadsBefore)
	}
	r.writeRuntime(b, calls)
	r.writeSystemCalls(b)
	if checks := r.Servers[0].Checks; checks != "" {
		fmt.Fprintf(b, "credentials  taken %s\n", checks)
	}
	fmt.Fprintf(b, "client       %s\n", cpu(run.UserSeconds, run.SystemSeconds))
	if all := run.MachineBusySeconds + run.MachineIdleSeconds; all > 0 {
		fmt.Fprintf(b, "machine      %.0f %% of %d cores busy\n", run.MachineBusySeconds/all*100, r.Machine.Cores)
	}
	if run.Bottleneck != "" {
		fmt.Fprintf(b, "bottleneck   %s: %s\n", run.Bottleneck, verdict(run.Bottleneck))
	}
}

// writeRuntime says what the Go runtime of the server did, if it was asked.
func (r *scenarioText) writeRuntime(b *strings.Builder, calls float64) {
	g := r.run.Runtime
	if g == nil {
		return
	}
	fmt.Fprintf(b, "Go runtime   a call %.3f allocations, %.1f bytes, %.4f new goroutines; %d goroutines (%+d), %s, GOMAXPROCS %d\n",
		float64(g.Allocations)/calls, float64(g.AllocatedBytes)/calls, float64(g.GoroutinesCreated)/calls,
		g.GoroutinesAfter, g.GoroutinesAfter-g.GoroutinesBefore, r.Servers[0].GoVersion, g.GOMAXPROCS)
	fmt.Fprintf(b, "             %d garbage collections", g.Collections)
	if server := r.run.ServerUserSeconds + r.run.ServerSystemSeconds; g.Collections > 0 && server > 0 {
		fmt.Fprintf(b, ": %.1f %% of the server's CPU, pauses of %.2f ms together", g.GCSeconds/server*100, g.GCPauses*1e3)
	}
	b.WriteString("; ")
	if g.SchedulerWaits > 0 {
		fmt.Fprintf(b, "goroutines that could run waited p50 %.1f, p99 %.1f µs for a processor\n", g.SchedulerP50, g.SchedulerP99)
		return
	}
	b.WriteString("no goroutine that could run was seen to wait for a processor\n")
}

// writeSystemCalls says how many system calls the server makes, if they were counted.
func (r *scenarioText) writeSystemCalls(b *strings.Builder) {
	if len(r.run.SystemCalls) == 0 {
		return
	}
	total, names := systemCalls(r.run.SystemCalls)
	fmt.Fprintf(b, "system calls %.2f a call, in another run under strace: %s\n", total, names)
}

func mib(n uint64) float64 { return float64(n) / (1 << 20) }

// verdict says what a bottleneck means for the figures.
func verdict(b report.Bottleneck) string {
	switch b {
	case report.BoundByServer:
		return "server-bound, the server was busy, and the figures are its own"
	case report.BoundByGenerator:
		return "client-bound, the load generator was late or busy, and the figures say nothing about the server's limit"
	case report.BoundByCores:
		return "machine-bound, server, load generator and other processes took cores from one another"
	}
	return "neither side was busy: each waited for the other, or for the next arrival"
}
