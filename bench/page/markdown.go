package page

import (
	"fmt"
	"io"
	"strings"

	"credrpc/bench/report"
)

// WriteMarkdown writes the table that the README has: of every report that compares
// with the floor or the reference at no more than one value of an axis. Where there are
// several, each has a heading. Summaries are made anew from the runs, in place. It
// returns [ErrEmpty] if there is none.
func WriteMarkdown(w io.Writer, sources []Source) error {
	var tables []string
	var names []string
	for _, s := range sources {
		for _, r := range s.File.Reports {
			if err := r.Summarise(); err != nil {
				return fmt.Errorf("page: %s: report %q: %w; the file is damaged, make it anew", s.Path, r.Name, err)
			}
			cells := cellsOf(r, nil)
			if usesAxis(r, cells) || !compared(cells) {
				continue
			}
			tables = append(tables, markdownTable(cells))
			names = append(names, printable(r.Name)+" ("+printable(shortName(s.Path, sources))+")")
		}
	}
	if len(tables) == 0 {
		return fmt.Errorf("%w: the table is for results that compare servers with the floor or the reference under the same loads, as \"credrpc-bench --json FILE\" makes them; others have a page and plots only", ErrEmpty)
	}
	for i, t := range tables {
		if len(tables) > 1 {
			t = "### " + escapeMarkdown(names[i]) + "\n\n" + t + "\n"
		}
		if _, err := io.WriteString(w, t); err != nil {
			return err
		}
	}
	return nil
}

// compared reports whether cells have ratios to the floor or the reference.
func compared(cells []cell) bool {
	for _, c := range cells {
		if c.TimesFloor != nil || c.TimesReference != nil {
			return true
		}
	}
	return false
}

// markdownTable is a table of cells, one a line.
func markdownTable(cells []cell) string {
	var b strings.Builder
	b.WriteString("| load | server | thousand calls/s | × floor | × reference | p50 µs | p99 µs | server CPU µs a call | CPU × reference |\n" +
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, c := range cells {
		cpu := "-"
		if c.CPUTimesReference != nil {
			cpu = fmt.Sprintf("%.2f", c.CPUTimesReference.Median)
		}
		fmt.Fprintf(&b, "| %v | %s | %.1f | %s | %s | %.0f | %.0f | %.1f | %s |\n", c.Load, escapeMarkdown(inWords(c.kind)),
			c.CallsPerSecond.Median/1000,
			shortly(c.TimesFloor),
			shortly(c.TimesReference),
			c.Latency.P50, c.Latency.P99, c.UserPerCall+c.SystemPerCall, cpu)
	}
	return b.String()
}

// shortly shows a ratio with two decimals; that of a server to itself has no interval.
func shortly(i *report.Interval) string {
	switch {
	case i == nil:
		return "-"
	case i.Min == 1 && i.Max == 1:
		return "1"
	}
	return fmt.Sprintf("%s%.2f (%.2f-%.2f)", i.Verdict.Mark(), i.Median, i.Low, i.High)
}

// inWords says what the kinds are that only the benchmark calls so.
func inWords(kind string) string {
	switch kind {
	case "eventloop":
		return "credrpc, handler may block (default)"
	case "eventloop-on-loop":
		return "credrpc, handler on the loop"
	}
	return kind
}

// escapeMarkdown keeps text from being markup.
func escapeMarkdown(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "&", "&amp;", "*", `\*`, "_", `\_`, "[", `\[`, "`", "\\`", `\`, `\\`).Replace(text)
}
