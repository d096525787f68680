package unit

import (
	"strings"
	"unicode"
)

// Instance stands, within a value of [Settings], for the name of a template's instance.
// No path contains it.
const Instance = "\x00"

// line writes a value that is the rest of a line. See "Specifiers" in systemd.unit(5).
func line(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "%", "%%"), Instance, "%i")
}

// word writes a value that is one of several. See "Quoting" in systemd.syntax(7).
func word(s string) string {
	s = line(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s))
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`"'\;#`, r) }) {
		s = `"` + s + `"`
	}
	return s
}

// arg writes an argument of a command. See "Command lines" in systemd.service(5).
func arg(s string) string { return word(strings.ReplaceAll(s, "$", "$$")) }

// glob writes a path in a profile, followed by a pattern. See "Globbing" in apparmor.d(5).
func glob(s string, pattern ...string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if strings.ContainsRune(`*?[]{}^,"\@`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	b.WriteString(strings.Join(pattern, "") + `"`)
	return strings.ReplaceAll(b.String(), Instance, "*")
}

// writable reports whether s can be written into a unit: in one line that does not end in
// white space, which would be lost, or in a backslash, which would join the next line.
func writable(s string) bool {
	for _, r := range strings.ReplaceAll(s, Instance, "") {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return false
		}
	}
	return strings.TrimSpace(s) == s && !strings.HasSuffix(s, `\`)
}
