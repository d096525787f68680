package page

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	"credrpc/bench/report"

	"gonum.org/v1/plot/vg"
)

// A tone is a colour of the page, light and dark. In the page it is a CSS variable.
type tone struct {
	name        string
	light, dark color.NRGBA
}

// grey returns a colour whose parts are the same.
func grey(v uint8) color.NRGBA { return rgb(v, v, v) }

func rgb(r, g, b uint8) color.NRGBA { return color.NRGBA{R: r, G: g, B: b, A: 0xff} }

// The tones of what is not data. The numbers differ from those of the palette, since a
// plot's tones are found by their numbers.
func paperTone() tone { return tone{"paper", grey(0xff), rgb(0x15, 0x18, 0x1c)} }
func inkTone() tone   { return tone{"ink", rgb(0x1b, 0x1f, 0x24), rgb(0xe8, 0xea, 0xed)} }
func mutedTone() tone { return tone{"muted", rgb(0x57, 0x60, 0x6a), rgb(0xa3, 0xac, 0xb8)} }
func gridTone() tone  { return tone{"grid", rgb(0xe3, 0xe6, 0xea), rgb(0x2f, 0x35, 0x3d)} }

// palette has the colours of kinds of servers. They are those of Okabe and Ito, "Color
// Universal Design", made darker where they had a contrast below 3 to 1 on white, and
// one grey and one indigo more. The dark ones are lighter versions of the same hues.
func palette() []tone {
	return []tone{
		{"s0", rgb(0x00, 0x72, 0xb2), rgb(0x4d, 0xa9, 0xe0)}, // blue
		{"s1", rgb(0xd5, 0x5e, 0x00), rgb(0xff, 0x8f, 0x40)}, // vermilion
		{"s2", rgb(0x00, 0x8f, 0x68), rgb(0x2c, 0xc7, 0x9a)}, // bluish green
		{"s3", rgb(0xb8, 0x57, 0x95), rgb(0xe3, 0x8f, 0xc6)}, // reddish purple
		{"s4", rgb(0x4d, 0x4d, 0x4f), rgb(0xc6, 0xc8, 0xcb)}, // grey
		{"s5", rgb(0xa6, 0x80, 0x00), rgb(0xe4, 0xbf, 0x4a)}, // ochre
		{"s6", rgb(0x3a, 0x9a, 0xd0), rgb(0x9a, 0xd6, 0xfa)}, // sky blue
		{"s7", rgb(0x33, 0x22, 0x88), rgb(0xa2, 0x93, 0xf2)}, // indigo
	}
}

// pale is the tone of the second part of a bar: between t and the paper.
func pale(t tone) tone {
	mix := func(a, b color.NRGBA) color.NRGBA {
		part := func(x, y uint8) uint8 { return uint8(math.Round(0.42*float64(x) + 0.58*float64(y))) }
		return rgb(part(a.R, b.R), part(a.G, b.G), part(a.B, b.B))
	}
	paper := paperTone()
	return tone{t.name + "p", mix(t.light, paper.light), mix(t.dark, paper.dark)}
}

// tones returns all of them.
func tones() []tone {
	all := []tone{paperTone(), inkTone(), mutedTone(), pale(mutedTone()), gridTone()}
	for _, t := range palette() {
		all = append(all, t, pale(t))
	}
	return all
}

// bandAlpha is the opacity of what lies between the least and the greatest figure.
const bandAlpha = 0x26

// band returns the colour of the area around a line.
func (t tone) band() color.NRGBA {
	c := t.light
	c.A = bandAlpha
	return c
}

// hex writes a colour as vgsvg does, whose opaque part is rounded down twice.
func hex(c color.NRGBA) string {
	r, g, b, a := c.RGBA()
	part := func(v uint32) int { return int(float64(v) * 255 / float64(a)) }
	return fmt.Sprintf("#%02X%02X%02X", part(r), part(g), part(b))
}

// variables returns a replacer that has the colours of an SVG point to CSS variables.
func variables() *strings.Replacer {
	var pairs []string
	for _, t := range tones() {
		for _, c := range []color.NRGBA{t.light, t.band()} {
			for _, property := range []string{"fill:", "stroke:"} {
				pairs = append(pairs, property+hex(c), property+"var(--"+t.name+")")
			}
		}
	}
	return strings.NewReplacer(pairs...)
}

// A style is how a kind of server looks in all plots. Its number makes colour, marker
// and line: beyond the colours they come again, with another marker and line.
type style int

// styleCount is how many styles can be told apart.
const styleCount = 32

func (s style) tone() tone { return palette()[int(s)%len(palette())] }

// dashes returns the pattern of the line; none is a whole line.
func (s style) dashes() []vg.Length {
	patterns := [][]vg.Length{nil, {6, 2.5}, {2, 1.8}, {7, 2, 1.5, 2}, {10, 3}}
	return patterns[(int(s)+int(s)/len(palette()))%len(patterns)]
}

// A shape is the outline of a marker around the origin, of size 1.
type shape func() vg.Path

// shapes are the outlines, each of which is filled in half of the styles.
func shapes() []shape {
	polygon := func(points ...vg.Point) shape {
		return func() (path vg.Path) {
			path.Move(points[0])
			for _, p := range points[1:] {
				path.Line(p)
			}
			path.Close()
			return path
		}
	}
	circle := func() (path vg.Path) {
		path.Move(vg.Point{X: 1})
		path.Arc(vg.Point{}, 1, 0, 2*math.Pi)
		path.Close()
		return path
	}
	return []shape{circle,
		polygon(vg.Point{X: -.9, Y: -.9}, vg.Point{X: .9, Y: -.9}, vg.Point{X: .9, Y: .9}, vg.Point{X: -.9, Y: .9}),
		polygon(vg.Point{X: -1.15, Y: -.8}, vg.Point{X: 1.15, Y: -.8}, vg.Point{Y: 1.2}),
		polygon(vg.Point{X: -1.2}, vg.Point{Y: -1.2}, vg.Point{X: 1.2}, vg.Point{Y: 1.2})}
}

// marker returns the outline of the marker and whether it is filled.
func (s style) marker() (vg.Path, bool) {
	all := shapes()
	n := int(s) + int(s)/len(palette())
	return all[n%len(all)](), n/len(all)%2 == 0
}

// kindOf names what a server is a variant of. Those that ran already are not known to
// be the same.
func kindOf(name, kind string) string {
	if kind == "" || kind == "running" {
		return printable(name)
	}
	return printable(kind)
}

// assignStyles gives each kind the style that meets the fewest of the same colour, and
// of those the one that is used least, in the order in which kinds appear.
func assignStyles(reports []*report.Report) map[string]style {
	styles := map[string]style{}
	used := make([]int, styleCount)
	for _, r := range reports {
		for _, s := range r.Servers {
			kind := kindOf(s.Name, s.Kind)
			if _, ok := styles[kind]; ok {
				continue
			}
			best := leastConflict(neighbours(kind, reports), styles, used)
			styles[kind] = best
			used[best]++
		}
	}
	return styles
}

// neighbours returns the kinds that share a report with a kind.
func neighbours(kind string, reports []*report.Report) map[string]bool {
	near := map[string]bool{}
	for _, r := range reports {
		kinds := map[string]bool{}
		for _, s := range r.Servers {
			kinds[kindOf(s.Name, s.Kind)] = true
		}
		if kinds[kind] {
			for k := range kinds {
				near[k] = true
			}
		}
	}
	return near
}

// leastConflict returns the style for a kind that shares reports with others.
func leastConflict(near map[string]bool, styles map[string]style, used []int) style {
	const same, sameColour = 1 << 40, 1 << 20 // the one outweighs any number of the other
	cost := slices.Clone(used)
	colours := len(palette())
	for kind := range near {
		s, ok := styles[kind]
		if !ok {
			continue
		}
		cost[s] += same
		for other := int(s) % colours; other < styleCount; other += colours {
			cost[other] += sameColour
		}
	}
	best := 0
	for s, c := range cost {
		if c < cost[best] {
			best = s
		}
	}
	return style(best)
}
