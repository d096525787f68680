//go:build linux

package accessdb

import (
	"iter"
	"strings"
)

// Modification sets one variable of the environment, or unsets it.
type Modification struct {
	Name  string
	Value string // "" when Unset
	Unset bool
}

// Env is a list of modifications of the environment, in the encoding of a compiled
// rule: NAME=VALUE and a zero byte to set, NAME and a zero byte to unset. The zero
// value changes nothing. An Env is immutable and may be compared.
type Env struct{ encoded string }

// NewEnv encodes modifications. Returns [ErrInvalidEnv].
func NewEnv(modifications ...Modification) (Env, error) {
	var b strings.Builder
	for _, m := range modifications {
		if m.Name == "" || strings.ContainsAny(m.Name, "=\x00") || strings.IndexByte(m.Value, 0) >= 0 {
			return Env{}, ErrInvalidEnv
		}
		b.WriteString(m.Name)
		if !m.Unset {
			b.WriteByte('=')
			b.WriteString(m.Value)
		}
		b.WriteByte(0)
	}
	return Env{b.String()}, nil
}

// IsZero reports whether e changes nothing.
func (e Env) IsZero() bool { return e.encoded == "" }

// All yields the modifications in order. A later one of the same name overrides an
// earlier one.
func (e Env) All() iter.Seq[Modification] {
	return func(yield func(Modification) bool) {
		for rest := e.encoded; rest != ""; {
			var entry string
			entry, rest, _ = strings.Cut(rest, "\x00")
			name, value, set := strings.Cut(entry, "=")
			if !yield(Modification{Name: name, Value: value, Unset: !set}) {
				return
			}
		}
	}
}

// Apply returns base, a list of NAME=VALUE entries as os.Environ returns, with the
// modifications applied: a modified variable loses every entry it has in base, and
// those that are set follow at the end. Entries without an equals sign are kept.
// Apply leaves base as it is; it returns base itself when e changes nothing.
func (e Env) Apply(base []string) []string {
	if e.IsZero() {
		return base
	}
	out := make([]string, len(base), len(base)+strings.Count(e.encoded, "\x00"))
	copy(out, base)
	for m := range e.All() {
		out = remove(out, m.Name)
		if !m.Unset {
			out = append(out, m.Name+"="+m.Value)
		}
	}
	return out
}

// remove deletes the entries of a variable in place.
func remove(entries []string, name string) []string {
	kept := entries[:0]
	for _, entry := range entries {
		if len(entry) > len(name) && entry[len(name)] == '=' && entry[:len(name)] == name {
			continue
		}
		kept = append(kept, entry)
	}
	return kept
}

// validEnv reports whether b is a whole number of entries, each with a name.
func validEnv(b []byte) bool {
	start := true
	for _, c := range b {
		if start && (c == 0 || c == '=') {
			return false
		}
		start = c == 0
	}
	return start
}
