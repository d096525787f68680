package page

import (
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A point is one of a curve: a figure at x, and how far the rounds are apart.
type point struct{ x, y, low, high float64 }

// A curve is a line of a plot.
type curve struct {
	name   string // in the legend
	style  style
	beside bool // a second line of the same server: thinner, and not in the legend
	points []point
	marked []int // indexes of points with a marker; nil marks all
}

// A chart is a plot of curves.
type chart struct {
	x, y   *scale
	curves []curve
	// second is what the lines beside are, "" if there are none.
	second string
	// ideal draws y = x, with this name in the legend; "" does not.
	ideal string
}

// keep drops the points that the scales cannot show, and then the curves without any.
// It reports whether there is something to show.
func (c *chart) keep() bool {
	positive := func(s *scale, v float64) bool { return usable(v) && (v > 0 || !s.logarithmic) }
	for i := range c.curves {
		k := &c.curves[i]
		kept := k.points[:0:0]
		for _, p := range k.points {
			if !positive(c.x, p.x) || !positive(c.y, p.y) {
				continue
			}
			if !positive(c.y, p.low) || !positive(c.y, p.high) {
				p.low, p.high = p.y, p.y
			}
			kept = append(kept, p)
		}
		k.points = kept
		k.marked = slices.DeleteFunc(slices.Clone(k.marked), func(n int) bool { return n >= len(kept) })
	}
	c.curves = slices.DeleteFunc(c.curves, func(k curve) bool { return len(k.points) == 0 })
	return len(c.curves) > 0
}

// xs and ys return all figures of an axis.
func (c *chart) xs() (values []float64) {
	for _, k := range c.curves {
		for _, p := range k.points {
			values = append(values, p.x)
		}
	}
	return values
}

func (c *chart) ys() (values []float64) {
	for _, k := range c.curves {
		for _, p := range k.points {
			values = append(values, p.low, p.y, p.high)
		}
	}
	return values
}

// plot returns the drawing of the chart, whose scales have their ranges.
func (c *chart) plot(name, title, reading string) *Plot {
	return &Plot{Name: name, Title: title, Reading: reading, width: narrowWidth, height: narrowHigh, draw: c.draw}
}

// nameHeight is the room for the name of an axis.
const nameHeight = 16

// draw draws the legend, the curves, and the names of the axes: of the vertical one
// above it and of the horizontal one below.
func (c *chart) draw(p *pen) {
	p.legend(c.keys())
	name := letters(textSize, inkTone())
	write(&p.Canvas, name, vg.Point{X: p.Min.X, Y: p.Max.Y - nameHeight/2}, c.y.label)
	inner := draw.Crop(p.Canvas, 0, 0, nameHeight, -nameHeight-2)
	drawing := axes(c.x, c.y)
	drawing.Add(c)
	drawing.Draw(inner)
	field := drawing.DataCanvas(inner)
	write(&p.Canvas, aligned(name, draw.XCenter), vg.Point{X: field.Center().X, Y: p.Min.Y + textSize/2}, c.x.label)
}

// keys are the legend: the servers, and then what else lines mean.
func (c *chart) keys() (keys []key) {
	for _, k := range c.curves {
		if k.beside {
			continue
		}
		keys = append(keys, key{k.name, func(p *pen, from, to vg.Point) {
			p.StrokeLine2(k.line(), from.X, from.Y, to.X, to.Y)
			p.mark(k.style, vg.Point{X: (from.X + to.X) / 2, Y: from.Y}, markRadius)
		}})
	}
	if c.second != "" {
		keys = append(keys, key{c.second, func(p *pen, from, to vg.Point) {
			p.StrokeLine2(stroke(mutedTone(), besideWidth), from.X, from.Y, to.X, to.Y)
		}})
	}
	if c.ideal != "" {
		keys = append(keys, key{c.ideal, func(p *pen, from, to vg.Point) {
			p.StrokeLine2(idealLine(), from.X, from.Y, to.X, to.Y)
		}})
	}
	return keys
}

const (
	lineWidth   = 1.6
	besideWidth = 0.7
	markRadius  = 3
)

func idealLine() draw.LineStyle { return stroke(mutedTone(), 0.9, 1.5, 2.5) }

// line is how the curve is drawn.
func (k *curve) line() draw.LineStyle {
	if k.beside {
		return stroke(k.style.tone(), besideWidth)
	}
	return stroke(k.style.tone(), lineWidth, k.style.dashes()...)
}

// Plot draws the curves.
func (c *chart) Plot(canvas draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&canvas)
	at := func(a, b float64) vg.Point { return vg.Point{X: x(a), Y: y(b)} }
	if c.ideal != "" {
		low, high := max(c.x.least, c.y.least), min(c.x.most, c.y.most)
		if low < high {
			canvas.StrokeLines(idealLine(), []vg.Point{at(low, low), at(high, high)})
		}
	}
	for _, k := range c.curves {
		var area []vg.Point
		for _, q := range k.points {
			area = append(area, at(q.x, q.high))
		}
		for _, q := range slices.Backward(k.points) {
			area = append(area, at(q.x, q.low))
		}
		if !k.beside && len(k.points) > 1 {
			canvas.FillPolygon(k.style.tone().band(), area)
		}
	}
	pen := &pen{canvas}
	for _, k := range c.curves {
		line := make([]vg.Point, len(k.points))
		for i, q := range k.points {
			line[i] = at(q.x, q.y)
			if len(k.points) == 1 {
				canvas.StrokeLine2(k.line(), x(q.x), y(q.low), x(q.x), y(q.high))
			}
		}
		canvas.StrokeLines(k.line(), line)
		for i, place := range line {
			if !k.beside && (k.marked == nil || slices.Contains(k.marked, i)) {
				pen.mark(k.style, place, markRadius)
			}
		}
	}
}
