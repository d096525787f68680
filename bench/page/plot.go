package page

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"image/color"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A Plot is a drawing of a part of a report.
type Plot struct {
	Name    string // of its files, without extension; unique in a page
	Title   string // which the drawing has too
	Reading string // how to read it

	wide          bool // takes the whole width of the page
	width, height vg.Length
	draw          func(p *pen)
}

// Widths of plots, in points, which are pixels of the page.
const (
	narrowWidth = 480
	narrowHigh  = 330
	wideWidth   = 760
)

// fontFamily is what SVG asks for: fonts of the same widths.
const fontFamily = "'Liberation Sans',Arial,Helvetica,sans-serif"

// SVG returns the plot as a file of its own.
func (p *Plot) SVG() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%g" viewBox="0 0 %g %g" font-family="%s" role="img">
<title>%s</title>
<rect width="100%%" height="100%%" fill="#ffffff"/>
%s</svg>
`, p.width, p.height, p.width, p.height, fontFamily, html.EscapeString(p.Title), p.elements())
	return b.Bytes()
}

// Inline returns the plot as a part of the page, whose variables are its colours.
func (p *Plot) Inline() template.HTML {
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`+"\n%s</svg>",
		p.width, p.height, html.EscapeString(p.Title), variables().Replace(p.elements())))
}

// Wide reports whether the plot takes the whole width of the page.
func (p *Plot) Wide() bool { return p.wide }

// elements draws the plot and returns what the SVG consists of. Text is escaped by
// vgsvg. Its font is that of the whole.
func (p *Plot) elements() string {
	c := vgsvg.NewWith(vgsvg.UseWH(p.width, p.height))
	p.drawOn(c)
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		panic(err) // a buffer takes everything
	}
	_, body, _ := strings.Cut(b.String(), "<svg")
	_, body, _ = strings.Cut(body, ">\n")
	body = strings.TrimSuffix(strings.TrimSpace(body), "</svg>")
	return strings.NewReplacer("font-family:Liberation Sans;", "", "font-variant:normal;", "",
		"font-weight:normal;", "", "font-style:normal;", "").Replace(body)
}

// resolution is that of PNG, in dots an inch: two for each pixel of the page.
const resolution = 144

// PNG returns the plot as an image.
func (p *Plot) PNG() ([]byte, error) {
	c := vgimg.NewWith(vgimg.UseWH(p.width, p.height), vgimg.UseDPI(resolution), vgimg.UseBackgroundColor(color.White))
	p.drawOn(c)
	var b bytes.Buffer
	if _, err := (vgimg.PngCanvas{Canvas: c}).WriteTo(&b); err != nil {
		return nil, fmt.Errorf("page: %s: %w", p.Name, err)
	}
	return b.Bytes(), nil
}

// drawOn draws the plot inside a margin, with its title above.
func (p *Plot) drawOn(c vg.CanvasSizer) {
	const margin = 8
	pen := &pen{draw.Crop(draw.New(c), margin, -margin, margin, -margin)}
	pen.heading(p.Title)
	p.draw(pen)
}
