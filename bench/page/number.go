package page

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"credrpc/bench/report"
)

// usable reports whether a figure is a number of a size that a measurement can have.
func usable(v float64) bool {
	size := math.Abs(v)
	return v == 0 || size >= 1e-18 && size <= 1e18 // NaN is neither
}

// printable replaces what is no visible character.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '\u25a1' // a box
		}
		return r
	}, text)
}

// short is text of at most n characters.
func short(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return string(runes[:n-1]) + "…"
}

// figure shows a number with three digits or, if it is large, all of them before the
// point.
func figure(v float64) string {
	switch size := math.Abs(v); {
	case !usable(v):
		return "–"
	case size >= 1e15:
		return fmt.Sprintf("%.3g", v)
	case size >= 99.95:
		return thousands(math.Round(v))
	case size >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// plural shows a number of things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return thousands(float64(n)) + " " + thing + "s"
}

// thousands shows a whole number in groups of three digits.
func thousands(v float64) string {
	text := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	if v <= -0.5 {
		return "−" + text
	}
	return text
}

// ratio shows a ratio with two digits, small ones with three.
func ratio(v float64) string {
	if v != 0 && math.Abs(v) < 0.095 {
		return fmt.Sprintf("%.3f", v)
	}
	return figure(v)
}

// more shows a difference.
func more(v float64) string {
	if v >= 0 {
		return "+" + figure(v)
	}
	return "−" + figure(-v)
}

// microseconds shows a time.
func microseconds(v float64) string {
	if v >= 9.995 && v < 999.95 {
		return fmt.Sprintf("%.1f", v)
	}
	return figure(v)
}

// suffixed shows a count with k, M or G.
func suffixed(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(v) >= unit.size*0.9999 {
			return digits(v/unit.size) + unit.name
		}
	}
	return digits(v)
}

// inThousands shows calls a second so that their points are below one another.
func inThousands(v float64) string {
	if math.Abs(v) < 999.5 {
		return figure(v)
	}
	hundreds := math.Round(v / 100)
	return fmt.Sprintf("%s.%.0fk", thousands(math.Trunc(hundreds/10)), math.Abs(math.Mod(hundreds, 10)))
}

// duration shows microseconds in the unit that they are best read in.
func duration(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 0.9999:
		return digits(v*1e3) + " ns"
	case v < 999.9:
		return digits(v) + " µs"
	case v < 999.9e3:
		return digits(v/1e3) + " ms"
	}
	return digits(v/1e6) + " s"
}

// binary shows bytes.
func binary(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1 << 30, " GiB"}, {1 << 20, " MiB"}, {1 << 10, " KiB"}} {
		if v >= unit.size {
			return digits(v/unit.size) + unit.name
		}
	}
	return digits(v) + " B"
}

// digits shows at most three digits, without zeros at the end.
func digits(v float64) string { return strconv.FormatFloat(rounded(v), 'f', -1, 64) }

// rounded has three digits, and all those before the point.
func rounded(v float64) float64 {
	if v == 0 || !usable(v) {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-2)
	if unit >= 1 {
		return math.Round(v)
	}
	return math.Round(v/unit) / math.Round(1/unit)
}

// spreadValue shows a median and how far the rounds are apart, if they are.
func spreadValue(s *report.Spread, show func(float64) string) value {
	switch {
	case s == nil:
		return value{}
	case show(s.Min) == show(s.Max):
		return value{Main: show(s.Median)}
	}
	return value{Main: show(s.Median), Spread: show(s.Min) + "–" + show(s.Max)}
}

// intervalValue shows a median and its interval.
func intervalValue(i *report.Interval, show func(float64) string) value {
	if i == nil {
		return value{}
	}
	between := "–"
	if i.Low < 0 {
		between = " to "
	}
	if i.Min == 1 && i.Max == 1 {
		return value{Main: "1"} // a server by itself
	}
	return value{Main: i.Verdict.Mark() + show(i.Median), Spread: show(i.Low) + between + show(i.High)}
}
