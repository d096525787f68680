package changes

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"credrpc/bench/report"
)

const (
	// highPressure is the share of time in percent for which something waited for a
	// core before the first run, from which on the machine was not free.
	highPressure = 10

	// highShare is the share of the cores that other processes had during the runs,
	// from which on a report's table warns too.
	highShare = 0.05
)

// warn notes once what makes the comparison less than it seems.
func (r *Result) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(r.Warnings, text) {
		r.Warnings = append(r.Warnings, text)
	}
}

// environment warns of what differs besides what was measured, and of what else
// happened on the machine.
func (r *Result) environment(a, b *report.Report) {
	m, n := &a.Machine, &b.Machine
	for _, d := range []struct {
		what     string
		old, now any
	}{
		{"The kernel", m.Kernel, n.Kernel},
		{"The processor", m.CPUModel, n.CPUModel},
		{"The number of cores", m.Cores, n.Cores},
		{"Go", m.GoVersion, n.GoVersion},
		{"GOMAXPROCS", m.GOMAXPROCS, n.GOMAXPROCS},
		{"The longest backlog", m.SOMAXCONN, n.SOMAXCONN},
		{"The nice value", m.Nice, n.Nice},
		{"The limit of descriptors", m.DescriptorsSoft, n.DescriptorsSoft},
		{"The payload of " + a.Name, a.Payload, b.Payload},
		{"The seconds of a run of " + a.Name, a.Seconds, b.Seconds},
		{"What changes from run to run of " + a.Name, axis(a), axis(b)},
	} {
		if d.old != d.now {
			r.warn("%s differs: old %v, new %v.", d.what, d.old, d.now)
		}
	}
	r.settings(a, b)
	for _, of := range []struct {
		file string
		*report.Report
	}{{"old", a}, {"new", b}} {
		if p := of.PressureBefore; p != nil && p.CPU.Share >= highPressure {
			r.warn("Before %s of the %s file began, something waited for a core %.0f %% of the time.", of.Name, of.file, p.CPU.Share)
		}
		if share := of.OthersShare(); share >= highShare {
			r.warn("Other processes took %.0f %% of the cores while %s of the %s file ran.", share*100, of.Name, of.file)
		}
		if n := of.Errors(); n > 0 {
			r.warn("%d calls of %s in the %s file were not answered right.", n, of.Name, of.file)
		}
		if of.Interrupted {
			r.warn("%s of the %s file was interrupted.", of.Name, of.file)
		}
	}
}

// axis names the variable of a report.
func axis(r *report.Report) string {
	if r.Axis == nil {
		return "nothing"
	}
	return r.Axis.Name
}

// settings warns of settings of reports and servers that differ.
func (r *Result) settings(a, b *report.Report) {
	old, now := chosen(a), chosen(b)
	names := slices.Sorted(maps.Keys(old))
	for name := range now {
		if _, both := old[name]; !both {
			names = append(names, name)
		}
	}
	for _, name := range names {
		x, had := old[name]
		y, has := now[name]
		switch {
		case had && has && x != y:
			r.warn("%s, %s differs: old %s, new %s.", a.Name, name, x, y)
		case had != has && !strings.HasPrefix(name, coresOf): // servers that are missing are said elsewhere
			r.warn("%s, %s is known of one file only: %s.", a.Name, name, x+y)
		}
	}
}

// coresOf begins the name of the number of cores that a server can use.
const coresOf = "cores for "

// chosen returns what was chosen for a report, by its name.
func chosen(r *report.Report) map[string]string {
	all := map[string]string{}
	for _, s := range r.Settings {
		all[s.Name] = s.Value
	}
	for _, s := range r.Servers {
		all[coresOf+s.Name] = fmt.Sprint(s.Cores)
	}
	return all
}

// yardsticks warns if servers changed that are only there to be compared with.
func (r *Result) yardsticks() {
	var changed []string
	for _, c := range r.Changes {
		if c.Verdict != Unknown && c.Figure == "throughput" && (c.Kind == report.KindFloor || c.Kind == report.KindReference) {
			changed = append(changed, c.Server+" under "+c.Where)
		}
	}
	if len(changed) > 0 {
		r.warn("Servers that others are measured by changed too, so the machine probably did, and differences may be its: %s. %q is nearly free of that.",
			strings.Join(changed, ", "), timesFloor)
	}
}

// needed warns of reports that have too few rounds for a difference to be called one,
// and says how many they need.
func (r *Result) needed() {
	need := report.MinRounds
	for !enough(need, need, r.Alpha, len(r.Changes)) {
		need++
	}
	type rounds struct{ old, now int }
	few := map[string]rounds{}
	var names []string
	for _, c := range r.Changes {
		if enough(c.OldRounds, c.NewRounds, r.Alpha, len(r.Changes)) {
			continue
		}
		least, seen := few[c.Report]
		if !seen {
			names, least = append(names, c.Report), rounds{c.OldRounds, c.NewRounds}
		}
		few[c.Report] = rounds{min(least.old, c.OldRounds), min(least.now, c.NewRounds)}
	}
	for _, name := range names {
		r.warn("%s has too few rounds for a difference to be called one among %d: it takes %d in each file, %s.",
			name, len(r.Changes), need, more(need, few[name].old, few[name].now))
	}
}

// more says how many rounds each file lacks.
func more(need, old, now int) string {
	var parts []string
	for _, f := range []struct {
		name string
		has  int
	}{{"old", old}, {"new", now}} {
		if f.has < need {
			parts = append(parts, fmt.Sprintf("%d more than the %d of the %s one", need-f.has, f.has, f.name))
		}
	}
	return strings.Join(parts, " and ")
}
