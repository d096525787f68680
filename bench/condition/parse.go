package condition

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"credrpc/bench/load"
	"credrpc/bench/report"
)

// maxText is the length of the longest condition in bytes: enough for any that a
// person would write, and too little for a stack to overflow. Nobody tuned it.
const maxText = 1000

// operators are those that compare, with the longer ones first.
var operators = [...]string{"<=", ">=", "==", "!=", "<", ">"}

// units are what numbers can have behind them.
func units() map[string]expression {
	microseconds := func(n float64) expression { return expression{number: n, dimension: dimension{time: 1}} }
	bytes := func(n float64) expression { return expression{number: n, dimension: dimension{memory: 1}} }
	return map[string]expression{
		"":   {number: 1},
		"%":  {number: 0.01},
		"ns": microseconds(1e-3), "us": microseconds(1), "µs": microseconds(1), "ms": microseconds(1e3), "s": microseconds(1e6),
		"KiB": bytes(1 << 10), "MiB": bytes(1 << 20),
	}
}

// Parse reads a condition. What is wrong with it is an [Error]. Whether its servers
// exist is not known here, see [Condition.Check].
func Parse(text string) (c *Condition, err error) {
	if len(text) > maxText || !utf8.ValidString(text) {
		return nil, &Error{"", 0, fmt.Sprintf("a condition is UTF-8 of at most %d bytes", maxText)}
	}
	p := &parser{text: text}
	defer func() {
		switch failed := recover().(type) {
		case nil:
		case *Error:
			c, err = nil, failed
		default:
			panic(failed)
		}
	}()
	return p.condition(), nil
}

// A parser reads a condition from left to right. It fails by a panic with an
// [Error], which Parse returns.
type parser struct {
	text       string
	next       int // position
	references []*reference
}

func (p *parser) fail(at int, format string, args ...any) {
	panic(&Error{p.text, at, fmt.Sprintf(format, args...)})
}

// condition reads all of it.
func (p *parser) condition() *Condition {
	c := &Condition{text: p.text, left: p.sum()}
	at := p.skip()
	for _, operator := range operators {
		if c.operator == "" && p.take(operator) {
			c.operator = operator
		}
	}
	if c.operator == "" {
		p.unexpected("a comparison is missing: one of < <= > >= == !=")
	}
	c.right = p.sum()
	if c.left.dimension != c.right.dimension {
		p.fail(at, "the left side is %v and the right side %v; a time needs a unit, such as 200us", c.left.dimension, c.right.dimension)
	}
	p.where(c)
	if p.skip() < len(p.text) {
		p.unexpected(`here can stand + - * /, "on" with a load, "at" with a value, or the end`)
	}
	if c.references = p.references; len(c.references) == 0 {
		p.fail(0, "a condition needs a figure of a server, such as eventloop.p99")
	}
	return c
}

// where reads at which load and value the condition applies.
func (p *parser) where(c *Condition) {
	if p.keyword("on") {
		c.loadAt = p.skip()
		l, err := load.Parse(p.word(unicode.IsLetter, unicode.IsDigit))
		if err != nil {
			p.fail(c.loadAt, "%v", err)
		}
		c.load = &l
	}
	if p.keyword("at") {
		at := p.skip()
		sign := 1.0
		if p.take("-") {
			sign = -1
		}
		value, ok := p.number()
		if !ok {
			p.fail(at, "a number is missing: the value of the axis")
		}
		value *= sign
		c.at = &value
	}
}

// sum reads products that are added or subtracted.
func (p *parser) sum() *expression {
	e := p.product()
	for {
		at := p.skip()
		var operator byte
		switch {
		case p.take("+"):
			operator = '+'
		case p.take("-"):
			operator = '-'
		default:
			return e
		}
		right := p.product()
		if e.dimension != right.dimension {
			p.fail(at, "%v and %v cannot be added", e.dimension, right.dimension)
		}
		e = &expression{operator: operator, left: e, right: right, dimension: e.dimension}
	}
}

// product reads factors that are multiplied or divided.
func (p *parser) product() *expression {
	e := p.factor()
	for {
		p.skip()
		switch {
		case p.take("*"):
			right := p.factor()
			d := dimension{e.dimension.time + right.dimension.time, e.dimension.memory + right.dimension.memory}
			e = &expression{operator: '*', left: e, right: right, dimension: d}
		case p.take("/"):
			right := p.factor()
			d := dimension{e.dimension.time - right.dimension.time, e.dimension.memory - right.dimension.memory}
			e = &expression{operator: '/', left: e, right: right, dimension: d}
		default:
			return e
		}
	}
}

// factor reads what has no operator, but a sign.
func (p *parser) factor() *expression {
	at := p.skip()
	if p.take("-") {
		e := p.factor()
		return &expression{operator: '-', left: &expression{dimension: e.dimension}, right: e, dimension: e.dimension}
	}
	if p.take("(") {
		e := p.sum()
		if p.skip(); !p.take(")") {
			p.unexpected(") is missing for the ( in column %d", utf8.RuneCountInString(p.text[:at])+1)
		}
		return e
	}
	if value, ok := p.number(); ok {
		return p.unit(value)
	}
	return p.figure()
}

// unit reads the unit behind a number. A word that stands apart may be another.
func (p *parser) unit(value float64) *expression {
	end := p.next
	at := p.skip()
	name := p.word(unicode.IsLetter)
	if name == "" && p.take("%") {
		name = "%"
	}
	unit, ok := units()[name]
	if !ok && at == end {
		p.fail(at, "there is no unit %q; there are ns, us, ms, s, KiB, MiB and %%", name)
	}
	if !ok {
		p.next, unit = end, units()[""]
	}
	unit.number *= value
	return &unit
}

// number reads a number without a sign, and reports whether there is one.
func (p *parser) number() (float64, bool) {
	at := p.next
	if at == len(p.text) || p.text[at] < '0' || p.text[at] > '9' {
		return 0, false
	}
	text := p.word(unicode.IsDigit, func(r rune) bool { return r == '.' })
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(value, 0) {
		p.fail(at, "%q is no number", text)
	}
	return value, true
}

// figure reads a reference to a figure.
func (p *parser) figure() *expression {
	r := &reference{at: p.next}
	name, quoted := p.server()
	if !quoted && (name == Old || name == New) {
		r.side, name = name, ""
		p.dot()
		name, _ = p.server()
	}
	r.server = name
	p.dot()
	at := p.next
	figure := p.word(unicode.IsLetter, unicode.IsDigit, func(r rune) bool { return r == '.' || r == '_' })
	figures := report.Figures()
	i := slices.IndexFunc(figures, func(f report.Figure) bool { return f.Name == figure })
	if i < 0 {
		names := make([]string, len(figures))
		for i, f := range figures {
			names[i] = f.Name
		}
		p.fail(at, "there is no figure %q; there are %s", figure, strings.Join(names, ", "))
	}
	r.figure = figures[i]
	p.references = append(p.references, r)
	e := &expression{reference: r}
	switch r.figure.Quantity {
	case report.Time:
		e.dimension.time = 1
	case report.Memory:
		e.dimension.memory = 1
	}
	return e
}

// server reads the name of a server, or old or new.
func (p *parser) server() (name string, quoted bool) {
	at := p.next
	if !p.take(`"`) {
		if name = p.word(inName); name == "" {
			p.unexpected("a number or a figure is missing, such as 0.95, 200us or eventloop.p99")
		}
		return name, false
	}
	end := strings.IndexByte(p.text[p.next:], '"')
	if end < 0 {
		p.fail(at, `the closing " is missing`)
	}
	name = p.text[p.next : p.next+end]
	p.next += end + 1
	return name, true
}

// dot reads the dot between the parts of a reference.
func (p *parser) dot() {
	if !p.take(".") {
		p.unexpected("a figure is written SERVER.FIGURE, such as eventloop.p99")
	}
}

// unexpected fails at what comes next.
func (p *parser) unexpected(format string, args ...any) {
	p.fail(p.next, format, args...)
}

// inName reports whether a name may have r without quotation marks.
func inName(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '-' }

// plain reports whether a name needs no quotation marks.
func plain(name string) bool {
	return name != "" && name != Old && name != New && !unicode.IsDigit(rune(name[0])) && name[0] != '-' &&
		!strings.ContainsFunc(name, func(r rune) bool { return !inName(r) })
}

// skip passes over spaces and returns where it stands.
func (p *parser) skip() int {
	rest := strings.TrimLeftFunc(p.text[p.next:], unicode.IsSpace)
	p.next = len(p.text) - len(rest)
	return p.next
}

// take reads some text and reports whether it is there.
func (p *parser) take(what string) bool {
	ok := strings.HasPrefix(p.text[p.next:], what)
	if ok {
		p.next += len(what)
	}
	return ok
}

// keyword reads a word, and reports whether it is the next one.
func (p *parser) keyword(name string) bool {
	at := p.skip()
	if p.word(inName) == name {
		return true
	}
	p.next = at
	return false
}

// word reads what one of some classes of letters has.
func (p *parser) word(classes ...func(rune) bool) string {
	rest := p.text[p.next:]
	end := strings.IndexFunc(rest, func(r rune) bool {
		return !slices.ContainsFunc(classes, func(class func(rune) bool) bool { return class(r) })
	})
	if end < 0 {
		end = len(rest)
	}
	p.next += end
	return rest[:end]
}
