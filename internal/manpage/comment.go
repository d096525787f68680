package manpage

import (
	"go/doc/comment"
	"io"
	"strings"
)

// WriteComment writes the page of a program, in a section of the manual, from its package
// comment, for a program whose command line kong does not parse. The first sentence of the comment must be
// "Command NAME" and what it does; headings become sections.
func WriteComment(w io.Writer, name, section, text string) error {
	doc := new(comment.Parser).Parse(text)
	p := new(page)
	p.macro("TH", strings.ToUpper(name), section, "", name, map[string]string{"1": "User Commands", "8": "System Administration"}[section])
	p.macro("SH", "NAME")
	synopsis := strings.TrimPrefix(firstSentence(text), "Command "+name+" ")
	p.line(escape(name) + ` \- ` + escape(synopsis))
	p.macro("SH", "DESCRIPTION")
	p.blocks(doc.Content)
	_, err := io.WriteString(w, p.String())
	return err
}

// firstSentence returns the first sentence of text on one line, without its stop.
func firstSentence(text string) string {
	sentence, _, _ := strings.Cut(strings.Join(strings.Fields(text), " ")+" ", ". ")
	return sentence
}

// blocks writes what stands under a heading, and headings.
func (p *page) blocks(blocks []comment.Block) {
	headed := true // no paragraph macro right below a heading
	for _, block := range blocks {
		heading, ok := block.(*comment.Heading)
		if ok {
			p.macro("SH", strings.ToUpper(plain(heading.Text)))
		} else if _, isList := block.(*comment.List); !headed && !isList {
			p.macro("PP")
		}
		headed = ok
		p.block(block)
	}
}

func (p *page) block(block comment.Block) {
	switch b := block.(type) {
	case *comment.Paragraph:
		for line := range strings.Lines(plain(b.Text)) {
			p.line(escape(strings.TrimRight(line, "\n")))
		}
	case *comment.Code:
		p.macro("RS", "4")
		p.macro("EX")
		for line := range strings.Lines(b.Text) {
			p.line(escape(strings.TrimRight(line, "\n")))
		}
		p.endExample()
	case *comment.List:
		for _, item := range b.Items {
			mark := `\(bu`
			if item.Number != "" {
				mark = item.Number + "."
			}
			p.macro("TP", "4")
			p.line(mark)
			for _, content := range item.Content {
				p.block(content)
			}
		}
	}
}

// plain returns the characters of text. A link stands for its own text.
func plain(text []comment.Text) string {
	var b strings.Builder
	for _, t := range text {
		switch t := t.(type) {
		case comment.Plain:
			b.WriteString(string(t))
		case comment.Italic:
			b.WriteString(string(t))
		case *comment.Link:
			b.WriteString(plain(t.Text))
		case *comment.DocLink:
			b.WriteString(plain(t.Text))
		}
	}
	return b.String()
}
