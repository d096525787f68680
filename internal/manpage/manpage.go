package manpage

import (
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// A Section is added after those that follow from the command line.
type Section struct {
	Title string // in capitals, such as "EXIT STATUS"
	Text  string
}

// Write writes the page of app, in section 1 of the manual.
func Write(w io.Writer, app *kong.Application, sections Sections) error {
	p := new(page)
	p.macro("TH", strings.ToUpper(app.Name), "1", "", app.Name, "User Commands")
	p.line(".ad l") // there is nothing to stretch in a line that is one long list
	p.macro("SH", "NAME")
	p.line(escape(app.Name) + ` \- ` + escape(strings.TrimSuffix(app.Help, ".")))
	p.macro("SH", "SYNOPSIS")
	p.synopsis(app.Node)
	if app.Detail != "" {
		p.macro("SH", "DESCRIPTION")
		p.text(app.Detail)
	}
	p.macro("SH", "COMMANDS")
	for _, command := range app.Leaves(true) {
		p.command(command)
	}
	for _, s := range sections {
		p.macro("SH", s.Title)
		p.text(s.Text)
	}
	_, err := io.WriteString(w, p.String())
	return err
}

// A page is what has been written of a page.
type page struct{ strings.Builder }

// synopsis lists the commands, a line each.
func (p *page) synopsis(app *kong.Node) {
	for i, command := range app.Leaves(true) {
		if i > 0 {
			p.macro("br")
		}
		p.summary(command)
	}
}

// summary writes the usage line of a command, its words in bold.
func (p *page) summary(command *kong.Node) {
	words := command.Path()
	rest := strings.TrimPrefix(command.Summary(), words)
	p.line(`\fB` + escape(root(command).Name+" "+words) + `\fR` + escape(rest))
}

// command describes a command, its arguments and its flags.
func (p *page) command(command *kong.Node) {
	p.macro("SS", command.Path())
	p.text(command.Help)
	if command.Detail != "" {
		p.macro("PP")
		p.text(command.Detail)
	}
	for _, argument := range command.Positional {
		p.item(`\fI`+escape(argument.Summary())+`\fR`, argument.Help)
	}
	for _, flags := range command.AllFlags(true) {
		for _, flag := range flags {
			if flag.Name != "help" {
				p.flag(flag)
			}
		}
	}
}

func root(node *kong.Node) *kong.Node {
	for node.Parent != nil {
		node = node.Parent
	}
	return node
}

// flag describes a flag, its name in bold and its value in italics. A long list may be
// broken after its commas.
func (p *page) flag(flag *kong.Flag) {
	name, value, takesValue := strings.Cut(flag.String(), "=")
	term := `\fB` + escape(name) + `\fR`
	if takesValue {
		// A long list may be broken after its commas.
		term += `=\fI` + strings.ReplaceAll(escape(value), ",", `,\:`) + `\fR`
	}
	p.item(term, flag.Help)
}

// item writes a tagged paragraph.
func (p *page) item(term, text string) {
	p.macro("TP")
	p.line(term)
	p.line(escape(text))
}

// text writes paragraphs, and indented lines as they are.
func (p *page) text(text string) {
	const plain, example, gap = 0, 1, 2
	state, empty := plain, 0 // empty lines that may belong to an example
	for line := range strings.Lines(strings.TrimSpace(text)) {
		line = strings.TrimRight(line, "\n")
		indented := strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "  ")
		switch {
		case line == "" && state == example:
			empty++
			continue
		case line == "":
			state = gap
			continue
		case indented && state != example:
			p.macro("PP")
			p.macro("RS", "4")
			p.macro("EX")
			state = example
		case !indented && state == example:
			p.endExample()
			p.macro("PP")
			state = plain
		case state == gap:
			p.macro("PP")
			state = plain
		default:
			p.WriteString(strings.Repeat("\n", empty))
		}
		empty = 0
		p.line(escape(strings.TrimPrefix(strings.TrimPrefix(line, "\t"), "    ")))
	}
	if state == example {
		p.endExample()
	}
}

func (p *page) endExample() {
	p.macro("EE")
	p.macro("RE")
}

// macro writes a request with its arguments.
func (p *page) macro(name string, arguments ...string) {
	p.WriteString("." + name)
	for _, a := range arguments {
		p.WriteString(` "` + strings.ReplaceAll(escape(a), `"`, `\(dq`) + `"`)
	}
	p.WriteString("\n")
}

func (p *page) line(text string) { p.WriteString(text + "\n") }

// escape makes text stand for itself: groff_man(7) and groff_char(7) say which
// characters it would read otherwise. A hyphen that is not escaped may be shown as
// one that no command line takes.
func escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", "\\(ga", `^`, `\(ha`, `~`, `\(ti`).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}
