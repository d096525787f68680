package settings

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"credrpc/internal/size"

	"github.com/alecthomas/kong"
)

// kind returns the kind of a setting's values, for an optional one too.
func kind(setting *kong.Value) reflect.Kind { return valueType(setting).Kind() }

func valueType(setting *kong.Value) reflect.Type {
	t := setting.Target.Type()
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// isText reports whether values are written as text although they are numbers in memory:
// times, and what reads itself from text, such as [slog.Level].
func isText(setting *kong.Value) bool {
	return isDuration(setting) || reflect.PointerTo(valueType(setting)).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// isDuration reports whether a setting is a time, which is written as text.
func isDuration(setting *kong.Value) bool {
	return valueType(setting) == reflect.TypeFor[time.Duration]()
}

// isSize reports whether a setting is a number of bytes, which may have a unit as text.
func isSize(setting *kong.Value) bool { return valueType(setting) == reflect.TypeFor[size.Size]() }

// check returns an error unless value, from a file, has the type of a setting.
func check(setting *kong.Value, value any) error {
	var fits bool
	switch v := value.(type) {
	case bool:
		fits = kind(setting) == reflect.Bool
	case int64:
		fits = isNumber(setting) || isSize(setting)
	case float64:
		fits = isFloat(setting)
	case string:
		fits = kind(setting) != reflect.Bool && kind(setting) != reflect.Slice && !isNumber(setting)
	case []any:
		fits = kind(setting) == reflect.Slice && allText(v)
	}
	if !fits || !takes(setting, value) {
		return fmt.Errorf("want %s, not %s", wanted(setting), quoted(value))
	}
	return nil
}

func isFloat(setting *kong.Value) bool {
	return kind(setting) == reflect.Float32 || kind(setting) == reflect.Float64
}

func isNumber(setting *kong.Value) bool {
	k := kind(setting)
	return !isText(setting) && (isFloat(setting) || k >= reflect.Int && k <= reflect.Uint64)
}

func allText(list []any) bool {
	for _, member := range list {
		if _, ok := member.(string); !ok {
			return false
		}
	}
	return true
}

// takes reports whether kong can make a value of a setting from value.
func takes(setting *kong.Value, value any) bool {
	if setting.Flag == nil {
		return true // a list of words, whatever they are
	}
	target := reflect.New(setting.Target.Type()).Elem()
	if target.Kind() == reflect.Pointer {
		target.Set(reflect.New(target.Type().Elem())) // as kong does before it asks a mapper
	}
	scanner := kong.Scan().PushTyped(forKong(setting, value), kong.FlagValueToken)
	return setting.Mapper.Decode(&kong.DecodeContext{Value: setting, Scan: scanner}, target) == nil
}

// forKong returns value as kong takes it: what reads itself from text, as text.
func forKong(setting *kong.Value, value any) any {
	if n, ok := value.(int64); ok && isSize(setting) {
		return strconv.FormatInt(n, 10)
	}
	return value
}

// wanted says what a setting can be.
func wanted(setting *kong.Value) string {
	switch k := kind(setting); {
	case setting.Enum != "":
		return "one of " + strings.Join(setting.EnumSlice(), ", ")
	case k == reflect.Bool:
		return "true or false"
	case isDuration(setting):
		return `a duration such as "30s" or "1m30s"`
	case isSize(setting):
		return `a number of bytes such as 1048576, "64K" or "1MiB"`
	case k == reflect.Slice:
		return `a list such as ["A", "B"]`
	case isFloat(setting):
		return "a number"
	case isText(setting):
		return "text in quotes that the setting knows"
	case k == reflect.Uint32 || k == reflect.Uint16 || k == reflect.Uint8:
		return fmt.Sprintf("a whole number from 0 to %d", uint64(1)<<valueType(setting).Bits()-1)
	case k >= reflect.Uint && k <= reflect.Uint64:
		return "a whole number that is not negative"
	case isNumber(setting):
		return "a whole number"
	}
	return "text in quotes"
}

// quoted writes a value as a file has it.
func quoted(value any) string {
	switch v := value.(type) {
	case string:
		return quoteText(v)
	case []any:
		words := make([]string, len(v))
		for i, member := range v {
			words[i] = quoted(member)
		}
		return "[" + strings.Join(words, ", ") + "]"
	case []string:
		words := make([]string, len(v))
		for i, member := range v {
			words[i] = quoteText(member)
		}
		return "[" + strings.Join(words, ", ") + "]"
	case map[string]any:
		return "a table"
	}
	return fmt.Sprint(value)
}

// quoteText writes text as a basic string of TOML.
func quoteText(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// current returns the value that a setting has, in the types of [Setting].
func current(setting *kong.Value, origin Origin) any {
	v := setting.Target
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	switch {
	case origin.From == FromDefault && !setting.HasDefault && v.Kind() != reflect.Bool:
		return nil
	case isDuration(setting):
		return v.Interface().(time.Duration).String()
	case isSize(setting):
		return v.Int()
	case isText(setting):
		return fmt.Sprint(v.Interface())
	}
	return v.Interface()
}

// String returns the value as a file has it, or a dash for none.
func (s Setting) String() string {
	if s.Value == nil {
		return "-"
	}
	return quoted(s.Value)
}
