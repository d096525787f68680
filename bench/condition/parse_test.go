package condition

import (
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, text := range []string{
		"eventloop.throughput < 0.95 * floor.throughput",
		"eventloop.throughput<0.95*floor.throughput",
		"a.error_rate > 1 % + 5 on t64",
		"a.p99 > 200 us",
		"a.p99-b.p99 > 0us",
		"a.p99.9 >= 2ms on t64",
		"a.service.p99 != 5µs + 3ns - 1s on b32x16 at 4096",
		"a.rss > 100MiB at -1.5",
		"a.error_rate > 0.1%",
		"a.errors == 0",
		"a.cpu / b.cpu <= 110%",
		"-(a.user + a.system) < -(2 * 3us)",
		`"s6-ipcserver, no rules".p50 > new."/run/a b.sock".p50`,
		"old.eventloop-on-loop.p99 < new.eventloop-on-loop.p99",
		" \ta.p99 * b.throughput > 1us\t",
	} {
		c, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if c.String() != text || len(c.references) == 0 {
			t.Errorf("%s: %s with %d references", text, c, len(c.references))
		}
	}
}

// TestParseErrors has what is wrong, the column, and a part of the reason.
func TestParseErrors(t *testing.T) {
	tests := []struct {
		text   string
		column int
		reason string
	}{
		{"", 1, "a number or a figure is missing"},
		{"eventloop.thruput < 3", 11, "there are throughput, offered, p50"},
		{"eventloop < 3", 10, "SERVER.FIGURE"},
		{"eventloop.p99", 14, "a comparison is missing"},
		{"eventloop.p99 = 3us", 15, "a comparison is missing"},
		{"eventloop.p99 > 200", 15, "the left side is a time and the right side a number"},
		{"eventloop.p99 + 3 > 200us", 15, "a time and a number cannot be added"},
		{"a.rss > 3us", 7, "memory"},
		{"a.p99 * a.p99 > 3us", 15, "product"},
		{"a.p99 > 200us us", 15, "here can stand"},
		{"a.p99 > 200min", 12, "ns, us, ms, s, KiB, MiB"},
		{"a.p99 > 1.2.3us", 9, "no number"},
		{"µµ.p99 > (3us", 14, ") is missing for the ( in column 10"},
		{`"a.p99 > 3us`, 1, "closing"},
		{`a.p99 > 3us on 64`, 16, "neither bKxN nor tN"},
		{`a.p99 > 3us on`, 15, "neither bKxN nor tN"},
		{`a.p99 > 3us at t64`, 16, "value of the axis"},
		{`a.p99 > 3us at 5 on t64`, 18, "here can stand"},
		{`a.p99 > 3us and b.p99 > 3us`, 13, "here can stand"},
		{"1 < 2", 1, "needs a figure"},
		{"a.p99 >", 8, "missing"},
		{"old.p99 > 3us", 8, "SERVER.FIGURE"},
		{strings.Repeat("(", 1001), 1, "at most 1000 bytes"},
		{"a.p99\xff > 3us", 1, "UTF-8"},
	}
	for _, tt := range tests {
		c, err := Parse(tt.text)
		var wrong *Error
		if !errors.As(err, &wrong) || c != nil {
			t.Errorf("%q: %v, %v", tt.text, c, err)
			continue
		}
		if column := len([]rune(wrong.Text[:wrong.Position])) + 1; column != tt.column || !strings.Contains(wrong.Reason, tt.reason) || wrong.ExitCode() != 2 {
			t.Errorf("%q: column %d: %v", tt.text, column, err)
		}
	}
	_, err := Parse("µ.p99 < wrong")
	if want := "column 14: a figure is written SERVER.FIGURE, such as eventloop.p99\n  µ.p99 < wrong\n               ^"; err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}

// FuzzParse parses anything. What is a condition can be checked, and what is none is
// an error within the text.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"eventloop.throughput < 0.95 * floor.throughput on t64", `old."a b".p99.9 >= -(2us + new.x.service.max) / 3 at 7`,
		"a.error_rate > 1%", "eventloop.p99 - floor.p99 > 0us", "eventloop.p99 / 0 > 1us", "((((", "a.b.c", "\""} {
		f.Add(text)
	}
	r := example(f)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			var wrong *Error
			if !errors.As(err, &wrong) || wrong.Position < 0 || wrong.Position > len(wrong.Text) || err.Error() == "" {
				t.Fatalf("%q: %#v", text, err)
			}
			return
		}
		if again, err := Parse(c.String()); err != nil || len(again.references) != len(c.references) {
			t.Fatalf("%q again: %v", text, err)
		}
		outcomes, err := c.Evaluate(r)
		if len(outcomes) == 0 && !errors.Is(err, ErrNowhere) {
			t.Fatalf("%q was checked nowhere: %v", text, err)
		}
	})
}
