package objective

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ErrSyntax reports text that is not an objective. The error says at which column,
// and what is allowed there.
var ErrSyntax = errors.New("not an objective")

// An Objective is what must hold. The zero value cannot be held.
type Objective struct {
	terms []Term
}

// A Term is one condition.
type Term struct {
	figure    figure
	inclusive bool    // the limit itself is allowed
	limit     float64 // in the unit of the figure: microseconds, or a share from 0 to 1
	value     string  // of the limit, as it was written
}

// String returns the term without blanks.
func (t *Term) String() string {
	op := "<"
	if t.figure.more {
		op = ">"
	}
	if t.inclusive {
		op += "="
	}
	return t.figure.name + op + t.value
}

// String returns the notation that [Parse] reads, without blanks.
func (o Objective) String() string {
	all := make([]string, len(o.terms))
	for i := range o.terms {
		all[i] = o.terms[i].String()
	}
	return strings.Join(all, ",")
}

// MarshalText returns the notation of the objective.
func (o Objective) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads the notation of an objective, as [Parse] does.
func (o *Objective) UnmarshalText(text []byte) (err error) {
	*o, err = Parse(string(text))
	return err
}

// Parse reads the notation of an objective. It returns [ErrSyntax].
func Parse(s string) (Objective, error) {
	var o Objective
	if strings.TrimSpace(s) == "" {
		return o, syntaxError(s, 0, "it is empty; say what must hold, such as p99<500us,errors<0.01%%")
	}
	offset := 0
	for _, text := range strings.Split(s, ",") {
		term, err := parseTerm(s, offset, text)
		if err != nil {
			return Objective{}, err
		}
		if slices.ContainsFunc(o.terms, func(other Term) bool { return other.figure.name == term.figure.name }) {
			return Objective{}, syntaxError(s, offset, "there is a limit for %s already", term.figure.name)
		}
		o.terms = append(o.terms, term)
		offset += len(text) + 1
	}
	return o, nil
}

// operators are the characters that an operator is made of.
const operators = "<>="

// parseTerm reads the term that begins at an offset of s.
func parseTerm(s string, offset int, text string) (t Term, err error) {
	end := strings.IndexAny(text, operators)
	if end < 0 {
		end = len(text)
	}
	name := strings.TrimSpace(text[:end])
	i := slices.IndexFunc(figures(), func(f figure) bool { return f.name == name })
	if i < 0 {
		return t, syntaxError(s, offset+blanks(text), "%q is no figure; there are %s", name, figureNames())
	}
	t.figure = figures()[i]
	rest := strings.TrimLeft(text[end:], operators)
	op := text[end : len(text)-len(rest)]
	if allowed := t.figure.operators(); op != allowed[0] && op != allowed[1] {
		return t, syntaxError(s, offset+end, "%s needs %s or %s before its limit, not %q", name, allowed[0], allowed[1], op)
	}
	t.inclusive = len(op) > 1
	t.value = strings.TrimSpace(rest)
	if t.limit, err = t.figure.parse(t.value); err == nil {
		err = t.possible()
	}
	if err != nil {
		return t, syntaxError(s, offset+end+len(op)+blanks(rest), "%w", err)
	}
	return t, nil
}

// possible reports a limit that nothing can keep.
func (t *Term) possible() error {
	switch {
	case t.inclusive || !t.figure.share:
		return nil
	case t.figure.more && t.limit == 1:
		return fmt.Errorf("nothing is over 100%%; say %s>=100%%", t.figure.name)
	case !t.figure.more && t.limit == 0:
		return fmt.Errorf("nothing is below 0%%; say %s<=0%%", t.figure.name)
	}
	return nil
}

// blanks returns how many bytes of white space s begins with.
func blanks(s string) int { return len(s) - len(strings.TrimLeft(s, " \t\n")) }

// syntaxError says what is wrong at an offset of s.
func syntaxError(s string, offset int, format string, args ...any) error {
	column := utf8.RuneCountInString(s[:min(offset, len(s))]) + 1
	return fmt.Errorf("%w: column %d: %w", ErrSyntax, column, fmt.Errorf(format, args...))
}

// parseDuration reads a duration as microseconds.
func parseDuration(s string) (float64, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a duration above 0, such as 500us or 2ms", s)
	}
	return float64(d) / float64(time.Microsecond), nil
}

// parseShare reads a percentage as a share.
func parseShare(s string) (float64, error) {
	number, ok := strings.CutSuffix(s, "%")
	percent, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(percent >= 0 && percent <= 100) { // NaN is neither
		return 0, fmt.Errorf("%q is not a share from 0%% to 100%%, such as 0.01%%", s)
	}
	return percent / 100, nil
}
