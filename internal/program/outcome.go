package program

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	// maxErrorText is how many bytes of standard error are kept, and how long in
	// bytes the text is that a caller is told of them.
	maxErrorText = 1024

	// leastRead is the least room in bytes for reading output: a page, the unit in
	// which a pipe keeps it (pipe(7)).
	leastRead = 4096
)

// An output is what a program has written.
type output struct {
	answer []byte // what the handler was given, with standard output appended
	limit  int    // of len(answer)

	keep   [maxErrorText]byte
	stderr []byte // the start of standard error, in keep
}

// room returns where to read the next bytes of the answer to. With one byte over
// the limit the program is found out; memory grows with what is written, at most to
// twice as much.
func (o *output) room() []byte {
	length := len(o.answer)
	most := o.limit + 1 - length
	if length == cap(o.answer) {
		o.answer = slices.Grow(o.answer, min(most, max(length, leastRead)))
	}
	return o.answer[length:min(cap(o.answer), length+most)]
}

func (o *output) tooLarge() bool { return len(o.answer) > o.limit }

// result returns the answer of a program that ended with status, or the error for
// the caller.
func (o *output) result(status unix.WaitStatus) ([]byte, error) {
	switch {
	case o.tooLarge():
		return nil, errors.New("the program's output is too large")
	case status.Signaled():
		return nil, fmt.Errorf("the program was killed by %s", signalName(status.Signal()))
	case status.ExitStatus() == 0:
		return o.answer, nil
	}
	if text := firstLine(o.stderr); text != "" {
		return nil, errors.New(text)
	}
	return nil, fmt.Errorf("exit status %d", status.ExitStatus())
}

func signalName(s unix.Signal) string {
	if name := unix.SignalName(s); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", int(s))
}

// firstLine returns the first line of b that is not blank, as text that is safe to
// print: valid UTF-8, with U+FFFD in place of what is not printable and a space in
// place of every kind of space.
func firstLine(b []byte) string {
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(strings.Map(printable, line)); line != "" {
			return cut(line, maxErrorText)
		}
	}
	return ""
}

// printable returns r or what to print for it. Bytes that are no UTF-8 reach it as
// [utf8.RuneError].
func printable(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case !unicode.IsPrint(r):
		return utf8.RuneError
	}
	return r
}

// cut returns as many whole characters of text as limit bytes hold.
func cut(text string, limit int) string {
	for len(text) > limit {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}
