package top

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Options say what is shown.
type Options struct {
	Path     string        // of the control socket
	Metrics  string        // instead of it: where metrics are served, unix:PATH or HOST:PORT
	Interval time.Duration // between two looks
	Count    int           // of intervals; 0 is without end
	Users    int           // most users of an interval in JSON
	JSON     bool          // lines of JSON instead of text
}

// Lines writes a line to w for every interval, until o.Count, the end of ctx, or a
// look at the server that fails.
func Lines(ctx context.Context, w io.Writer, o Options) error {
	source, names := o.source(), make(userNames)
	ticker := time.NewTicker(o.Interval)
	defer ticker.Stop()
	earlier, err := source.ask(ctx)
	if err != nil {
		return err
	}
	for n := 0; o.Count == 0 || n < o.Count; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		var now *totals
		if now, err = source.ask(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("the server has ended, or answers no more: %w", err)
		}
		if err := write(w, names, between(earlier, now), n, &o); err != nil {
			return err
		}
		earlier = now
	}
	return nil
}

// write writes the n-th line.
func write(w io.Writer, names userNames, i *Interval, n int, o *Options) error {
	if o.JSON {
		sortUsers(i.Users, byCalls)
		i.Users = i.Users[:min(o.Users, len(i.Users))]
		i.Latency.Buckets = nil // hundreds; "stats" has them
		for k := range i.Users {
			i.Users[k].Name = names.of(i.Users[k].UID)
		}
		return json.NewEncoder(w).Encode(i)
	}
	text := i.line()
	if n%headEvery == 0 {
		text = lineHead + text
	}
	_, err := io.WriteString(w, text)
	return err
}

// headEvery is after how many lines the head comes again: a page of a terminal.
const headEvery = 20

const lineHead = "    time   calls  calls/s  failed  dropped  refused  in flight      p50      p99    p99.9  cpu\n"

// line returns the interval as a line below lineHead. Reasons of refusals follow.
func (i *Interval) line() string {
	l := &i.Latency
	text := fmt.Sprintf("%8s %7d %8s %7d %8d %8d %10d %8s %8s %8s %4s",
		i.Time.Local().Format(time.TimeOnly), i.Calls, rateText(i.CallsPerSecond), i.Failed, i.Dropped, i.refused(), i.InFlight,
		durationText(l.P50, l.Count), durationText(l.P99, l.Count), durationText(l.P999, l.Count), i.cpuText())
	for _, reason := range i.reasons() {
		text += fmt.Sprintf("  %s %d", reason, i.Refused[reason])
	}
	if i.Restarted {
		text += "  (the server was started anew)"
	}
	return text + "\n"
}

// reasons returns why calls were refused, the most frequent first.
func (i *Interval) reasons() []string {
	var list []string
	for reason := range i.Refused {
		list = append(list, reason)
	}
	slices.SortFunc(list, func(a, b string) int {
		if i.Refused[a] != i.Refused[b] {
			return int(i.Refused[b]) - int(i.Refused[a])
		}
		return strings.Compare(a, b)
	})
	return list
}

// cpuText returns the processor time as a part of one processor.
func (i *Interval) cpuText() string {
	if i.Length <= 0 || i.lacks("cpu_ns") {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", 100*i.CPU.Seconds()/i.Length.Seconds())
}

// rateText returns a rate with three digits or all before the point.
func rateText(rate float64) string {
	switch {
	case rate == 0:
		return "0"
	case rate < 10:
		return fmt.Sprintf("%.2f", rate)
	case rate < 1000:
		return fmt.Sprintf("%.1f", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}

// durationText returns d with three digits, or a dash for a quantile of nothing.
func durationText(d time.Duration, count uint64) string {
	if count == 0 {
		return "-"
	}
	value, unit := float64(d), "ns"
	for _, next := range []string{"µs", "ms", "s"} {
		if value < 1000 {
			break
		}
		value, unit = value/1000, next
	}
	switch {
	case unit == "ns" || value >= 100:
		return fmt.Sprintf("%.0f%s", value, unit)
	case value >= 10:
		return fmt.Sprintf("%.1f%s", value, unit)
	}
	return fmt.Sprintf("%.2f%s", value, unit)
}

// sizeText returns bytes with a unit and three digits.
func sizeText(bytes float64) string {
	unit := "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if bytes < 1000 {
			break
		}
		bytes, unit = bytes/1024, next
	}
	return strings.TrimSuffix(rateText(bytes), ".0") + " " + unit
}

// ageText returns a long duration in its two largest units.
func ageText(d time.Duration) string {
	d = d.Truncate(time.Second)
	days := d / (24 * time.Hour)
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return d.String()
}
