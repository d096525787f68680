package settings

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// exampleWidth is the longest line of an example file, in characters.
const exampleWidth = 88

// WriteExample writes a file that has every setting of a command commented out, with
// its help and its default, or what can stand there if it has none.
func WriteExample(w io.Writer, command *kong.Node) error {
	var b strings.Builder
	for _, setting := range settings(command) {
		if setting.Name == configName {
			continue
		}
		b.WriteByte('\n')
		if setting.Required {
			comment(&b, "Needed. "+setting.Help)
		} else {
			comment(&b, setting.Help)
		}
		if setting.Enum != "" {
			comment(&b, "One of "+strings.Join(setting.EnumSlice(), ", ")+".")
		}
		fmt.Fprintf(&b, "#%s = %s\n", setting.Name, exampleValue(setting))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// comment writes text in lines that begin with a number sign.
func comment(b *strings.Builder, text string) {
	line := "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > exampleWidth {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}

// exampleValue returns the default of a setting as a file has it, or one of its type.
func exampleValue(setting *kong.Value) string {
	placeholder := strings.ToUpper(setting.Name)
	if setting.Flag != nil && setting.Flag.PlaceHolder != "" {
		placeholder = setting.Flag.PlaceHolder
	}
	isText := !isNumber(setting) && kind(setting) != reflect.Bool
	switch {
	case setting.HasDefault && isText:
		return quoteText(setting.Default)
	case setting.HasDefault:
		return setting.Default
	case kind(setting) == reflect.Bool:
		return "false"
	case kind(setting) == reflect.Slice:
		return quoted([]string{placeholder})
	case isDuration(setting):
		return `"30s"`
	case isSize(setting):
		return `"1M"`
	case isNumber(setting):
		return "1"
	}
	return quoteText(placeholder)
}
