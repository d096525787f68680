package manpage

import "github.com/alecthomas/kong"

// Sections are what a program adds to its page. A program that has a [Flag] binds
// them with [kong.Bind].
type Sections []Section

// A Flag writes the page of the program to standard output and ends the program.
type Flag bool

// BeforeApply is called by kong when it meets the flag.
func (Flag) BeforeApply(app *kong.Kong, sections Sections) error {
	err := Write(app.Stdout, app.Model, sections)
	app.Exit(0)
	return err
}
