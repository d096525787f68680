package page

import (
	"fmt"
	"slices"

	"credrpc/bench/report"
)

// A value is what a field of a table shows: text, or a figure and how far the rounds
// are apart.
type value struct{ Main, Spread string }

func (v value) empty() bool { return v == value{} }

// A column of a table.
type column struct {
	Head   string
	Text   bool // its fields are words
	Spread bool // its fields have a spread
}

// A table has its rows in groups.
type table struct {
	Columns []column
	Groups  []tableGroup
}

// A tableGroup is rows below a title.
type tableGroup struct {
	Title string
	Rows  [][]value
}

// Width is how many fields a row has: figures and their spreads have one each.
func (t *table) Width() int {
	width := len(t.Columns)
	for _, c := range t.Columns {
		if c.Spread {
			width++
		}
	}
	return width
}

// A field says what a column shows of a cell.
type field struct {
	column
	of      func(c *cell) value
	general bool // a ratio to the floor or the reference
}

// fields are all that a table can have. Those that are empty in all rows are left out.
func fields() []field {
	plain := func(head string, show func(*cell) string) field {
		return field{column: column{Head: head}, of: func(c *cell) value { return value{Main: show(c)} }}
	}
	words := func(head string, show func(*cell) string) field {
		return field{column: column{Head: head, Text: true}, of: func(c *cell) value { return value{Main: show(c)} }}
	}
	spread := func(head string, of func(*cell) value) field {
		return field{column: column{Head: head, Spread: true}, of: of}
	}
	general := func(head string, of func(*cell) *report.Interval) field {
		f := spread(head, func(c *cell) value { return intervalValue(of(c), ratio) })
		f.general = true
		return f
	}
	paired := func(head string, of func(*report.Pair) value) field {
		return spread(head, func(c *cell) value {
			if c.pair == nil {
				return value{}
			}
			return of(c.pair)
		})
	}
	return []field{
		words("server", func(c *cell) string { return printable(c.Server) }),
		spread("calls/s", func(c *cell) value { return spreadValue(&c.CallsPerSecond, figure) }),
		general("× floor", func(c *cell) *report.Interval { return c.TimesFloor }),
		general("× reference", func(c *cell) *report.Interval { return c.TimesReference }),
		words("against", func(c *cell) string {
			if c.pair == nil {
				return ""
			}
			return printable(c.pair.Against)
		}),
		paired("× calls/s", func(p *report.Pair) value { return intervalValue(p.Throughput, ratio) }),
		plain("p50 µs", func(c *cell) string { return microseconds(c.Latency.P50) }),
		plain("p99 µs", func(c *cell) string { return microseconds(c.Latency.P99) }),
		plain("p99.9 µs", func(c *cell) string { return microseconds(c.Latency.P999) }),
		paired("× p99", func(p *report.Pair) value { return intervalValue(p.P99, ratio) }),
		spread("CPU µs a call", func(c *cell) value {
			return value{microseconds(c.UserPerCall + c.SystemPerCall), fmt.Sprintf("%.1f + %.1f", c.UserPerCall, c.SystemPerCall)}
		}),
		paired("CPU µs more", func(p *report.Pair) value { return intervalValue(p.ServerMore, more) }),
		plain("errors", func(c *cell) string {
			if c.Errors == 0 {
				return ""
			}
			return thousands(float64(c.Errors))
		}),
		words("bottleneck", func(c *cell) string { return printable(string(c.Bottleneck)) }),
	}
}

// newTable returns the table of a report: a group for each load and value of the axis.
// Where servers are compared with one another, other ratios are left to the findings.
func newTable(r *report.Report, cells []cell) *table {
	used := slices.DeleteFunc(fields(), func(f field) bool {
		return f.general && len(r.Pairs) > 0 || !slices.ContainsFunc(cells, func(c cell) bool { return !f.of(&c).empty() })
	})
	t := new(table)
	for _, f := range used {
		t.Columns = append(t.Columns, f.column)
	}
	title, short := "", r.Axis == nil || followsLoads(r, cells)
	for i := range cells {
		c := &cells[i]
		now := describeLoad(c.Load)
		if !short {
			now = axisValue(r.Axis, c.At) + ", " + now
		}
		if now != title || i == 0 {
			title = now
			t.Groups = append(t.Groups, tableGroup{Title: title})
		}
		row := make([]value, len(used))
		for j, f := range used {
			row[j] = f.of(c)
		}
		g := &t.Groups[len(t.Groups)-1]
		g.Rows = append(g.Rows, row)
	}
	return t
}
