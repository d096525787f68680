package page

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"credrpc/bench/report"
)

// ErrEmpty reports a result file in which there is nothing to show.
var ErrEmpty = errors.New("page: nothing to show")

// A Source is a result file.
type Source struct {
	Path string
	File *report.File
}

// Read reads result files. It returns [ErrEmpty] for one without reports, and
// [report.ErrFormat] for one that is none or of another version.
func Read(paths []string) ([]Source, error) {
	var sources []Source
	for i, path := range paths {
		if slices.Contains(paths[:i], path) {
			return nil, fmt.Errorf("page: %s is named twice; name each file once", path)
		}
		f, err := report.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if len(f.Reports) == 0 || slices.Contains(f.Reports, nil) {
			return nil, fmt.Errorf("%w: %s has no report; make it anew", ErrEmpty, path)
		}
		sources = append(sources, Source{path, f})
	}
	return sources, nil
}

// A Page is what is shown of result files.
type Page struct {
	files []*fileView
	plots []*Plot
}

// A fileView is the part of a page about a file.
type fileView struct {
	Name         string // short, and different from the others'
	Command      string // of the benchmark
	Reports      []*reportView
	Environments []environment
}

// A reportView is the part of a page about a report.
type reportView struct {
	ID          string
	Heading     string
	Title       string
	Machine     string
	Servers     []string
	Facts       []fact
	Findings    []string
	Matrices    []matrix
	Checks      []fact // servers and how often they take credentials, where no matrix says it
	Verdicts    []verdict
	Notices     []string
	Table       *table
	Plots       []*Plot
	Environment string // its ID
}

// New lays out a page of files. Summaries are made anew from the runs, in place. It
// returns an error that names the file if a histogram is broken.
func New(sources []Source) (*Page, error) {
	var reports []*report.Report
	for _, s := range sources {
		reports = append(reports, s.File.Reports...)
	}
	styles := assignStyles(reports)
	p := new(Page)
	for _, s := range sources {
		f := &fileView{Name: printable(shortName(s.Path, sources)), Command: printable(s.File.Command)}
		for _, r := range s.File.Reports {
			v, err := newReportView(r, styles)
			if err != nil {
				return nil, fmt.Errorf("page: %s: report %q: %w; the file is damaged, make it anew", s.Path, r.Name, err)
			}
			v.ID = fmt.Sprintf("report-%d", p.reports()+len(f.Reports)+1)
			prefix := v.Heading
			if len(sources) > 1 {
				v.Heading += " (" + f.Name + ")"
				prefix = strings.TrimSuffix(f.Name, ".json") + "-" + prefix
			}
			f.Reports = append(f.Reports, v)
			f.place(v, r)
			p.add(prefix, v.Plots)
		}
		p.files = append(p.files, f)
	}
	return p, nil
}

// reports returns how many there are.
func (p *Page) reports() (n int) {
	for _, f := range p.files {
		n += len(f.Reports)
	}
	return n
}

// shortName is the name of a file without its directory, unless another has it too.
func shortName(path string, sources []Source) string {
	for _, s := range sources {
		if s.Path != path && filepath.Base(s.Path) == filepath.Base(path) {
			return path
		}
	}
	return filepath.Base(path)
}

// newReportView lays out a report.
func newReportView(r *report.Report, styles map[string]style) (*reportView, error) {
	if err := r.Summarise(); err != nil {
		return nil, err
	}
	cells := cellsOf(r, styles)
	plots, err := plotsOf(r, cells)
	if err != nil {
		return nil, err
	}
	v := &reportView{
		Heading: printable(r.Name), Title: printable(r.Title), Machine: machineLine(r.Machine), Facts: facts(r),
		Matrices: matrices(r, cells), Verdicts: verdicts(r, cells), Notices: notices(r), Plots: plots,
	}
	for _, s := range r.Servers {
		v.Servers = append(v.Servers, printable(s.Name))
	}
	for _, finding := range r.Findings {
		v.Findings = append(v.Findings, printable(finding))
	}
	if len(cells) > 0 {
		v.Table = newTable(r, cells)
	}
	if len(v.Matrices) == 0 {
		for _, s := range r.Servers {
			kind := kindOf(s.Name, s.Kind)
			v.Checks = append(v.Checks, fact{kind, checksOf(r, kind)})
		}
	}
	return v, nil
}

// busyMachine is from which share of the cores on other processes are worth a notice,
// as in [report.Report.WriteTable].
const busyMachine = 0.05

// notices returns what has to be known of the figures.
func notices(r *report.Report) (all []string) {
	if others := r.OthersShare(); others > busyMachine && usable(others) {
		all = append(all, fmt.Sprintf("Other processes took %.0f %% of the machine's cores while the loads ran: expect wide spreads.", others*100))
	}
	for _, n := range r.Notices {
		all = append(all, printable(n))
	}
	for _, p := range r.Pairs {
		if p.FirstError != "" {
			all = append(all, fmt.Sprintf("%s under %v: %s.", printable(p.Server), p.Load, printable(p.FirstError)))
		}
	}
	if n := r.Errors(); n > 0 {
		all = append(all, fmt.Sprintf("%s calls were not answered right.", thousands(float64(n))))
	}
	if r.Interrupted {
		all = append(all, "Interrupted: figures come from the runs that were finished.")
	}
	if len(r.Runs) == 0 {
		all = append(all, "No run was finished.")
	}
	return all
}

// place notes where a report was made.
func (f *fileView) place(v *reportView, r *report.Report) {
	i := slices.IndexFunc(f.Environments, func(e environment) bool { return sameEnvironment(e.machine, r.Machine) })
	if i < 0 {
		i = len(f.Environments)
		e := newEnvironment(r.Machine)
		e.ID = "environment-" + strings.TrimPrefix(v.ID, "report-")
		f.Environments = append(f.Environments, e)
	}
	e := &f.Environments[i]
	e.Of = append(e.Of, v.Heading)
	v.Environment = e.ID
}

// add names the plots of a report for their files and adds them.
func (p *Page) add(prefix string, plots []*Plot) {
	for _, plot := range plots {
		name := fileName(prefix + "-" + plot.Name)
		plot.Name = name
		for n := 2; slices.ContainsFunc(p.plots, func(other *Plot) bool { return other.Name == plot.Name }); n++ {
			plot.Name = fmt.Sprintf("%s-%d", name, n)
		}
		p.plots = append(p.plots, plot)
	}
}

// fileName makes a name of letters, digits, dots and single dashes, which begins with none
// of the latter two and is not too long for a file system.
func fileName(text string) string {
	const longest = 120
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case r == '.' && b.Len() > 0:
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= longest {
			break
		}
	}
	return strings.Trim(b.String(), "-.")
}

// Plots returns the plots of all reports, in the order of the page.
func (p *Page) Plots() []*Plot { return p.plots }

//go:embed page.html page.css
var sheets embed.FS

// WriteHTML writes the page.
func (p *Page) WriteHTML(w io.Writer) error {
	css, err := sheets.ReadFile("page.css")
	if err != nil {
		return err
	}
	t, err := template.ParseFS(sheets, "page.html")
	if err != nil {
		return err
	}
	return t.Execute(w, map[string]any{
		"Files":     p.files,
		"Several":   p.reports() > 1,
		"MinRounds": report.MinRounds,
		"Style":     template.CSS(toneVariables() + string(css)),
	})
}

// toneVariables has the tones as CSS variables; on paper they are the light ones.
func toneVariables() string {
	var light, dark strings.Builder
	for _, t := range tones() {
		fmt.Fprintf(&light, "--%s:%s;", t.name, hex(t.light))
		fmt.Fprintf(&dark, "--%s:%s;", t.name, hex(t.dark))
	}
	return fmt.Sprintf(":root{color-scheme:light dark;%s}\n@media screen and (prefers-color-scheme:dark){:root{%s}}\n", &light, &dark)
}
