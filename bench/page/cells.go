package page

import (
	"cmp"
	"maps"
	"slices"

	"credrpc/bench/load"
	"credrpc/bench/report"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A cell is what one kind of server did under a load, at a value of the axis: that of
// the fastest variant.
type cell struct {
	*report.Summary
	pair  *report.Pair // nil if it is compared with no other
	kind  string
	style style
	runs  []*report.Run
}

// cellsOf returns the cells of a report in the order of its summaries, without those at
// a value of the axis that cannot be.
func cellsOf(r *report.Report, styles map[string]style) (cells []cell) {
	for i := range r.Summaries {
		s := &r.Summaries[i]
		if !s.Shown || !usable(s.At) {
			continue
		}
		kind := kindOf(s.Server, s.Kind)
		c := cell{Summary: s, kind: kind, style: styles[kind]}
		for j := range r.Runs {
			if run := &r.Runs[j]; run.Server == s.Server && run.Load == s.Load && run.At == s.At {
				c.runs = append(c.runs, run)
			}
		}
		for _, p := range r.Pairs {
			if p.Server == s.Server && p.Load == s.Load && p.At == s.At {
				c.pair = p
			}
		}
		cells = append(cells, c)
	}
	return cells
}

// figures returns one figure of each run.
func (c *cell) figures(of func(*report.Run) float64) (values []float64) {
	for _, r := range c.runs {
		if v := of(r); usable(v) {
			values = append(values, v)
		}
	}
	return values
}

// open reports whether calls arrived by a schedule.
func (c *cell) open() bool { return len(c.runs) > 0 && c.runs[0].Offered != nil }

// merged returns the histograms of all runs in one: of latencies or of service times.
func (c *cell) merged(decode func(*load.Group) (*hdrhistogram.Histogram, error)) (*hdrhistogram.Histogram, error) {
	var all *hdrhistogram.Histogram
	for _, r := range c.runs {
		h, err := decode(&r.Group)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = h
		} else {
			all.Merge(h)
		}
	}
	return all, nil
}

// usesAxis reports whether the cells have several values of the axis.
func usesAxis(r *report.Report, cells []cell) bool {
	return r.Axis != nil && len(valuesOf(cells)) > 1
}

// valuesOf returns the values of the axis that the cells have.
func valuesOf(cells []cell) []float64 {
	values := map[float64]bool{}
	for _, c := range cells {
		values[c.At] = true
	}
	return slices.Sorted(maps.Keys(values))
}

// A family is cells that differ in server and value of the axis only, so that lines
// may join them.
type family struct {
	load  string // "" if the load is what the axis is about
	cells []cell
}

// familiesOf returns the cells of each load. Where every load has one value of the
// axis, as with a number of callers, they are one family.
func familiesOf(r *report.Report, cells []cell) []family {
	if followsLoads(r, cells) {
		return []family{{cells: cells}}
	}
	return byLoad(r, cells)
}

// followsLoads reports whether the load says what the value of the axis is.
func followsLoads(r *report.Report, cells []cell) bool {
	return usesAxis(r, cells) && !slices.ContainsFunc(byLoad(r, cells), func(f family) bool { return len(valuesOf(f.cells)) > 1 })
}

// byLoad returns the cells of each load, without loads that have none.
func byLoad(r *report.Report, cells []cell) (families []family) {
	for _, l := range r.Loads {
		f := family{load: l.String()}
		for _, c := range cells {
			if c.Load == l {
				f.cells = append(f.cells, c)
			}
		}
		if len(f.cells) > 0 {
			families = append(families, f)
		}
	}
	return families
}

// common returns the values of the axis at which every server has been, or all if there
// is none.
func (f *family) common() (values []float64) {
	lines := f.lines()
	for _, at := range valuesOf(f.cells) {
		if !slices.ContainsFunc(lines, func(line []cell) bool {
			return !slices.ContainsFunc(line, func(c cell) bool { return c.At == at })
		}) {
			values = append(values, at)
		}
	}
	if values == nil {
		return valuesOf(f.cells)
	}
	return values
}

// lines returns the cells of each kind of server, ordered by the axis. Kinds are in the
// order of the cells.
func (f *family) lines() (lines [][]cell) {
	var kinds []string
	for _, c := range f.cells {
		if !slices.Contains(kinds, c.kind) {
			kinds = append(kinds, c.kind)
		}
	}
	for _, kind := range kinds {
		var line []cell
		for _, c := range f.cells {
			if c.kind == kind {
				line = append(line, c)
			}
		}
		slices.SortStableFunc(line, func(a, b cell) int { return cmp.Compare(a.At, b.At) })
		lines = append(lines, line)
	}
	return lines
}
