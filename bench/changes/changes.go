package changes

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"credrpc/bench/report"

	"golang.org/x/perf/benchmath"
)

// DefaultAlpha is the usual probability of a false call.
const DefaultAlpha = 0.05

// A Result is what the comparison of two files found.
type Result struct {
	Old     Origin   `json:"old"`
	New     Origin   `json:"new"`
	Alpha   float64  `json:"alpha"` // most probable share of results with a false call
	Changes []Change `json:"changes"`
	// What one file has and the other lacks, and what makes the comparison less
	// than it seems, in sentences.
	Missing  []string `json:"missing"`
	Warnings []string `json:"warnings"`

	tails tails
}

// An Origin says where a file comes from.
type Origin struct {
	Path    string    `json:"path"`
	Command string    `json:"command"`
	Date    time.Time `json:"date"`
	Commit  string    `json:"commit,omitempty"`
}

// A Change is a figure of one server at one point, before and after.
type Change struct {
	Report string `json:"report"` // its name
	report.Point
	Where        string  `json:"where"` // the point in words
	Server       string  `json:"server"`
	Kind         string  `json:"kind"`
	Figure       string  `json:"figure"`
	Unit         string  `json:"unit"`
	HigherBetter bool    `json:"higher_is_better"`
	Old          float64 `json:"old"` // medians of the rounds
	New          float64 `json:"new"`
	OldRounds    int     `json:"old_rounds"`
	NewRounds    int     `json:"new_rounds"`
	// Ratio of new to old, and where it lies. Low and High are 0 if there are too
	// few rounds for any interval.
	Ratio   float64 `json:"ratio"`
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	P       float64 `json:"p"`      // of the Mann-Whitney U test
	HolmP   float64 `json:"p_holm"` // corrected for the number of changes
	Verdict Verdict `json:"verdict"`
}

// A Verdict says whether there is a difference, and which.
type Verdict string

// The verdicts.
const (
	Better  Verdict = "better"
	Worse   Verdict = "worse"
	Unknown Verdict = "~" // no difference is called
)

// timesFloor is the name of the figure that the floor is the measure of.
const timesFloor = "throughput × floor"

// Compare compares two files that were read from paths. Differences are called such
// that one of them is wrong in a share of at most alpha of all results.
func Compare(oldPath string, before *report.File, newPath string, after *report.File, alpha float64) *Result {
	r := &Result{Old: originOf(oldPath, before), New: originOf(newPath, after), Alpha: alpha, tails: tails{}}
	for _, a := range before.Reports {
		b := find(after, a.Name)
		if b == nil {
			r.missing("%s is only in %s.", a.Name, oldPath)
			continue
		}
		r.environment(a, b)
		r.compare(a, b)
	}
	for _, b := range after.Reports {
		if find(before, b.Name) == nil {
			r.missing("%s is only in %s.", b.Name, newPath)
		}
	}
	r.holm()
	r.yardsticks()
	r.needed()
	return r
}

// originOf describes a file.
func originOf(path string, f *report.File) Origin {
	o := Origin{Path: path, Command: f.Command}
	if len(f.Reports) > 0 {
		o.Date, o.Commit = f.Reports[0].Machine.Date, f.Reports[0].Machine.Commit
	}
	return o
}

// find returns the report of a name, nil if there is none.
func find(f *report.File, name string) *report.Report {
	if i := slices.IndexFunc(f.Reports, func(r *report.Report) bool { return r.Name == name }); i >= 0 {
		return f.Reports[i]
	}
	return nil
}

// missing notes what only one file has.
func (r *Result) missing(format string, args ...any) {
	r.Missing = append(r.Missing, fmt.Sprintf(format, args...))
}

// where says at which point of a report servers are compared.
func where(r *report.Report, p report.Point) string {
	if r.Axis == nil {
		return p.Load.String()
	}
	return strings.TrimSpace(fmt.Sprintf("%v, %s %g %s", p.Load, r.Axis.Name, p.At, r.Axis.Unit))
}

// compare compares the runs of two reports.
func (r *Result) compare(a, b *report.Report) {
	for _, p := range a.Points() {
		before, after := a.RunsAt(p), b.RunsAt(p)
		for _, s := range a.Servers {
			old, now := before[s.Name], after[s.Name]
			switch {
			case len(old) > 0 && len(now) > 0:
				r.figures(a, p, s, old, now)
				if s.Kind != report.KindFloor {
					throughput := report.Figures()[0]
					r.add(a, p, s, report.Figure{Name: timesFloor, HigherBetter: true},
						throughput.Ratios(old, before[a.Fastest(report.KindFloor, before)]),
						throughput.Ratios(now, after[b.Fastest(report.KindFloor, after)]))
				}
			case len(old) > 0:
				r.missing("%s, %s: %s is only in %s.", a.Name, where(a, p), s.Name, r.Old.Path)
			}
		}
	}
	for _, p := range b.Points() {
		before, after := a.RunsAt(p), b.RunsAt(p)
		for _, s := range b.Servers {
			if len(after[s.Name]) > 0 && len(before[s.Name]) == 0 {
				r.missing("%s, %s: %s is only in %s.", b.Name, where(b, p), s.Name, r.New.Path)
			}
		}
	}
}

// compared are the names of the figures that are compared.
func compared() []string { return []string{"throughput", "p50", "p99", "p99.9", "cpu", "rss"} }

// figures adds the changes of a server at a point.
func (r *Result) figures(of *report.Report, p report.Point, s report.Server, old, now []report.Run) {
	for _, f := range report.Figures() {
		if slices.Contains(compared(), f.Name) {
			r.add(of, p, s, f, f.Values(old), f.Values(now))
		}
	}
}

// add adds the change of a figure, unless a file does not have it.
func (r *Result) add(of *report.Report, p report.Point, s report.Server, f report.Figure, old, now []float64) {
	if len(old) == 0 || len(now) == 0 {
		return
	}
	// Each sample is sorted in place.
	a := benchmath.NewSample(old, &benchmath.DefaultThresholds)
	b := benchmath.NewSample(now, &benchmath.DefaultThresholds)
	c := Change{Report: of.Name, Point: p, Where: where(of, p), Server: s.Name, Kind: s.Kind, Figure: f.Name, Unit: f.Unit, HigherBetter: f.HigherBetter,
		Old: report.SpreadOf(old).Median, New: report.SpreadOf(now).Median, OldRounds: len(old), NewRounds: len(now)}
	c.P = benchmath.AssumeNothing.Compare(a, b).P
	c.Ratio, c.Low, c.High = r.tails.shift(old, now, r.Alpha)
	r.Changes = append(r.Changes, c)
}
