package page

import (
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A row is what a server did under a load: a dot with whiskers, or a bar of two parts.
type row struct {
	name  string
	style style

	spread point     // y, low and high; a dot
	rounds []float64 // small dots beside it

	first, second float64 // parts of a bar
	text          string  // at the right
}

// A rowGroup is the rows of a load.
type rowGroup struct {
	title string
	rows  []row
}

// A rowChart is a plot of rows, below one another.
type rowChart struct {
	x      *scale
	groups []rowGroup
	bars   bool
	keys   []key
	cut    bool // some bars are longer than the scale
}

const (
	rowHeight   = 16
	groupHeight = 20
	axisHeight  = 34
	nameLength  = 30 // most characters of a name
)

// plot returns the drawing, which is as high as its rows.
func (c *rowChart) plot(name, title, reading string) *Plot {
	height := vg.Length(2*8 + headingSize + 8 + axisHeight)
	for _, g := range c.groups {
		height += groupHeight + vg.Length(len(g.rows))*rowHeight
	}
	if len(c.keys) > 0 {
		height += keyLine + 6
	}
	return &Plot{Name: name, Title: title, Reading: reading, wide: true, width: wideWidth, height: height, draw: c.draw}
}

// draw draws the rows from above, and the axis below.
func (c *rowChart) draw(p *pen) {
	p.legend(c.keys)
	names, texts := letters(textSize, inkTone()), letters(textSize, mutedTone())
	field := p.Canvas // where the figures are
	var left, right vg.Length
	for _, g := range c.groups {
		for _, r := range g.rows {
			left = max(left, names.Width(short(r.name, nameLength)))
			right = max(right, texts.Width(r.text))
		}
	}
	field.Min.X += left + 24
	field.Max.X -= right + 10
	y := field.Max.Y
	for _, g := range c.groups {
		write(&p.Canvas, bold(texts), vg.Point{X: p.Min.X, Y: y - groupHeight*0.6}, g.title)
		y -= groupHeight
		field.Max.Y, field.Min.Y = y, y-vg.Length(len(g.rows))*rowHeight
		c.grid(&field)
		for _, r := range g.rows {
			middle := y - rowHeight/2
			write(&p.Canvas, names, vg.Point{X: p.Min.X + 8, Y: middle}, short(r.name, nameLength))
			if c.bars {
				c.bar(&field, r, middle)
			} else {
				c.dot(&field, r, middle)
			}
			write(&p.Canvas, aligned(texts, draw.XRight), vg.Point{X: p.Max.X, Y: middle}, r.text)
			y -= rowHeight
		}
	}
	c.axis(&field)
}

// grid draws lines at the ticks.
func (c *rowChart) grid(field *draw.Canvas) {
	for _, t := range c.x.Ticks(c.x.least, c.x.most) {
		if !t.IsMinor() {
			x := field.X(c.x.norm(t.Value))
			field.StrokeLine2(stroke(gridTone(), 0.75), x, field.Min.Y, x, field.Max.Y)
		}
	}
}

// axis labels the ticks, below the field, and says what they are.
func (c *rowChart) axis(field *draw.Canvas) {
	labels := aligned(letters(textSize, mutedTone()), draw.XCenter)
	for _, t := range c.x.Ticks(c.x.least, c.x.most) {
		if !t.IsMinor() {
			write(field, labels, vg.Point{X: field.X(c.x.norm(t.Value)), Y: field.Min.Y - 11}, t.Label)
		}
	}
	title := aligned(letters(textSize, inkTone()), draw.XCenter)
	write(field, title, vg.Point{X: field.Center().X, Y: field.Min.Y - 27}, c.x.label)
}

// dot draws the median with whiskers to the least and the greatest, and the rounds.
func (c *rowChart) dot(field *draw.Canvas, r row, y vg.Length) {
	at := func(v float64) vg.Length { return field.X(c.x.norm(v)) }
	tone := r.style.tone()
	if c.x.holds(r.spread.low) && c.x.holds(r.spread.high) {
		low, high := at(r.spread.low), at(r.spread.high)
		field.StrokeLine2(stroke(tone, 1.2), low, y, high, y)
		field.StrokeLine2(stroke(tone, 1.2), low, y-3, low, y+3)
		field.StrokeLine2(stroke(tone, 1.2), high, y-3, high, y+3)
	}
	for _, v := range r.rounds {
		if c.x.holds(v) {
			field.DrawGlyphNoClip(draw.GlyphStyle{Color: pale(tone).light, Radius: 1.6, Shape: draw.CircleGlyph{}}, vg.Point{X: at(v), Y: y})
		}
	}
	if c.x.holds(r.spread.y) {
		(&pen{*field}).mark(r.style, vg.Point{X: at(r.spread.y), Y: y}, 4)
	}
}

// bar draws both parts, and an open end where they are longer than the scale.
func (c *rowChart) bar(field *draw.Canvas, r row, y vg.Length) {
	const half = rowHeight/2 - 3
	part := func(from, to float64, t tone) {
		from, to = min(from, c.x.most), min(to, c.x.most)
		if !c.x.holds(from) || !c.x.holds(to) || to <= from {
			return
		}
		a, b := field.X(c.x.norm(from)), field.X(c.x.norm(to))
		field.FillPolygon(t.light, []vg.Point{{X: a, Y: y - half}, {X: b, Y: y - half}, {X: b, Y: y + half}, {X: a, Y: y + half}})
	}
	part(0, r.first, r.style.tone())
	part(r.first, r.first+r.second, pale(r.style.tone()))
	if usable(r.first+r.second) && r.first+r.second > c.x.most {
		x := field.Max.X
		for _, back := range []vg.Length{8, 13} {
			gap := stroke(paperTone(), 2.5)
			field.StrokeLine2(gap, x-back-3, y-half-1, x-back+3, y+half+1)
		}
	}
}

// sampleBar is the sample of a part of bars.
func sampleBar(t tone) func(p *pen, from, to vg.Point) {
	return func(p *pen, from, to vg.Point) {
		p.FillPolygon(t.light, []vg.Point{{X: from.X, Y: from.Y - 4}, {X: to.X, Y: from.Y - 4}, {X: to.X, Y: from.Y + 4}, {X: from.X, Y: from.Y + 4}})
	}
}

// limit sets the scale of bars so that a few that are much longer than the others do
// not make those invisible, and reports whether it cut some.
func (c *rowChart) limit() {
	var totals []float64
	for _, g := range c.groups {
		for _, r := range g.rows {
			if v := r.first + r.second; usable(v) && v > 0 {
				totals = append(totals, v)
			}
		}
	}
	slices.Sort(totals)
	const muchLonger = 8 // than the median
	shown := totals
	if len(totals) > 0 {
		shown = slices.DeleteFunc(slices.Clone(totals), func(v float64) bool { return v > muchLonger*totals[len(totals)/2] })
	}
	c.cut = len(shown) < len(totals)
	c.x.cover(shown)
}
