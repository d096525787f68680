package condition

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"credrpc/bench/load"
	"credrpc/bench/report"
)

// Names of the two files of a comparison.
const (
	Old = "old"
	New = "new"
)

// A Condition is a statement that results must not fulfil. The zero value is none.
type Condition struct {
	text        string
	left, right *expression
	operator    string
	load        *load.Load // only there, nil for everywhere
	loadAt      int        // position of load
	at          *float64   // only there, nil for everywhere
	references  []*reference
}

// A reference is a figure of a server.
type reference struct {
	side   string // [Old], [New], or "" where there is one file
	server string // or a kind
	figure report.Figure
	at     int // position of the server
}

// String returns the reference as it could be written.
func (r *reference) String() string {
	name := r.server + "." + r.figure.Name
	if r.side != "" {
		name = r.side + "." + name
	}
	return name
}

// An expression is a number, a reference, or two expressions and an operator.
type expression struct {
	operator    byte // of + - * /, or 0
	left, right *expression
	reference   *reference
	number      float64
	dimension   dimension
}

// A dimension says what an expression is a number of: powers of a time and of
// memory.
type dimension struct{ time, memory int }

// String names the dimension.
func (d dimension) String() string {
	switch d {
	case dimension{}:
		return string(report.Number)
	case dimension{time: 1}:
		return string(report.Time)
	case dimension{memory: 1}:
		return string(report.Memory)
	}
	return "a product of times or memory"
}

// An Error says where and why a condition is wrong. Programs end with status 2 for
// it.
type Error struct {
	Text     string // of the condition
	Position int    // in bytes, from 0
	Reason   string
}

// Error says what is wrong, and points at it.
func (e *Error) Error() string {
	column := utf8.RuneCountInString(e.Text[:e.Position])
	return fmt.Sprintf("column %d: %s\n  %s\n  %s^", column+1, e.Reason, e.Text, strings.Repeat(" ", column))
}

// ExitCode is the exit status for a wrong command line.
func (*Error) ExitCode() int { return 2 }

// UnmarshalText reads a condition, as [Parse] does.
func (c *Condition) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*c = *parsed
	return nil
}

// String returns the condition as it was written.
func (c *Condition) String() string { return c.text }

// CheckFiles returns an [Error] if the condition speaks of two files where there is
// one, or does not say of which where there are two.
func (c *Condition) CheckFiles(two bool) error {
	for _, r := range c.references {
		switch {
		case two && r.side == "":
			return &Error{c.text, r.at, fmt.Sprintf("of which file? Write %s.%s or %s.%s", Old, r, New, r)}
		case !two && r.side != "":
			return &Error{c.text, r.at, fmt.Sprintf("%s and %s are for the comparison of two files", Old, New)}
		}
	}
	return nil
}

// Check returns an [Error] if the condition names a server or a load that the files
// do not have. They need not have runs yet.
func (c *Condition) Check(files Files) error {
	for _, r := range c.references {
		var names []string
		for _, of := range files[r.side] {
			names = append(names, serverNames(of)...)
		}
		if !slices.Contains(names, r.server) {
			return &Error{c.text, r.at, fmt.Sprintf("there is no server %q; there are %s", r.server, list(names))}
		}
	}
	if c.load == nil {
		return nil
	}
	var loads []string
	for _, of := range files[c.references[0].side] {
		for _, l := range of.Loads {
			loads = append(loads, l.String())
		}
	}
	if !slices.Contains(loads, c.load.String()) {
		return &Error{c.text, c.loadAt, fmt.Sprintf("there is no load %v; there are %s", c.load, list(loads))}
	}
	return nil
}

// serverNames are those by which conditions can name servers of a report.
func serverNames(r *report.Report) (names []string) {
	for _, s := range r.Servers {
		names = append(names, s.Name, s.Kind)
	}
	return names
}

// list shows names, each once, with quotation marks where a condition needs them.
func list(names []string) string {
	var shown []string
	for _, name := range names {
		if !plain(name) {
			name = `"` + name + `"`
		}
		if !slices.Contains(shown, name) {
			shown = append(shown, name)
		}
	}
	if len(shown) == 0 {
		return "none"
	}
	return strings.Join(shown, ", ")
}
