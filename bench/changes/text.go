package changes

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"credrpc/bench/report"
)

// WriteJSON writes the result to w.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteText writes a table for each report, load and value of the axis, and below what
// has to be known to read them.
func (r *Result) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "old  %s\nnew  %s\n", r.Old, r.New)
	for i := 0; i < len(r.Changes); {
		first := &r.Changes[i]
		rows := [][]string{{"", "old", "new", "change", fmt.Sprintf("%g %% interval", (1-r.Alpha)*100), "p"}}
		for server := ""; i < len(r.Changes); i++ {
			c := &r.Changes[i]
			if c.Report != first.Report || c.Point != first.Point {
				break
			}
			if c.Server != server {
				server = c.Server
				rows = append(rows, []string{server})
			}
			rows = append(rows, c.row())
		}
		fmt.Fprintf(&b, "\n%s, %s\n", first.Report, first.Where)
		report.WriteRows(&b, rows)
	}
	b.WriteString("\n")
	for _, line := range r.remarks() {
		b.WriteString(line + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// String names the file, and says what made it.
func (o Origin) String() string {
	text := fmt.Sprintf("%s: %s, %s", o.Path, o.Command, o.Date.UTC().Format(time.DateTime+" UTC"))
	if o.Commit != "" {
		text += ", commit " + o.Commit
	}
	return text
}

// row returns the cells of a change.
func (c *Change) row() []string {
	title := "  " + c.Figure
	show := func(x float64) string { return fmt.Sprintf("%.1f", x) }
	switch c.Unit {
	case "":
		show = func(x float64) string { return fmt.Sprintf("%.3f", x) }
	case "bytes":
		title += ", MiB"
		show = func(x float64) string { return fmt.Sprintf("%.2f", x/(1<<20)) }
	case "calls/s":
		title += ", " + c.Unit
		show = func(x float64) string { return fmt.Sprintf("%.0f", x) }
	default:
		title += ", " + c.Unit
	}
	change := string(c.Verdict)
	if c.Verdict != Unknown {
		change += " " + percent(c.Ratio)
	}
	interval := "-"
	if c.Low > 0 {
		interval = percent(c.Low) + " to " + percent(c.High)
	}
	return []string{title, show(c.Old), show(c.New), change, interval, fmt.Sprintf("%.2g", c.P)}
}

// percent shows a ratio as a change. It is "-" for one that is not known.
func percent(ratio float64) string {
	if ratio == 0 {
		return "-"
	}
	return fmt.Sprintf("%+.1f %%", (ratio-1)*100)
}

// remarks returns what has to be known to read the tables.
func (r *Result) remarks() []string {
	if len(r.Changes) == 0 {
		return append(r.Missing, "The files have nothing in common.")
	}
	called := 0
	for _, c := range r.Changes {
		if c.Verdict != Unknown {
			called++
		}
	}
	lines := []string{
		"old, new: medians of the rounds. change: median of the ratios of new rounds to old ones, ~ where no difference is called.",
		fmt.Sprintf("%d of %d figures differ, by Mann-Whitney's p, which Holm's method corrects for their number: the probability that even", called, len(r.Changes)),
		fmt.Sprintf("one of these calls is wrong is at most %g. Without the correction chance alone would make %.1f. Each interval is for itself.", r.Alpha, r.Alpha*float64(len(r.Changes))),
		"The runs of two files are not interleaved: the machine may have changed between them, and p knows nothing of that.",
	}
	for _, line := range r.Warnings {
		lines = append(lines, "Warning: "+line)
	}
	return append(lines, r.Missing...)
}
