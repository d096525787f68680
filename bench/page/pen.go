package page

import (
	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A pen draws on a part of a canvas in the styles of the page.
type pen struct{ draw.Canvas }

// Sizes of text, in points.
const (
	headingSize = 12
	textSize    = 10
)

// letters returns a style of text, which begins at its point, in the middle of a line.
func letters(size vg.Length, t tone) text.Style {
	return text.Style{
		Color:   t.light,
		Font:    font.Font{Typeface: "Liberation", Variant: "Sans", Size: size},
		Handler: text.Plain{Fonts: font.DefaultCache},
		YAlign:  draw.YCenter,
	}
}

// write writes a line of text whose small letters have their middle at a point. The
// middle of the font is lower, since it counts what reaches below the line.
func write(c *draw.Canvas, s text.Style, at vg.Point, line string) {
	at.Y += s.Font.Size * 0.15
	c.FillText(s, at, line)
}

// bold returns the style with bold letters.
func bold(s text.Style) text.Style {
	s.Font.Weight = xfont.WeightBold
	return s
}

// aligned returns the style with another horizontal alignment.
func aligned(s text.Style, x text.XAlignment) text.Style {
	s.XAlign = x
	return s
}

// heading writes a title and leaves what is below it.
func (p *pen) heading(title string) {
	s := bold(letters(headingSize, inkTone()))
	write(&p.Canvas, s, vg.Point{X: p.Min.X, Y: p.Max.Y - headingSize/2}, fitting(s, title, p.Max.X-p.Min.X))
	p.Max.Y -= headingSize + 8
}

// fitting shortens text to a width.
func fitting(s text.Style, line string, width vg.Length) string {
	for n := len([]rune(line)); n > 1 && s.Width(line) > width; n-- {
		line = short(line, n-1)
	}
	return line
}

// A key is an entry of a legend.
type key struct {
	name string
	draw func(p *pen, from, to vg.Point) // the sample, along a line
}

const (
	keyLine   = 15 // height of a line of a legend
	keySample = 26 // length of a sample
	keySpace  = 14 // between entries
)

// legend writes the keys above, in as many lines as they need, and leaves what is
// below.
func (p *pen) legend(keys []key) {
	if len(keys) == 0 {
		return
	}
	s := letters(textSize, inkTone())
	x, y := p.Min.X, p.Max.Y-keyLine/2
	for _, k := range keys {
		name := fitting(s, k.name, p.Max.X-p.Min.X-keySample-4)
		width := keySample + 4 + s.Width(name)
		if x > p.Min.X && x+width > p.Max.X {
			x, y = p.Min.X, y-keyLine
		}
		k.draw(p, vg.Point{X: x, Y: y}, vg.Point{X: x + keySample, Y: y})
		write(&p.Canvas, s, vg.Point{X: x + keySample + 4, Y: y}, name)
		x += width + keySpace
	}
	p.Max.Y = y - keyLine/2 - 6
}

// stroke returns a line of a tone.
func stroke(t tone, width vg.Length, dashes ...vg.Length) draw.LineStyle {
	return draw.LineStyle{Color: t.light, Width: width, Dashes: dashes}
}

// mark draws the marker of a style. One that is not filled hides the line behind it.
func (p *pen) mark(s style, at vg.Point, radius vg.Length) {
	path, filled := s.marker()
	for i := range path {
		c := &path[i]
		c.Pos = vg.Point{X: at.X + radius*c.Pos.X, Y: at.Y + radius*c.Pos.Y}
		c.Radius *= radius
	}
	p.SetColor(s.tone().light)
	if !filled {
		p.SetColor(paperTone().light)
	}
	p.Fill(path)
	p.SetLineStyle(stroke(s.tone(), 1.2))
	p.Stroke(path)
}

// axes returns a plot of two scales, to which what it shows is added. It says what they
// are itself: gonum leaves room for names at the wrong place of logarithmic axes.
func axes(x, y *scale) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	for _, side := range []struct {
		axis *plot.Axis
		*scale
	}{{&p.X, x}, {&p.Y, y}} {
		a := side.axis
		a.Min, a.Max, a.Scale = side.least, side.most, side.normalizer()
		a.Tick.Marker = side.scale
		a.Padding = 0
		a.LineStyle = stroke(mutedTone(), 0.75)
		a.Tick.LineStyle, a.Tick.Length = a.LineStyle, 5
		tick := letters(textSize, mutedTone())
		a.Tick.Label.Color, a.Tick.Label.Font, a.Tick.Label.Handler = tick.Color, tick.Font, tick.Handler
	}
	p.Add(grid{})
	return p
}

// grid draws lines at the ticks that have labels.
type grid struct{}

// Plot draws the lines.
func (grid) Plot(c draw.Canvas, p *plot.Plot) {
	line := stroke(gridTone(), 0.75)
	for _, t := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		if x := c.X(p.X.Norm(t.Value)); !t.IsMinor() && c.ContainsX(x) {
			c.StrokeLine2(line, x, c.Min.Y, x, c.Max.Y)
		}
	}
	for _, t := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
		if y := c.Y(p.Y.Norm(t.Value)); !t.IsMinor() && c.ContainsY(y) {
			c.StrokeLine2(line, c.Min.X, y, c.Max.X, y)
		}
	}
}
