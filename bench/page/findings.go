package page

import (
	"fmt"
	"slices"
	"strings"

	"credrpc/bench/report"
)

// A matrix shows a ratio of each server at each place.
type matrix struct {
	Title  string // what it is the ratio of, and to what
	Places []string
	Rows   []matrixRow
}

// A matrixRow is a server's.
type matrixRow struct {
	Server string
	Checks string // how often it takes credentials
	Values []value
}

// manyPlaces is from how many columns on a matrix has the ends of the axis only.
const manyPlaces = 6

// matrices returns what the servers are compared with: the floor, the reference, and
// whatever each has in its pairs.
func matrices(r *report.Report, cells []cell) (all []matrix) {
	for _, m := range []struct {
		title string
		of    func(*cell) value
	}{
		{"Calls a second, × floor", func(c *cell) value { return intervalValue(c.TimesFloor, ratio) }},
		{"Calls a second, × reference", func(c *cell) value { return intervalValue(c.TimesReference, ratio) }},
		{"Server's processor time a call, × reference", func(c *cell) value { return intervalValue(c.CPUTimesReference, ratio) }},
		{"Calls a second, × the server that it is compared with", func(c *cell) value {
			if c.pair == nil || c.pair.Throughput == nil {
				return value{}
			}
			v := intervalValue(c.pair.Throughput, ratio)
			v.Spread += " × " + printable(c.pair.Against)
			return v
		}},
	} {
		if slices.ContainsFunc(cells, func(c cell) bool { return !m.of(&c).empty() }) {
			all = append(all, newMatrix(m.title, r, cells, m.of))
		}
	}
	return all
}

// newMatrix arranges the values of cells.
func newMatrix(title string, r *report.Report, cells []cell, of func(*cell) value) matrix {
	short := r.Axis == nil || followsLoads(r, cells)
	cells = places(r, cells)
	m := matrix{Title: title}
	name := func(c *cell) string {
		if short {
			return c.Load.String()
		}
		return c.Load.String() + ", " + axisValue(r.Axis, c.At)
	}
	var kinds []string
	for i := range cells {
		if place := name(&cells[i]); !slices.Contains(m.Places, place) {
			m.Places = append(m.Places, place)
		}
		if kind := cells[i].kind; !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
			m.Rows = append(m.Rows, matrixRow{Server: kind, Checks: checksOf(r, kind)})
		}
	}
	for i := range m.Rows {
		m.Rows[i].Values = make([]value, len(m.Places))
	}
	for i := range cells {
		c := &cells[i]
		m.Rows[slices.Index(kinds, c.kind)].Values[slices.Index(m.Places, name(c))] = of(c)
	}
	return m
}

// places returns the cells that a matrix shows: all, or if they are too many those at
// the ends of that part of the axis that all servers share.
func places(r *report.Report, cells []cell) (kept []cell) {
	values := valuesOf(cells)
	if !usesAxis(r, cells) || len(values) < manyPlaces && len(r.Loads) == 1 {
		return cells
	}
	for _, f := range familiesOf(r, cells) {
		values := f.common()
		for _, c := range f.cells {
			if len(values) > 0 && (c.At == values[0] || c.At == values[len(values)-1]) {
				kept = append(kept, c)
			}
		}
	}
	return kept
}

// checksOf says how often servers of a kind take the caller's credentials.
func checksOf(r *report.Report, kind string) string {
	for _, s := range r.Servers {
		if kindOf(s.Name, s.Kind) == kind && s.Checks != "" {
			return printable(string(s.Checks))
		}
	}
	return "unknown"
}

// A verdict is what decided the speed, and where.
type verdict struct{ What, Where string }

// verdictWords says what each bottleneck means for the figures.
func verdictWords(b report.Bottleneck) string {
	switch b {
	case report.BoundByServer:
		return "Server-bound: the server was busy, and the figures are its own."
	case report.BoundByGenerator:
		return "Client-bound: says nothing about the server but that it can do at least this much."
	case report.BoundByCores:
		return "Machine-bound: server, load generator and other processes took cores from one another, so figures say how they fare together on this machine."
	case report.BoundByWaiting:
		return "Waiting: neither side was busy, so figures are about latency and wakeups, not about how much the server can do."
	}
	return "Unknown: nobody measured the server's process, so the figures may be the server's or the load generator's."
}

// verdicts returns them all, with the places in the order of the cells.
func verdicts(r *report.Report, cells []cell) (all []verdict) {
	for _, b := range []report.Bottleneck{report.BoundByServer, report.BoundByGenerator, report.BoundByCores, report.BoundByWaiting, ""} {
		var bound []cell
		for _, c := range cells {
			if verdictWords(c.Bottleneck) == verdictWords(b) {
				bound = append(bound, c)
			}
		}
		if len(bound) > 0 {
			all = append(all, verdict{verdictWords(b), whereabouts(r, bound, cells)})
		}
	}
	return all
}

// whereabouts names loads and servers; over an axis it counts them.
func whereabouts(r *report.Report, bound, cells []cell) string {
	if len(bound) == len(cells) {
		return "All servers under all loads."
	}
	var parts []string
	if !usesAxis(r, cells) {
		for _, f := range byLoad(r, bound) {
			var servers []string
			for _, c := range f.cells {
				servers = append(servers, c.kind)
			}
			parts = append(parts, f.load+" on "+strings.Join(servers, ", "))
		}
		return strings.Join(parts, "; ") + "."
	}
	all := family{cells: cells}
	for _, line := range all.lines() {
		n := 0
		for _, c := range bound {
			if c.kind == line[0].kind {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s in %d of %d", line[0].kind, n, len(line)))
		}
	}
	return strings.Join(parts, "; ") + "."
}
