package settings

import (
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// TestQuoteText checks that a TOML reader gets back what was written.
func TestQuoteText(t *testing.T) {
	for _, text := range []string{"", "plain", `a "b" \c`, "two\nlines\ttab", "\x00\x1f\x7f", "größer 😀"} {
		var got struct{ Text string }
		if err := toml.Unmarshal([]byte("text = "+quoteText(text)), &got); err != nil || got.Text != text {
			t.Errorf("%q became %s: %q, %v", text, quoteText(text), got.Text, err)
		}
	}
}
